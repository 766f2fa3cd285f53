"""What the console knows of one line: read from the store by one reader, however many browsers look on."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from alerting.alerts.handling import Row, rows_of
from shared.alerts import Handling, StandingAlert
from shared.clock import NS_PER_S, Clock
from shared.domain import Decision, Outcome
from shared.errors import StoreError, StoreUnavailableError
from shared.settings import LineSettings
from shared.store.base import Entry, LineCounters, Store

RIBBON: Final = 100
REJECTS: Final = 300
_MOST: Final = 1_000
_PIECE: Final = 200
_RATE_S: Final = 60
_STATE_NS: Final = NS_PER_S // 2


class LineFollower:
    """Follows a line's decisions, state, counters and alerts. All that it keeps is bounded."""

    def __init__(self, line: LineSettings, store: Store, clock: Clock, *, history: int, turn: float = 0.0) -> None:
        """Follow `line`; lines of different `turn`, 0 to 1, have their numbers read at different times."""
        self.line = line
        self.ribbon: deque[Entry[Decision]] = deque(maxlen=RIBBON)
        """The newest parts, oldest first."""
        self.rejects: deque[Entry[Decision]] = deque(maxlen=REJECTS)
        """The newest parts that did not pass, oldest first."""
        self.state: Mapping[str, str] = {}
        self.shift = ""
        self.of_shift = LineCounters()
        self.standing: Mapping[str, StandingAlert] = {}
        self.handling = Handling()
        self.said = ""
        """What changes whenever somebody says or settles anything of a part."""
        self.began_anew = False
        """Whether the last look found that the store had been emptied: what was known is nothing any more."""
        self._store = store
        self._clock = clock
        self._history = history
        self._place = ""
        self._counted: deque[tuple[int, int]] = deque()
        """When how many parts had been settled in this shift (monotonic ns), within the last minute."""
        self._looked_ns: int | None = None
        self._ahead_ns = round(turn * _STATE_NS)
        self._placed_ns = 0

    async def parts(self) -> list[Entry[Decision]]:
        """Return the parts that were settled since the last look, oldest first; the newest ones at the first one."""
        name, found = self.line.name, None
        self.began_anew = False
        if self._place:
            found = await self._store.decision_entries(name, after=self._place, most=_MOST)
            if not found and await self._is_gone():
                found, self.began_anew, self._place = None, True, ""
        if found is None or len(found) == _MOST:
            # The first look, or nobody looked on for long: what came in between is not told one by one.
            return await self._anew()
        for entry in found:
            self.ribbon.append(entry)
            if entry.value.outcome is not Outcome.PASS:
                self.rejects.append(entry)
        if found:
            self._place = found[-1].id
        return found

    async def _anew(self) -> list[Entry[Decision]]:
        """Look through what is kept, newest first, and hold on to what is shown alone.

        Thousands of decisions held at once would have Python look through all of its memory, while gates wait.
        """
        ribbon: list[Entry[Decision]] = []
        rejects: list[Entry[Decision]] = []
        left, place = self._history, ""
        while left > 0 and len(rejects) < REJECTS:
            found = await self._store.decision_entries(self.line.name, before=place, most=min(left, _PIECE))
            if not found:
                break
            left, place = left - len(found), found[0].id
            found.reverse()
            ribbon += found[: RIBBON - len(ribbon)]
            rejects += [entry for entry in found if entry.value.outcome is not Outcome.PASS]
        self.ribbon.clear()
        self.ribbon.extend(reversed(ribbon))
        self.rejects.clear()
        self.rejects.extend(reversed(rejects[:REJECTS]))
        if self.ribbon:
            self._place = self.ribbon[-1].id
        return list(self.ribbon)

    async def _is_gone(self) -> bool:
        """Return whether the place lies ahead of all that is kept; asked twice a second, since nothing is usual."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._placed_ns < _STATE_NS:
            return False
        self._placed_ns = now_ns
        newest = await self._store.newest_entry(self.line.name)
        return not newest or _order(newest) < _order(self._place)

    async def rest(self) -> bool:
        """Read state, counters, alerts and the newest word on a part again, if the last look is half a second old.

        Return whether it was.
        """
        now_ns = self._clock.monotonic_ns()
        if self._looked_ns is not None and now_ns - self._looked_ns < _STATE_NS:
            return False
        name, store = self.line.name, self._store
        shift = self.line.shift_times().at(self._clock.utc_ns()).name
        self.state = await store.state(name)
        self.of_shift = await store.shift_counters(name, shift)
        self.standing = await store.standing_alerts(name)
        self.handling = await store.alert_handling(name)
        self.said = await self._newest_word()
        if shift != self.shift:
            self.shift = shift
            self._counted.clear()
        self._counted.append((now_ns, self.of_shift.settled))
        while now_ns - self._counted[0][0] > _RATE_S * NS_PER_S:
            self._counted.popleft()
        self._looked_ns = now_ns if self._looked_ns is not None else now_ns - self._ahead_ns
        return True

    async def _newest_word(self) -> str:
        """Return what names it; a step that cannot be read, as of a newer version, is like none."""
        try:
            steps = await self._store.review_steps(self.line.name, newest=1)
        except StoreUnavailableError:
            raise
        except StoreError:
            return ""
        return "".join(f"{step.at_ns} {step.part_id}" for step in steps)

    def rate_per_min(self) -> float | None:
        """Return how many parts a minute were settled lately; None until that is known."""
        if len(self._counted) <= 1:
            return None
        (began_ns, before), (ended_ns, after) = self._counted[0], self._counted[-1]
        return (after - before) * 60 * NS_PER_S / (ended_ns - began_ns)

    def alerts(self) -> list[Row]:
        """Return all alerts with where they stand now."""
        return rows_of(self.standing.values(), self.handling, self._clock.utc_ns())


def _order(entry: str) -> tuple[int, int]:
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number)
