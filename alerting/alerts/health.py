"""What the alerting process itself sees of the service: store, bus, gates and journal."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Protocol

from alerting.alerts.board import AlertBoard
from alerting.alerts.symptoms import Symptom
from alerting.journal import Journal
from shared.clock import NS_PER_MS, NS_PER_S, Clock
from shared.errors import StoreError
from shared.log import get_logger
from shared.store.base import Alert, Store

_LOOK_S: Final = 1.0
_SILENT_NS: Final = NS_PER_S
_AFTER_S: Final = 2.0


class Gate(Protocol):
    """Whether a gate answers."""

    @property
    def connected(self) -> bool:
        """Return whether it does."""
        ...


class Polled(Protocol):
    """When the bus was last heard."""

    @property
    def polled_ns(self) -> int:
        """Return it on the monotonic clock."""
        ...


class ServiceHealth:
    """Looks once a second; tells after two, of each line that it concerns."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        board: AlertBoard,
        gates: Mapping[str, Gate],
        intake: Polled,
        journal: Journal | None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._board = board
        self._gates = gates
        self._intake = intake
        self._journal = journal
        self._of_all = (
            _symptom("STORE", "AWAY", "the store takes nothing: nothing may pass", "the store takes records again"),
            _symptom("BUS", "AWAY", "the bus does not answer: parts are rejected by default", "the bus answers again"),
            _symptom("JOURNAL", "AWAY", "the journal's disk takes nothing: records are held", "it takes records again"),
        )
        self._of_gate = {
            line: _symptom("GATE", "LOST", "the gate does not answer", "the gate answers again") for line in gates
        }
        self._log = get_logger("alerts")

    async def run(self) -> None:
        """Look until it is cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(_LOOK_S)

    async def look(self) -> None:
        """Look once, and tell what is news."""
        store_away = await self._store_away()
        now_ns = self._clock.monotonic_ns()
        bus_away = now_ns - self._intake.polled_ns > _SILENT_NS
        journal_away = self._journal is not None and self._journal.failing
        for symptom, wrong in zip(self._of_all, (store_away, bus_away, journal_away), strict=True):
            self._see(symptom, wrong=wrong, lines=list(self._gates))
        for line, gate in self._gates.items():
            self._see(self._of_gate[line], wrong=not gate.connected, lines=[line])
        if not store_away:
            for line in self._gates:
                # It may be away by now: what is noted is written the next time.
                with suppress(StoreError):
                    await self._board.tick(line)

    async def _store_away(self) -> bool:
        # Written, not asked: one that is full, or cannot save, answers every question and takes nothing.
        seen = {"looked_ms": str(self._clock.utc_ns() // NS_PER_MS)}
        try:
            for line in self._gates:
                await self._store.set_state(line, seen)
        except StoreError:
            return True
        return False

    def _see(self, symptom: Symptom, *, wrong: bool, lines: list[str]) -> None:
        before = symptom.told
        kind = symptom.seen(wrong=wrong, now_ns=self._clock.monotonic_ns())
        if kind is None:
            return
        if wrong or before is not None:
            # At once to whoever reads logs: a store that is away can tell nobody.
            self._log.warning("service.health", kind=kind, lines=lines)
        text = symptom.text if wrong else symptom.back_text
        for line in lines:
            self._board.note(Alert(line, kind, text, at_ns=self._clock.utc_ns()))


def _symptom(what: str, wrong: str, text: str, back_text: str) -> Symptom:
    return Symptom(f"{what}_{wrong}", f"{what}_BACK", text, back_text, _AFTER_S)
