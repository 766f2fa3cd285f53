"""Connections that say nothing: they take neither the descriptors nor the time of the gates beside the console."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from alerting.console import connections
from shared.clock import SystemClock
from shared.settings import from_dict
from tests.consoles import Hall, console_settings
from tests.unit.test_console_service import certificate, served

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def silent(port: int, count: int) -> AsyncIterator[list[Streams]]:
    """Open connections without a word."""
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.close()


async def ended(opened: list[Streams], count: int) -> None:
    """Return once so many of them were closed by the other side."""
    waiting = {asyncio.ensure_future(end_of(reader)) for reader, _ in opened}
    async with asyncio.timeout(20):
        while len(waiting) > len(opened) - count:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for read in waiting:
        read.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def end_of(reader: asyncio.StreamReader) -> None:
    """Return at the end, in order or not."""
    try:
        await reader.read()
    except ConnectionResetError:
        return


@pytest.mark.parametrize("tls", [False, True])
async def test_beyond_a_bound_connections_are_closed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    """Before anything is said on them; and once the others are gone, new ones are served."""
    monkeypatch.setattr(connections, "MOST", 3)
    pem, key = certificate(tmp_path) if tls else (None, None)
    files = {"certificate": str(pem), "key": str(key)} if tls else {}
    opened = Hall(from_dict({"console": {"port": 0, **files}}), SystemClock())
    async with served(opened) as service:
        async with silent(service.port, 8) as asked:
            await ended(asked, 5)
        verify = ssl.create_default_context(cafile=str(pem)) if tls else True
        async with httpx.AsyncClient(base_url=service.url, verify=verify) as browser, asyncio.timeout(20):
            while not await answers(browser):
                await opened.at.sleep(0)


async def answers(browser: httpx.AsyncClient) -> bool:
    """Return whether a page comes."""
    try:
        return (await browser.get("/sign-in")).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("tls", [False, True])
async def test_a_connection_without_a_whole_request_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    """Also one that is halfway through, and one that began its second."""
    monkeypatch.setattr(connections, "REQUEST_S", 0.05)
    pem, key = certificate(tmp_path) if tls else (None, None)
    files = {"certificate": str(pem), "key": str(key)} if tls else {}
    opened = Hall(from_dict({"console": {"port": 0, **files}}), SystemClock())
    async with served(opened) as service, silent(service.port, 3) as asked:
        if not tls:
            asked[0][1].write(b"POST /sign-in HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab")
            asked[1][1].write(b"GET /static/console.css HTTP/1.1\r\nhost: x\r\n\r\nGET /sign")
        await ended(asked, 3)


async def test_a_stream_lasts_longer_than_a_request_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked whole is answered as long as it takes."""
    monkeypatch.setattr(connections, "REQUEST_S", 0.02)
    opened = Hall(console_settings(port=0), SystemClock())
    user = await opened.add_user("anna", "viewer")
    cookie = await opened.context.sessions.begin(user)
    async with served(opened) as service, httpx.AsyncClient() as browser, asyncio.timeout(20):
        browser.cookies.set("linewarden_session", cookie)
        request = browser.build_request("GET", f"{service.url}/api/v1/events")
        answer = await browser.send(request, stream=True)
        lines = answer.aiter_lines()
        async for line in lines:
            if "snapshot" in line:
                break
        async with silent(service.port, 1) as asked:
            await ended(asked, 1)
        await opened.settle("p1")
        async for line in lines:
            if '"p1"' in line:
                break
        await answer.aclose()
