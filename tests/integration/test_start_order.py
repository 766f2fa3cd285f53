"""Roles start before the servers that they need, as where a plant's power comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from deploy.adapters import adapters_for
from deploy.servers.redis import RedisServer
from shared.errors import StoreUnavailableError
from shared.settings import Settings, from_dict

pytestmark = pytest.mark.redis


def settings_for(server: RedisServer) -> Settings:
    """Return settings with their store on `server`."""
    return from_dict({"store": {"url": server.url}})


async def test_a_role_waits_for_its_store(tmp_path: Path, redis_url: str) -> None:
    """The store comes up after it has been asked in vain, and the role goes on with it."""
    del redis_url  # skipped where there is none
    server = RedisServer(tmp_path / "late")
    failed = asyncio.Event()

    async def role() -> int:
        try:
            async with adapters_for(settings_for(server)):
                pass
        except StoreUnavailableError:
            failed.set()
        async with adapters_for(settings_for(server), patience_s=60) as adapters:
            return len(adapters.plan.plan.lines)

    try:
        starting = asyncio.create_task(role())
        await failed.wait()
        await asyncio.to_thread(server.start)
        assert await starting == 1
    finally:
        server.stop()
