"""Live updates: snapshots, catching up, slow browsers, one reader for all, and what is bounded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import pytest

from alerting.console import hub as hub_module
from alerting.console.hub import GATHER_S
from alerting.console.rights import Permission
from shared.domain import Decision, Outcome
from shared.review import Said
from shared.review_desk import ReviewDesk
from shared.store.base import Entry
from tests.consoles import LINE, OTHER, Hall, console_settings, hall

Event = tuple[str, str, dict[str, Any]]


class Watcher:
    """A browser that looks on: what it was sent, event by event."""

    def __init__(self, opened: Hall, *lines: str, last_id: str = "") -> None:
        self.events: list[Event] = []
        self._stream = opened.context.hub.stream(lambda line: line in (lines or (LINE, OTHER)), last_id)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def leave(self) -> None:
        """Close the page."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self._stream.aclose()

    async def _watch(self) -> None:
        async for chunk in self._stream:
            self.events += events_in(chunk)

    @property
    def last_id(self) -> str:
        """Where it is."""
        return self.events[-1][0]

    def parts(self, line: str = LINE) -> list[str]:
        """Return the parts that it shows of a line, oldest first."""
        shown: list[str] = []
        for _, kind, value in self.events:
            if kind == "snapshot":
                shown = [
                    part["part_id"] for found in value["lines"] if found["line"] == line for part in found["parts"]
                ]
            elif kind == "line" and value["line"] == line:
                shown += [part["part_id"] for part in value["parts"]]
        return shown


async def go(opened: Hall, seconds: float) -> None:
    """Let time go by, and everything happen that is due: a look at the store takes many turns of the loop."""
    for _ in range(max(1, round(seconds / GATHER_S))):
        await opened.clock.advance(min(seconds, GATHER_S), settle=150)


def events_in(chunk: bytes) -> list[Event]:
    """Read server-sent events."""
    found = []
    for block in chunk.decode().strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if "event" in fields:
            found.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
    return found


@pytest.fixture
async def opened() -> AsyncIterator[Hall]:
    """Open a hall whose console reads."""
    async with hall() as found, reads(found):
        yield found


@asynccontextmanager
async def reads(opened: Hall) -> AsyncIterator[None]:
    """Let a hall's console read."""
    reading = asyncio.create_task(opened.context.hub.run())
    yield
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def test_a_browser_is_given_a_snapshot_and_then_what_comes(opened: Hall) -> None:
    """Each part once, in order."""
    await opened.settle("p1")
    async with Watcher(opened) as watcher:
        await go(opened, 0.3)
        assert watcher.parts() == ["p1"]
        await opened.settle("p2", Outcome.REJECT)
        await opened.settle("p3")
        await go(opened, 0.3)
        assert watcher.parts() == ["p1", "p2", "p3"]
        kinds = [kind for _, kind, _ in watcher.events]
        assert kinds.count("snapshot") == 1


async def test_what_comes_within_a_tenth_of_a_second_is_sent_once(opened: Hall) -> None:
    """However many parts it is."""
    async with Watcher(opened) as watcher:
        await go(opened, 1)
        before = len(watcher.events)
        for index in range(20):
            await opened.settle(f"p{index}")
        await go(opened, GATHER_S)
        with_parts = [value for _, _, value in watcher.events[before:] if value.get("parts")]
        assert len(with_parts) == 1
        assert len(with_parts[0]["parts"]) == 20


async def test_a_browser_that_was_away_is_told_what_came_meanwhile(opened: Hall) -> None:
    """By the id of the last event that it had, without a snapshot, and nothing twice."""
    async with Watcher(opened), Watcher(opened) as watcher:
        await opened.settle("p1")
        await go(opened, 0.3)
        await watcher.leave()
        await opened.settle("p2")
        await go(opened, 0.3)
        async with Watcher(opened, last_id=watcher.last_id) as again:
            await go(opened, 0.3)
            await opened.settle("p3")
            await go(opened, 0.3)
            assert again.parts() == ["p2", "p3"]
            assert "snapshot" not in {kind for _, kind, _ in again.events}


@pytest.mark.parametrize("last_id", ["", "other-5", "nonsense", "-1", "{era}-99999", "{era}-x", "{era}-\u00b2"])
async def test_an_id_that_is_not_known_leads_to_a_snapshot(opened: Hall, last_id: str) -> None:
    """Such as one of before a restart, or one that was made up."""
    await opened.settle("p1")
    wanted = last_id.format(era=opened.context.hub._era)
    async with Watcher(opened, last_id=wanted) as watcher:
        await go(opened, 0.3)
        assert watcher.events[0][1] == "snapshot"
        assert watcher.parts() == ["p1"]


async def test_a_browser_too_slow_for_what_is_kept_is_given_a_snapshot(
    opened: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs no memory meanwhile, and shows the newest parts afterwards."""
    monkeypatch.setattr(hub_module, "_MOST_MESSAGES", 5)
    hub = opened.context.hub
    slow = hub.stream(lambda _: True)
    assert events_in(await anext(slow))[0][1] == "snapshot"
    async with Watcher(opened):
        for index in range(30):
            await opened.settle(f"p{index}")
            await go(opened, GATHER_S)
        assert len(hub._messages) == 5
        (event,) = events_in(await anext(slow))
        assert event[1] == "snapshot"
        shown = [part["part_id"] for part in event[2]["lines"][0]["parts"]]
        assert shown == [f"p{index}" for index in range(30)]
    await slow.aclose()


async def test_messages_are_bounded_by_bytes_too(opened: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is counted is what is held."""
    monkeypatch.setattr(hub_module, "_MOST_BYTES", 3_000)
    async with Watcher(opened):
        for index in range(30):
            await opened.settle(f"p{index}")
            await go(opened, GATHER_S)
        hub = opened.context.hub
        held = sum(len(message.event) for message in hub._messages)
        assert held == hub._bytes <= 3_000


async def test_ten_browsers_cost_the_store_no_more_than_one(opened: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """One reader feeds them all; and where nobody looks on, nothing is read."""
    calls = 0
    plain = opened.store.decision_entries

    async def counted(line: str, *, after: str = "", before: str = "", most: int) -> list[Entry[Decision]]:
        nonlocal calls
        calls += 1
        return await plain(line, after=after, before=before, most=most)

    monkeypatch.setattr(opened.store, "decision_entries", counted)
    costs = []
    for browsers in (1, 10, 0):
        watchers = [Watcher(opened) for _ in range(browsers)]
        for watcher in watchers:
            await watcher.__aenter__()
        await go(opened, 1)
        calls = 0
        await go(opened, 10)
        costs.append(calls)
        for watcher in watchers:
            await watcher.leave()
    assert costs[0] == costs[1] > 0
    assert costs[2] <= len(opened.settings.lines)


async def test_what_went_by_takes_no_memory(opened: Hall) -> None:
    """Neither what is kept of a line nor what is kept for browsers grows beyond its bound."""
    async with Watcher(opened):
        for index in range(640):
            await opened.settle(f"p{index}", Outcome.REJECT)
            if index % 40 == 0:
                await go(opened, GATHER_S)
        await go(opened, 65)
        follower = opened.context.hub.lines[LINE]
        assert len(follower.ribbon) == 100
        assert len(follower.rejects) == 300
        assert 100 < len(follower._counted) <= 122


async def test_more_parts_than_one_look_takes_are_caught_up_with(opened: Hall) -> None:
    """Whoever comes after a long time sees the newest."""
    async with Watcher(opened) as watcher:
        await go(opened, 0.3)
    for index in range(1_001):
        await opened.settle(f"p{index}")
    async with Watcher(opened) as watcher:
        await go(opened, 0.5)
        assert watcher.parts()[-1] == "p1000"
        assert watcher.parts() == [f"p{index}" for index in range(901, 1_001)]


async def test_a_store_that_is_away_is_told_and_so_is_its_return(opened: Hall) -> None:
    """Meanwhile what is known stays."""
    await opened.settle("p1")
    async with Watcher(opened) as watcher:
        await go(opened, 0.3)
        opened.store.away = True
        await go(opened, 3)
        assert ("away", {"away": True}) in [(kind, value) for _, kind, value in watcher.events]
        async with Watcher(opened) as late:
            await go(opened, 0.3)
            assert late.events[0][2]["away"] is True
        opened.store.away = False
        await opened.settle("p2")
        await go(opened, 3)
        assert watcher.events[-1][2].get("away") is not True
        assert watcher.parts() == ["p1", "p2"]


async def test_what_cannot_be_read_of_a_line_holds_up_no_other(opened: Hall) -> None:
    """It is told in the log, and the line goes on once it can be read again."""
    board = opened.store.data.line(LINE).board
    async with Watcher(opened) as watcher:
        board["GATE_LOST"] = b"\xc1 damaged"
        await go(opened, 1)
        await opened.settle("theirs", line=OTHER)
        await go(opened, 1)
        assert watcher.parts(OTHER) == ["theirs"]
        del board["GATE_LOST"]
        await opened.settle("ours")
        await go(opened, 1)
        assert watcher.parts() == ["ours"]


async def test_a_browser_that_leaves_is_counted_no_more(opened: Hall) -> None:
    """However it leaves: then nothing is read for it."""
    hub = opened.context.hub
    async with Watcher(opened), Watcher(opened):
        await go(opened, 0.3)
        assert hub.watchers == 2
    assert hub.watchers == 0
    stream = hub.stream(lambda _: True)
    await anext(stream)
    assert hub.watchers == 1
    await stream.aclose()
    assert hub.watchers == 0


async def test_nobody_is_told_of_lines_that_they_may_not_see(opened: Hall) -> None:
    """In the snapshot and afterwards."""
    async with Watcher(opened, LINE) as watcher:
        await opened.settle("theirs", line=OTHER)
        await opened.settle("ours")
        await go(opened, 0.5)
        assert watcher.parts() == ["ours"]
        assert OTHER not in json.dumps([value for _, _, value in watcher.events])


async def test_a_stream_ends_when_its_session_does() -> None:
    """Within half a minute of an admin's word; an open page counts as use of its session until then."""
    async with hall(console_settings(idle_min=1)) as opened:
        reading = asyncio.create_task(opened.context.hub.run())
        browser = await opened.signed_in("viewer")
        # httpx gives an answer of an application once it is whole: what is waited for is the stream's end.
        watching = asyncio.create_task(browser.get("/api/v1/events"))
        await go(opened, 100)
        assert not watching.done()
        await opened.add_user("boss", "admin")
        await opened.context.desk.set_disabled("anna", disabled=True, by="boss")
        await go(opened, 31)
        assert watching.done()
        assert "event: signed-out" in watching.result().text
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_what_is_shown_follows_the_settings(opened: Hall) -> None:
    """A part is decided at its time in the line's own zone, and the API tells the same as the page."""
    await opened.runs()
    for index in range(10):
        await opened.settle(f"p{index}", Outcome.REJECT if index == 3 else Outcome.PASS, score=3.0)
    viewer = await opened.program(Permission.READ, roles="viewer")
    (card, _) = (await viewer.get("/api/v1/lines")).json()
    assert (card["state"], card["parts"], card["rejects"], card["reject_share"]) == ("running", "10", "1", "10.0 %")
    assert card["headroom"] == "1238 ms of 1300, median 1238"
    assert card["model"] == "lite-0123456789ab"
    part = (await viewer.get(f"/api/v1/lines/{LINE}/part", params={"part_id": "p3"})).json()
    assert part["neighbours"]["previous"]["part_id"] == "p2"
    assert part["neighbours"]["next"]["part_id"] == "p4"
    assert part["neighbours"]["next_reject"] is None
    assert [one["step"] for one in part["timings"]] == ["published", "decided", "signalled", "must be decided"]


async def test_the_rate_is_what_was_settled_lately(opened: Hall) -> None:
    """Ten parts a second are six hundred a minute."""
    async with Watcher(opened):
        for index in range(100):
            await opened.settle(f"p{index}")
            await go(opened, 0.1)
        rate = opened.context.hub.lines[LINE].rate_per_min()
        assert rate == pytest.approx(600, rel=0.12)


async def test_a_word_on_a_part_is_news_to_who_follows_the_review() -> None:
    """It changes what a page compares, once; a step that nobody can read takes no page along."""
    async with hall() as opened:
        await opened.settle("p1", Outcome.REJECT)
        hub = opened.context.hub
        await hub.look()
        before = hub.lines[LINE].said
        desk = ReviewDesk(opened.store, LINE, opened.clock)
        await desk.say("p1", Said.OVERKILL, who="anna", why="dust")
        await opened.clock.advance(1)
        await hub.look()
        after = hub.lines[LINE].said
        assert before != after
        steps = opened.store.data.line(LINE).case_steps
        steps.append(b"\xc1 nothing of ours", at_ms=0, length=100)
        await opened.clock.advance(1)
        await opened.settle("p2")
        await hub.look()
        assert hub.lines[LINE].ribbon[-1].value.part_id == "p2"
        stream = hub.stream(lambda line: line == LINE)
        assert b"review_revision" in await anext(stream)
        await stream.aclose()
