"""Overlays that come after their verdicts: wherever their part is by then, the reject gets its picture."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from alerting.late_pictures import LatePictures
from alerting.plc_sim.gate_log import GateAction
from alerting.plc_sim.simulator import GateSimulator
from shared.bus.base import TopicPartition
from shared.clock import ManualClock
from shared.domain import Capture, CaptureId, Outcome
from shared.errors import StoreError, StoreUnavailableError
from shared.store.memory.data import MemoryData
from shared.store.settings import StoreSettings
from tests.gates import FrozenGate
from tests.lines import LINE, Plant, running
from tests.outages import CuttableStore

GOOD, BAD = 0.5, 5.0
TOKEN = (TopicPartition("verdicts", 0), 7)
CAPTURE = Capture(CaptureId(LINE, "camera", 1, 1), "p1", 0, 1)


async def test_a_verdict_may_bring_its_overlay_itself() -> None:
    """As those of older detectors do."""
    async with running(Plant()) as plant:
        await plant.announce("p1")
        await plant.draw("p1", BAD, repeats=False)
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.REJECTED}
        assert await plant.store.picture(LINE, "p1", "camera") == b"jpeg"
        assert (await plant.counters()).late_verdicts == 0


@pytest.mark.parametrize("after_s", [0.01, 0.1, 3.0])
async def test_an_overlay_may_come_after_the_reject(after_s: float) -> None:
    """The signal does not wait for it, nor does the record; it is kept all the same, and is no late verdict."""
    async with running(Plant()) as plant:
        await plant.announce("bad")
        await plant.announce("good")
        await plant.say("bad", BAD)
        await plant.say("good", GOOD)
        await plant.run(after_s)
        assert plant.actions() == ({"bad": GateAction.REJECTED, "good": GateAction.PASSED} if after_s > 2 else {})
        await plant.draw("bad", BAD)
        await plant.draw("good", GOOD)
        await plant.run(2)
        assert plant.actions() == {"bad": GateAction.REJECTED, "good": GateAction.PASSED}
        assert await plant.store.picture(LINE, "bad", "camera") == b"jpeg"
        assert await plant.store.picture(LINE, "good", "camera") is None
        assert (await plant.counters()).late_verdicts == 0
        await plant.assert_balanced()


async def test_an_overlay_that_comes_after_a_restart_is_kept() -> None:
    """Nobody knows any more that its part was rejected."""
    async with running(Plant()) as plant:
        await plant.announce("p1")
        await plant.say("p1", BAD)
        await plant.run(2)
        await plant.stop()
        await plant.start()
        await plant.draw("p1", BAD)
        await plant.run(1)
        assert await plant.store.picture(LINE, "p1", "camera") == b"jpeg"
        assert (await plant.counters()).late_verdicts == 0
        await plant.assert_balanced()


async def test_an_overlay_that_is_kept_slowly_holds_up_no_other_part() -> None:
    """A store that takes long for a picture is in the way of no good part's signal."""
    async with running(Plant()) as plant:
        plant.store.slow["put_picture"] = 0.4
        await plant.announce("bad")
        await plant.say("bad", BAD)
        await plant.run(0.05)
        await plant.draw("bad", BAD)
        await plant.run(0.01)
        await plant.announce("good")
        await plant.say("good", GOOD)
        await plant.run(0.05)
        assert {part.part_id for part in await plant.published()} == {"bad", "good"}
        assert await plant.store.picture(LINE, "bad", "camera") is None
        await plant.run(2)
        assert await plant.store.picture(LINE, "bad", "camera") == b"jpeg"
        await plant.assert_balanced()


@pytest.mark.parametrize("back_s", [0.02, 0.5])
@pytest.mark.parametrize("recorded", [False, True])
async def test_an_overlay_outlives_a_store_that_is_away(back_s: float, recorded: bool) -> None:
    """Whether that went away before the part was recorded, or after it."""
    async with running(Plant()) as plant:
        plant.store.away = not recorded
        await plant.announce("p1")
        await plant.say("p1", BAD)
        await plant.run(0.05)
        plant.store.away = True
        await plant.draw("p1", BAD)
        await plant.run(back_s)
        plant.store.away = False
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.REJECTED}
        assert await plant.store.picture(LINE, "p1", "camera") == b"jpeg"
        await plant.assert_balanced()


@pytest.mark.parametrize("drops", [False, True])
async def test_an_overlay_of_a_part_whose_signal_nobody_answered_is_kept(drops: bool) -> None:
    """It waits with its part until the gate can be asked."""
    gates: list[FrozenGate] = []

    def frozen(simulator: GateSimulator) -> FrozenGate:
        gates.append(FrozenGate(simulator))
        return gates[-1]

    async with running(Plant(signals=frozen)) as plant:
        gates[0].frozen, gates[0].drops = True, drops
        await plant.announce("p1")
        await plant.say("p1", BAD)
        await plant.run(0.05)
        await plant.draw("p1", BAD)
        await plant.run(0.05)
        gates[0].thaw()
        await plant.run(2)
        assert {part.outcome for part in await plant.published()} == {Outcome.REJECT}
        assert await plant.store.picture(LINE, "p1", "camera") == b"jpeg"


class RefusingStore(CuttableStore):
    """Refuses pictures so many times, in the way that is given."""

    times = 0
    error: StoreError = StoreError("no room")

    async def put_picture(self, line: str, part_id: str, camera: str, jpeg: bytes) -> None:
        """Refuse, or keep."""
        self.times -= 1
        if self.times >= 0:
            raise self.error
        await super().put_picture(line, part_id, camera, jpeg)


@pytest.mark.parametrize(
    ("error", "times", "kept"),
    [
        (StoreError("no room"), 1, True),
        (StoreError("no room"), 2, False),
        (StoreUnavailableError("away"), 9, True),
    ],
)
async def test_a_store_that_refuses_is_asked_twice_and_one_that_is_away_again_and_again(
    error: StoreError, times: int, kept: bool
) -> None:
    """What is lost is told; whatever comes of it, the bus's record is done with."""
    clock, done = ManualClock(), list[object]()
    store = RefusingStore(StoreSettings(), MemoryData(clock))
    store.error, store.times = error, times
    pictures = LatePictures(store, clock, done.extend)
    keeping = asyncio.create_task(pictures.run())
    with capture_logs() as told:
        pictures.add(CAPTURE, b"jpeg", TOKEN)
        async with asyncio.timeout(10):
            while not done:
                await clock.advance(0.1)
    assert done == [TOKEN]
    assert (await store.picture(LINE, "p1", "camera") == b"jpeg") is kept
    assert [one["event"] for one in told] == ([] if kept else ["picture.lost"])
    keeping.cancel()


async def test_what_there_is_no_room_for_is_told_as_lost() -> None:
    """The first ones stay; those beyond them are done with at once."""
    done: list[object] = []
    pictures = LatePictures(CuttableStore.embedded(), ManualClock(), done.extend)
    with capture_logs() as told:
        for _ in range(70):
            pictures.add(CAPTURE, b"jpeg", TOKEN)
    assert len(done) == 6
    assert [one["event"] for one in told] == ["picture.lost"] * 6
