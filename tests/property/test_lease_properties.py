"""Whatever is cut off, emptied or let go in whichever order: at no instant do two processes have one line."""

from __future__ import annotations

import asyncio
from typing import Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from alerting.lease import LeaseKeeper, Tenure
from shared.clock import ManualClock
from tests.lines import LINE
from tests.outages import CuttableStore

NAMES: Final = ("one", "two", "three")
STEP_S: Final = 0.05
OPERATIONS: Final = ("move_lease", "move_lease answer", "lease")


class Rival:
    """A process that always wants the line, behind a network of its own."""

    def __init__(self, name: str, store: CuttableStore, clock: ManualClock) -> None:
        self.way = store.other_way()
        self.tenure: Tenure | None = None
        self.tokens: list[int] = []
        self._keeper = LeaseKeeper(LINE, holder=name, store=self.way, clock=clock, lease_ms=1_000, alone=False)
        self.task = asyncio.create_task(self._want())

    async def _want(self) -> None:
        while (tenure := await self._keeper.acquire(asyncio.Event())) is not None:
            self.tenure = tenure
            await self._keeper.keep(tenure)

    @property
    def holds(self) -> bool:
        """Return whether it would signal."""
        if self.tenure is None or not self.tenure.holds():
            return False
        assert self.tenure.token is not None
        if self.tenure.token not in self.tokens:
            self.tokens.append(self.tenure.token)
        return True


EVENTS: Final = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 40)),
    st.tuples(st.just("away"), st.sampled_from(range(len(NAMES)))),
    st.tuples(st.just("back"), st.sampled_from(range(len(NAMES)))),
    st.tuples(st.sampled_from(OPERATIONS), st.sampled_from(range(len(NAMES)))),
    st.tuples(st.just("emptied"), st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, max_size=25))
@example([("emptied", 0), ("away", 0), ("wait", 38), ("emptied", 0)])
def test_never_two_have_one_line(events: list[tuple[str, int]]) -> None:
    """And somebody has it again within two leases once all can reach the store, by a token above all before."""
    asyncio.run(_played(events))


async def _played(events: list[tuple[str, int]]) -> None:
    clock = ManualClock()
    store = CuttableStore.embedded(clock)
    rivals = [Rival(name, store, clock) for name in NAMES]
    held: list[int] = []
    for what, value in [*events, ("end", 0), ("wait", 50)]:
        match what:
            case "wait":
                for _ in range(value):
                    await clock.advance(STEP_S)
                    _check(rivals, held)
            case "away":
                rivals[value].way.away = True
            case "back":
                rivals[value].way.away = False
            case "emptied":
                store.data.clear()
            case "end":
                for rival in rivals:
                    rival.way.away = False
                    rival.way.fails_once.clear()
            case _:
                rivals[value].way.fails_once.add(what)
    assert sum(rival.holds for rival in rivals) == 1
    for rival in rivals:
        rival.task.cancel()
    await asyncio.gather(*(rival.task for rival in rivals), return_exceptions=True)
    await store.close()


def _check(rivals: list[Rival], held: list[int]) -> None:
    holding = [rival for rival in rivals if rival.holds]
    assert len(holding) <= 1
    for rival in holding:
        if rival.tokens[-1] not in held:
            assert all(token < rival.tokens[-1] for token in held)
            held.append(rival.tokens[-1])
