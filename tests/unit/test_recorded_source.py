from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.recording.header import RecordingHeader
from ingest.sources.base import Shot, TimeSource
from ingest.sources.recorded import RecordedSource, ReplayPacer
from shared.clock import NS_PER_MS, NS_PER_S, ManualClock
from shared.errors import DataError
from tests.recordings import same, shots, write


class Projector:
    """Plays recorded times on a pacer, in milliseconds, and writes down when each was due."""

    def __init__(self, speed: float = 1.0) -> None:
        self.clock = ManualClock()
        self._pacer = ReplayPacer(self.clock, speed)

    async def play(self, *recorded_ms: int, busy_ms: int = 0) -> list[int]:
        """Return when each exposure was played; the first one keeps its reader busy for `busy_ms`."""
        played: list[int] = []

        async def run() -> None:
            for recorded in recorded_ms:
                await self._pacer.wait_for(recorded * NS_PER_MS)
                played.append(self.clock.monotonic_ns() // NS_PER_MS)
                await self.clock.sleep(busy_ms / 1_000 if len(played) == 1 else 0)

        running = asyncio.create_task(run())
        await self.clock.advance(100)
        await running
        return played


async def test_exposures_keep_their_recorded_distances() -> None:
    """Even and uneven ones, from whatever time they were recorded at."""
    assert await Projector().play(5_000, 5_100, 5_130, 7_000) == [0, 100, 130, 2_000]


async def test_a_faster_replay_shortens_every_distance() -> None:
    """At twice the speed half of it, at a tenth ten times as much."""
    assert await Projector(2).play(5_000, 5_100, 7_000) == [0, 50, 1_000]
    assert await Projector(0.1).play(5_000, 5_100, 7_000) == [0, 1_000, 20_000]


async def test_a_short_delay_of_a_replay_is_caught_up() -> None:
    """Less than a tenth of a second behind, the recorded times hold."""
    assert await Projector().play(0, 50, 100, 150, busy_ms=90) == [0, 90, 100, 150]


async def test_a_long_delay_of_a_replay_is_no_burst() -> None:
    """After a pause it goes on from then: parts do not come faster than they did."""
    assert await Projector().play(0, 50, 100, 150, busy_ms=1_000) == [0, 1_000, 1_050, 1_100]


async def test_a_clock_that_was_set_back_costs_no_time() -> None:
    """The exposure behind the step follows at once, and distances count from there."""
    assert await Projector().play(5_000, 5_100, 2_000, 2_100) == [0, 100, 100, 200]


class InstantClock(ManualClock):
    """A clock on which every sleep is over at once."""

    async def sleep(self, seconds: float) -> None:
        """Move time instead of waiting."""
        self._monotonic_ns += max(0, round(seconds * NS_PER_S))


class WatchedClock(ManualClock):
    """A clock that tells when somebody sleeps on it."""

    def __init__(self) -> None:
        super().__init__()
        self.slept_on = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Tell, and sleep."""
        if seconds > 0:
            self.slept_on.set()
        await super().sleep(seconds)


async def played(source: RecordedSource) -> list[Shot]:
    """Return all shots of a source, from its opening to its close."""
    await source.open()
    found = []
    while (shot := await source.read()) is not None:
        found.append(shot)
    await source.close()
    return found


async def test_a_replay_differs_from_the_recording_in_nothing_but_the_time(tmp_path: Path) -> None:
    """Every field comes back; an exposure is captured when it is played, by this host's clock."""
    recorded = shots(4, gap_ns=NS_PER_S)
    clock = InstantClock()
    began_ns = clock.utc_ns()
    path = write(tmp_path / "a.mcap", recorded)
    found = await played(RecordedSource(path, speed=4, limit=None, clock=clock))
    for one, other in zip(recorded, found, strict=True):
        assert same(replace(one, captured_at_ns=other.captured_at_ns, time_source=TimeSource.RECEIPT), other)
    assert [shot.captured_at_ns - began_ns for shot in found] == [0, NS_PER_S // 4, NS_PER_S // 2, NS_PER_S * 3 // 4]


async def test_a_replay_is_stepped_by_its_clock(tmp_path: Path) -> None:
    """As long as time stands still, nothing is played but the first exposure."""
    clock = WatchedClock()
    path = write(tmp_path / "a.mcap", shots(3, gap_ns=10 * NS_PER_S))
    source = RecordedSource(path, speed=2, limit=None, clock=clock)
    await source.open()
    first = await source.read()
    assert first is not None
    reading = asyncio.create_task(source.read())
    await clock.slept_on.wait()
    await clock.advance(4.9)
    assert not reading.done()
    await clock.advance(0.1)
    second = await reading
    assert second is not None
    assert second.captured_at_ns - first.captured_at_ns == 5 * NS_PER_S
    await source.close()


@pytest.mark.parametrize(("limit", "numbers"), [(None, [1, 2, 3]), (2, [1, 2]), (9, [1, 2, 3])])
async def test_a_recording_is_played_once_up_to_its_limit(
    tmp_path: Path, limit: int | None, numbers: list[int]
) -> None:
    """A limit above what it holds repeats nothing."""
    path = write(tmp_path / "a.mcap", shots(3))
    source = RecordedSource(path, speed=1, limit=limit, clock=InstantClock())
    assert [shot.number for shot in await played(source)] == numbers


async def test_a_replay_that_is_opened_again_goes_on(tmp_path: Path) -> None:
    """No part comes twice."""
    source = RecordedSource(write(tmp_path / "a.mcap", shots(3)), speed=1, limit=None, clock=InstantClock())
    await source.open()
    first = await source.read()
    assert first is not None
    assert first.number == 1
    await source.close()
    assert [shot.number for shot in await played(source)] == [2, 3]


@pytest.mark.parametrize("numbers_parts", [True, False])
def test_a_recording_numbers_parts_as_its_source_did(tmp_path: Path, numbers_parts: bool) -> None:
    """It is told before the recording is opened."""
    header = RecordingHeader(line="a", camera="b", software="1", numbers_parts=numbers_parts)
    path = write(tmp_path / "a.mcap", shots(1), header)
    assert RecordedSource(path, speed=1, limit=None, clock=ManualClock()).numbers_parts is numbers_parts


async def test_a_recording_that_cannot_be_played_is_refused_at_the_start(tmp_path: Path) -> None:
    """Missing, empty, something else, or damaged anywhere: before the first shot, by its name."""
    damaged = write(tmp_path / "damaged.mcap", shots(3))
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    write(tmp_path / "nothing.mcap", [])
    (tmp_path / "text.mcap").write_text("no recording", encoding="utf-8")
    for name in ("missing.mcap", "nothing.mcap", "text.mcap", "damaged.mcap"):
        with pytest.raises(DataError, match=name):
            await RecordedSource(tmp_path / name, speed=1, limit=None, clock=ManualClock()).open()


async def test_a_cut_recording_is_played_up_to_its_cut(tmp_path: Path) -> None:
    """What kill -9 left is whole shots."""
    path = write(tmp_path / "a.mcap", shots(5), each_whole=True)
    path.write_bytes(path.read_bytes()[:1_000])
    found = await played(RecordedSource(path, speed=1, limit=None, clock=InstantClock()))
    assert 0 < len(found) < 5
