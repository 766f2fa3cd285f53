"""Between the rules that a line is judged by and the store: changes come within a second, halts and alerts go out.

The store may be away, empty or damaged: the line goes on by what was known last, and operators are told.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from alerting.alerts.board import AlertBoard
from alerting.lease import Tenure
from alerting.rules import LineRules
from shared import metrics
from shared.bus.base import Bus
from shared.clock import Clock, wait_event
from shared.errors import BusUnavailableError, ConfigError, StoreError
from shared.log import get_logger
from shared.partition_plan import PartitionPlan
from shared.policy import Silence, policy_from_json
from shared.policy_keeper import PolicyKeeper
from shared.policy_record import LineHalt, PolicyChange, decode_record, differences, encode_record
from shared.store.base import Store
from shared.topics import Topics
from shared.wire import encode

_POLL_S: Final = 0.4
_CHANGES: Final = 1_000
_REMEMBERED: Final = 10_000
_AT_LEAST: Final = 250


class PolicyDesk:
    """Serves the rules of one line."""

    def __init__(
        self,
        line: str,
        rules: LineRules,
        *,
        store: Store,
        bus: Bus,
        clock: Clock,
        topics: Topics,
        plan: PartitionPlan,
        board: AlertBoard,
        tenure: Tenure,
    ) -> None:
        self._line = line
        self._rules = rules
        rules.read = False
        self._store = store
        self._bus = bus
        self._clock = clock
        self._topics = topics
        self._plan = plan
        self._board = board
        self._tenure = tenure
        self._keeper = PolicyKeeper(store, topics, line)
        self._value: bytes | None = None
        """The change in force, as it is kept; None for what the settings say."""
        self._refused: bytes | None = None
        self._published: int | None = None
        """Up to which version the bus has the changes; None until the store said so."""
        self._marked = 0
        """Up to which version the store knows that."""
        self._halt_kept = False
        self._resumed: LineHalt | None = None
        """The last end of a halt that is known."""
        self._away = False
        self._log = get_logger("alerting").bind(line=line)

    async def start(self) -> None:
        """Learn what stands, if the store says so, before the first part is judged."""
        await self._look()

    async def run(self) -> None:
        """Follow the store; ends when it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish())
            while True:
                # What is not written stays on the board, for whoever writes next.
                with suppress(StoreError):
                    await self._tell()
                await wait_event(self._clock, self._rules.urgent, _POLL_S)
                self._rules.urgent.clear()
                await self._look()

    async def _look(self) -> None:
        before = state_fields(self._rules)
        try:
            await self._follow()
            if state_fields(self._rules) != before:
                await self._store.set_state(self._line, state_fields(self._rules))
        except StoreError as error:
            if not self._away:
                self._log.warning("policy.store_away", error=str(error), version=self._rules.version)
            self._away = True
        else:
            self._away = False

        metrics.POLICY_VERSION.labels(self._line).set(self._rules.version)
        metrics.HALTED.labels(self._line).set(self._rules.halted is not None)

    async def _follow(self) -> None:
        await self._follow_policy()
        # Not before the store has what it lost: the part that halted the line may be among that.
        begins = not self._rules.read and self._tenure.whole
        if begins:
            await self._remember()
        await self._follow_halt()
        if begins:
            self._rules.begin()
            if self._rules.halted is None and self._resumed is not None:
                # Whoever served then may have told nobody, or nobody served.
                self._rules.tell_resumed(self._resumed)

    async def _follow_policy(self) -> None:
        value = await self._keeper.stored()
        if value is not None and value == self._refused:
            return
        if value is None:
            # Emptied or replaced: what it knew is known here, and every other process is to know it, too.
            if self._value is not None:
                await self._keeper.put_back(self._value)
                self._log.warning("policy.put_back", version=self._rules.version)
                self._rules.tell("POLICY_PUT_BACK", f"the store had lost policy {self._rules.version}")
            return
        if value == self._value:
            if self._refused is not None:
                self._taken()
            return
        try:
            self._adopt(value)
        except ConfigError as error:
            await self._refuse(value, str(error))

    def _adopt(self, value: bytes) -> None:
        change = decode_record(PolicyChange, value)
        policy = policy_from_json(change.new, f"policy {change.version} of {self._line!r}")
        if change.version <= self._rules.version:
            raise ConfigError(
                f"the store has policy {change.version}, and {self._rules.version} is in force already",
                "Set it again, until its version is higher.",
            )
        self._value = value
        self._rules.adopt(policy, change.version)
        self._log.info(
            "policy.adopted", version=change.version, by=change.by, reason=change.why, reject_at=policy.reject_at
        )
        self._taken()

    def _taken(self) -> None:
        self._refused = None
        self._rules.tell("POLICY_TAKEN", f"policy {self._rules.version} is in force")

    async def _refuse(self, value: bytes, problem: str) -> None:
        """Go on by the last good policy; a service that just started knows it from the notes, or has its settings."""
        if self._value is None:
            for change in await self._keeper.changes(newest=_CHANGES):
                try:
                    self._rules.adopt(policy_from_json(change.new), change.version)
                except ConfigError:
                    continue
                self._value = encode_record(change)
                break
        self._refused = value
        self._log.error("policy.refused", problem=problem, version=self._rules.version)
        self._rules.tell("POLICY_REFUSED", f"{problem} Version {self._rules.version} stays in force.")

    async def _follow_halt(self) -> None:
        try:
            stored, value = await self._keeper.halted()
        except ConfigError as error:
            if self._rules.halted is None:
                self._rules.halt(str(error))
                self._halt_kept = True
            return
        if stored is not None and not stored.halted:
            self._resumed = stored
        here = self._rules.halted
        if here is None:
            if stored is not None and stored.halted:
                self._rules.halted_elsewhere(stored)
                self._halt_kept = True
            elif stored is None and self._resumed is not None and self._tenure.holds():
                # The store was emptied: who starts next must not take the halt before it for one that stands.
                await self._keeper.halt(self._resumed, instead_of=None)
        elif self._halt_kept and stored is not None and not stored.halted:
            self._rules.resume(stored)
            self._halt_kept = False
        elif stored is not None and stored.halted:
            self._halt_kept = True
        elif self._tenure.holds():
            # Not what a process found that slept while another took its line: that one knows better.
            self._halt_kept = await self._keeper.halt(here, instead_of=value)

    async def _remember(self) -> None:
        """Learn what was decided before this process began, and whether that halted the line."""
        try:
            stored, _ = await self._keeper.halted()
        except ConfigError:
            stored = None
        if stored is not None and stored.halted:
            self._rules.halted_elsewhere(stored)
        rules = self._rules.policy.runs
        newest = min(_REMEMBERED, 2 * max(_AT_LEAST, rules.share_parts, rules.rejects_in_a_row or 0))
        decisions = await self._store.decisions(self._line, newest=newest)
        resumed_ns = 0 if stored is None or stored.halted else stored.at_ns
        self._rules.remember(reversed(decisions), resumed_ns=resumed_ns)

    async def _tell(self) -> None:
        """Let operators know what the rules have to say; raises `StoreError` like the board."""
        while self._rules.alerts:
            self._board.note(self._rules.alerts.popleft())
        await self._board.flush(self._line)

    async def _publish(self) -> None:
        """Put every change on the bus, where it stays, and tell operators of it; one may come twice, none is lost."""
        while True:
            try:
                if self._published is None:
                    self._published = self._marked = await self._keeper.published()
                await self._publish_after(self._published)
            except (StoreError, BusUnavailableError) as error:
                self._log.warning("step.delayed", what="policy", error=str(error))
            await self._clock.sleep(_POLL_S)

    async def _publish_after(self, published: int) -> None:
        # Fixed before the changes are read: what is adopted while they are published is none of them.
        newest = self._rules.version
        if published < newest:
            for change in reversed(await self._keeper.changes(newest=_CHANGES)):
                if published < change.version <= newest:
                    await self._publish_one(change)
                    self._published = change.version
            self._published = newest
        if self._marked < newest:
            # Operators are told before: a process that dies in between tells them again, which is no news then.
            await self._tell()
            await self._keeper.mark_published(newest)
            self._marked = newest

    async def _publish_one(self, change: PolicyChange) -> None:
        await self._bus.publish(
            self._topics.decisions,
            encode(change),
            key=f"{self._line}/policy".encode(),
            partition=self._plan.of_line(self._line),
        )
        text = f"version {change.version} by {change.by}: {differences(change)} ({change.why})"
        # Each change is news: they are few, and each says something else.
        self._rules.tell("POLICY_CHANGED", text, subject=str(change.version))


def state_fields(rules: LineRules) -> dict[str, str]:
    """Return what a line's state says of its rules."""
    return {
        "reject_at": f"{rules.policy.reject_at:g}",
        "policy_version": str(rules.version),
        "policy_trial": str(rules.policy.on_silence is Silence.PASS).lower(),
        "halted": "" if rules.halted is None else rules.halted.why,
    }
