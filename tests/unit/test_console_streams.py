"""Streams of live updates: who may go on, what keeps them alive, what is bounded, and a store that lost all."""

from __future__ import annotations

import asyncio
from typing import cast

import httpx
import pytest
from structlog.testing import capture_logs

from alerting.console import hub as hub_module
from alerting.console.hub import MOST_EACH
from shared.domain import Outcome
from shared.store.base import Feed
from tests.consoles import LINE, OTHER, Hall
from tests.on_redis import WatchedRedisStore, on_redis
from tests.outages import CuttableStore
from tests.unit.test_console_live import Watcher, events_in, go, opened, reads

__all__ = ["opened"]


async def test_a_quiet_line_is_kept_alive_while_others_are_busy(opened: Hall) -> None:
    """Once in fifteen seconds: what others are told is nothing to whoever may not see it."""
    chunks: list[bytes] = []
    stream = opened.context.hub.stream(lambda line: line == LINE)

    async def watch() -> None:
        async for chunk in stream:
            chunks.append(chunk)  # noqa: PERF401 - it is looked at while it grows

    watching = asyncio.create_task(watch())
    await go(opened, 3)
    before = len(chunks)
    for index in range(40):
        await opened.settle(f"p{index}", line=OTHER)
        await go(opened, 1)
    assert chunks[before:] == [b"", b""]
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_browser_that_was_slow_is_told_in_pieces(opened: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each no larger than a bound, and together all that came."""
    monkeypatch.setattr(hub_module, "_MOST_CHUNK", 1_000)
    hub = opened.context.hub
    slow = hub.stream(lambda _: True)
    await anext(slow)
    for index in range(20):
        await opened.settle(f"p{index}")
        await hub.look()
    chunks: list[bytes] = []
    shown: list[str] = []
    while len(shown) < 20:
        chunks.append(await anext(slow))
        shown += [part["part_id"] for _, kind, value in events_in(chunks[-1]) for part in value.get("parts", [])]
    assert shown == [f"p{index}" for index in range(20)]
    assert len(chunks) > 2
    assert max(len(chunk) for chunk in chunks) <= 1_000
    await slow.aclose()


@pytest.mark.parametrize("settled", [[], ["new"]])
async def test_an_emptied_store_begins_the_wall_anew(opened: Hall, settled: list[str]) -> None:
    """Though its entries lie behind those that were known, as after a clock that was set back."""
    opened.store.data.line(LINE).feeds[Feed.DECISIONS].append(b"\xc1", at_ms=99999999999999, length=100)
    await opened.settle("other", line=OTHER)
    async with Watcher(opened) as watcher:
        await opened.context.hub.look()
        opened.context.hub.lines[LINE]._place = "99999999999999-0"
        opened.store.data.clear()
        for part_id in settled:
            await opened.settle(part_id, Outcome.REJECT)
        await go(opened, 1.5)
        assert watcher.parts() == settled
        assert [entry.value.part_id for entry in opened.context.hub.lines[LINE].rejects] == settled
        assert watcher.parts(OTHER) == []
        await opened.settle("later")
        await go(opened, 0.3)
        assert watcher.parts() == [*settled, "later"]


async def test_a_line_whose_newest_entry_cannot_be_read_goes_on(opened: Hall) -> None:
    """It is behind what is known, and no sign of an emptied store."""
    await opened.settle("p1")
    async with Watcher(opened) as watcher:
        await go(opened, 0.3)
        opened.store.data.line(LINE).feeds[Feed.DECISIONS].append(b"\xc1", at_ms=0, length=100)
        await go(opened, 2)
        assert watcher.parts() == ["p1"]
        assert [kind for _, kind, _ in watcher.events].count("snapshot") == 1


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("state", b"updated_ms", b"soon"),
        ("state", b"\xff", b"\xff"),
        ("counters", b"passed", b"many"),
        ("board", b"\xff", b"\xff"),
        ("handling", b"x", b"\xff"),
    ],
)
@pytest.mark.redis
async def test_what_is_damaged_of_a_line_takes_no_other_lines_pages_away(
    redis_url: str, key: str, field: bytes, value: bytes
) -> None:
    """Nor the console; it is told once."""
    store, clock = on_redis(redis_url)
    opened = Hall(clock=clock, store=cast("CuttableStore", store))
    async with reads(opened):
        await _damaged(opened, store, key, field, value)
    await opened.close()


async def _damaged(opened: Hall, store: WatchedRedisStore, key: str, field: bytes, value: bytes) -> None:
    await opened.runs()
    browser = await opened.signed_in("viewer")
    await store._client.hset(f"{store.prefix}:line:{LINE}:{key}", field, value)
    shift = opened.settings.lines[0].shift_times().at(opened.at.utc_ns()).name
    await store._client.hset(f"{store.prefix}:line:{LINE}:shift:{shift}", field, value)
    with capture_logs() as told:
        async with Watcher(opened) as watcher:
            await go(opened, 2)
            await opened.settle("theirs", line=OTHER)
            await go(opened, 1)
            assert watcher.parts(OTHER) == ["theirs"]
            for path in ("/", "/alerts", "/api/v1/lines", "/api/v1/alerts"):
                answer = await browser.get(path)
                assert (answer.status_code, "theirs" in answer.text) == (200, path == "/")
    said = [str(one) for one in told if one["event"] == "store.unreadable"]
    assert len(said) == len(set(said))


async def looked_on(opened: Hall, browser: httpx.AsyncClient) -> asyncio.Task[httpx.Response]:
    """Let a browser look on."""
    task = asyncio.create_task(browser.get("/api/v1/events"))
    await go(opened, 0.5)
    return task


async def test_who_is_kept_out_is_told_nothing_more(opened: Hall) -> None:
    """A second later at most, and not after fifteen."""
    browser = await opened.signed_in("viewer")
    await opened.add_user("boss", "admin")
    watching = await looked_on(opened, browser)
    await opened.settle("before")
    await go(opened, 0.5)
    await opened.context.desk.set_disabled("anna", disabled=True, by="boss")
    await go(opened, 1.1)
    await opened.settle("after")
    await go(opened, 0.5)
    assert watching.done()
    text = watching.result().text
    assert ("before" in text, "after" in text, "signed-out" in text) == (True, False, True)


async def test_open_pages_ask_the_store_together(opened: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether users were changed is asked once a second, however many look on."""
    calls = 0
    plain = opened.store.kept

    async def counted(name: str) -> bytes | None:
        nonlocal calls
        calls += name == "console-accounts"
        return await plain(name)

    browser = await opened.signed_in("viewer")
    watching = [await looked_on(opened, browser) for _ in range(MOST_EACH)]
    await go(opened, 1)
    monkeypatch.setattr(opened.store, "kept", counted)
    for index in range(10):
        await opened.settle(f"p{index}")
        await go(opened, 1)
    assert 5 <= calls <= 12
    assert not any(task.done() for task in watching)
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)


async def test_one_user_looks_on_with_so_many_pages(opened: Hall) -> None:
    """Nobody else is turned away for them; and who leaves makes room."""
    anna, bert = await opened.signed_in("viewer"), await opened.signed_in("viewer", "bert")
    watching = [await looked_on(opened, anna) for _ in range(MOST_EACH)]
    assert (await anna.get("/api/v1/events")).status_code == 503
    watching.append(await looked_on(opened, bert))
    assert not watching[-1].done()
    watching[0].cancel()
    await asyncio.gather(watching[0], return_exceptions=True)
    await go(opened, 0.3)
    watching.append(await looked_on(opened, anna))
    assert not watching[-1].done()
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    assert opened.context.hub.watchers == 0
