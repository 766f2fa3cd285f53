"""Keeping evidence: ask the store how parts were decided, and put there what is worth keeping of their frames.

It runs beside the engine, at a lower priority, and after the verdicts: nothing waits for it. A store that is away, a
picture that cannot be made and a shelf that is full cost evidence, are counted, and cost nothing else.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from detector.evidence.making import make_evidence
from detector.evidence.shelf import Held, Shelf
from shared import metrics
from shared.clock import NS_PER_S, Clock
from shared.errors import ConfigError, StoreError, StoreUnavailableError
from shared.evidence import why_kept
from shared.log import get_logger
from shared.policy import LinePolicy, policy_from, policy_from_json
from shared.policy_keeper import PolicyKeeper

if TYPE_CHECKING:
    from shared.domain import Decision
    from shared.evidence import CameraEvidence, Why
    from shared.policy import Limits
    from shared.settings import Settings
    from shared.store.base import Store

_ASK_S: Final = 0.25
_ASKED_AT_ONCE: Final = 200
_PATIENCE_NS: Final = 30 * NS_PER_S
"""How long after its gate a part may still be decided: one whose gate never answered is asked for a while."""
_FINISH_NS: Final = 2 * NS_PER_S
_POLICIES: Final = 64
_CHANGES: Final = 200
_NICE: Final = 10
_MIB: Final = 1024 * 1024


class EvidenceKeeper:
    """Holds the frames of one detector until their parts are decided; `offer` is called for each after its verdict."""

    def __init__(self, settings: Settings, *, store: Store, clock: Clock) -> None:
        kept = settings.detector.evidence
        self._sample_every = kept.sample_every
        self._picture_bytes = kept.picture_kib * 1024
        self._lines = {line.name: line for line in settings.lines}
        self._longest_ns = max((line.gate_delay_ns for line in settings.lines), default=0)
        self._keepers = {name: PolicyKeeper(store, settings.topics, name) for name in self._lines}
        self._policies: OrderedDict[tuple[str, int], LinePolicy] = OrderedDict()
        self._store = store
        self._clock = clock
        self._shelf = Shelf(max_bytes=kept.shelf_mib * _MIB)
        self._failing: set[str] = set()
        self._log = get_logger("detector")

    def offer(self, held: Held) -> None:
        """Hold a frame that was answered, until its part is decided."""
        self._missed(self._shelf.put(held), "no_room")
        metrics.EVIDENCE_SHELF_BYTES.set(self._shelf.held_bytes)

    def until_ns(self, decide_by_ns: int) -> int:
        """Return until when, on the monotonic clock, the decision of a part is waited for."""
        left_ns = max(0, decide_by_ns - self._clock.utc_ns())
        return self._clock.monotonic_ns() + min(left_ns, self._longest_ns) + _PATIENCE_NS

    async def run(self) -> None:
        """Keep what is decided; ends when it is cancelled."""
        with ThreadPoolExecutor(1, thread_name_prefix="evidence", initializer=_give_way) as thread:
            while True:
                await self._clock.sleep(_ASK_S)
                await self._round(thread)

    async def finish(self) -> None:
        """Wait for a moment for the parts that are about to be decided, once no frame comes any more."""
        ends_ns = self._clock.monotonic_ns() + _FINISH_NS
        while len(self._shelf) and self._clock.monotonic_ns() < ends_ns:
            await self._clock.sleep(_ASK_S)

    async def _round(self, thread: ThreadPoolExecutor) -> None:
        self._missed(self._shelf.give_up(self._clock.monotonic_ns()), "undecided")
        for line, part_ids in self._shelf.waiting(_ASKED_AT_ONCE).items():
            failed = False
            try:
                decisions = (await self._store.decided(line, part_ids)).values()
            except Exception as error:  # noqa: BLE001 - the next round asks again
                self._fails(line, error)
                continue
            for decision in decisions:
                try:
                    await self._settled(decision, thread)
                except StoreError as error:
                    # It waits on the shelf, until its time is over.
                    self._fails(line, error, part=decision.part_id)
                    failed = True
                    if isinstance(error, StoreUnavailableError):
                        break
                except Exception as error:  # noqa: BLE001 - whatever is wrong with a part, others go on
                    self._shelf.take((line, decision.part_id))
                    self._missed(1, "failed")
                    self._fails(line, error, part=decision.part_id)
                    failed = True
            if not failed:
                self._failing.discard(line)
        metrics.EVIDENCE_SHELF_BYTES.set(self._shelf.held_bytes)

    async def _settled(self, decision: Decision, thread: ThreadPoolExecutor) -> None:
        """Keep what is worth keeping of a decided part, and forget the rest."""
        policy = await self._policy(decision)
        why = why_kept(decision, policy, sample_every=self._sample_every)
        frames = []
        for held in self._shelf.take((decision.line, decision.part_id)):
            apart_ns = abs(held.verdict.capture.captured_at_ns - decision.captured_at_ns)
            if apart_ns > self._longest_ns:
                # A part of long ago had the same name: this one is still to be decided.
                self.offer(held)
            elif why is not None:
                frames.append((held, why))
        while frames:
            try:
                await self._keep(*frames[0], decision, policy, thread)
            except StoreError:
                # The next round asks again.
                for held, _ in frames:
                    self.offer(held)
                raise
            except Exception as error:  # noqa: BLE001 - whatever a picture does, verdicts and other evidence go on
                self._log.warning("evidence.failed", line=decision.line, part=decision.part_id, error=repr(error))
                self._missed(1, "failed")
            del frames[0]

    async def _keep(
        self, held: Held, why: Why, decision: Decision, policy: LinePolicy, thread: ThreadPoolExecutor
    ) -> None:
        loop = asyncio.get_running_loop()
        evidence = await loop.run_in_executor(thread, self._made, held, policy.limits(held.camera))
        instead = _is_judged(held, decision)
        if await self._store.put_evidence(decision, why, held.camera, evidence, instead=instead):
            metrics.EVIDENCE_KEPT.labels(decision.line, why.value).inc()
        else:
            self._missed(1, "too_large")

    async def _policy(self, decision: Decision) -> LinePolicy:
        """Return the policy that a part was decided by: the settings', or one of the store's record of changes.

        Of one that is not there (any more) no more than the decision's own threshold is known.
        """
        key = decision.line, decision.policy_version
        known = self._policies.get(key)
        if known is not None:
            return known
        settings, keeper = self._lines.get(decision.line), self._keepers.get(decision.line)
        found = None if settings is None or decision.policy_version else settings.policy
        if decision.policy_version and keeper is not None:
            for change in await keeper.changes(newest=_CHANGES):
                if change.version == decision.policy_version:
                    with suppress(ConfigError):
                        found = policy_from_json(change.new)
        if found is None:
            with suppress(ConfigError):
                found = policy_from({"reject_at": decision.reject_at})
        self._policies[key] = found or LinePolicy()
        if len(self._policies) > _POLICIES:
            self._policies.popitem(last=False)
        return self._policies[key]

    def _made(self, held: Held, limits: Limits) -> CameraEvidence:
        return make_evidence(held, limits, picture_bytes=self._picture_bytes)

    def _fails(self, line: str, error: Exception, **about: str) -> None:
        """Tell once that evidence of a line fails, until it does not."""
        if line not in self._failing:
            self._log.warning("evidence.failed", line=line, error=repr(error), **about)
        self._failing.add(line)

    def _missed(self, count: int, reason: str) -> None:
        if count:
            metrics.EVIDENCE_MISSED.labels(reason).inc(count)


def _is_judged(held: Held, decision: Decision) -> bool:
    """Return whether a decision rests on just what was found in a frame: one that comes again may be seen otherwise."""
    verdict = held.verdict
    seen = verdict.status, verdict.reason, verdict.raw_score
    return any(
        one.camera == held.camera and (one.status, one.reason, one.raw_score) == seen for one in decision.findings
    )


def _give_way() -> None:
    """Let the engine's thread go first where there is not enough of the processor for both."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
