"""Redis on a disk that is full for a while: what it acknowledged comes back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from deploy.faults.disk import Disk
from deploy.servers.redis import RedisServer
from tests.lines import eventually

VALUE = b"x" * 700
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a disk that can be full is mounted, which takes root")


@pytest.fixture
def disk(tmp_path: Path, redis_url: str) -> Iterator[Disk]:
    """Give a small file system; Redis itself is there when the suite's own is."""
    del redis_url
    with Disk(tmp_path / "disk") as mounted:
        yield mounted


def takes(client: redis.Redis, name: str) -> bool:
    """Return whether Redis acknowledges a write."""
    try:
        return bool(client.set(name, VALUE))
    except redis.RedisError:
        return False


@needs_root
@pytest.mark.redis
async def test_what_was_acknowledged_survives_a_full_disk_after_a_rewrite(disk: Disk) -> None:
    """The rewritten file is the one that a short write used to break (ADR 0014)."""
    with RedisServer(disk.folder / "redis") as server:
        with redis.Redis.from_url(server.url) as client:
            client.bgrewriteaof()
            await eventually(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0)
            # They end in the middle of a page, so that the one more write which still fits there is a short one.
            acknowledged = {f"before-{number}" for number in range(50) if takes(client, f"before-{number}")}
            disk.fill()
            with suppress(redis.RedisError):
                for number in range(200):
                    client.set(f"full-{number}", VALUE)
                    acknowledged.add(f"full-{number}")
            assert len(acknowledged) < 250, "the disk never was full"
            disk.free()
            await eventually(lambda: not server.running or takes(client, "freed"))
            if server.running:
                acknowledged |= {f"freed-{number}" for number in range(50) if takes(client, f"freed-{number}")}
        server.kill9()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            client.set("after", VALUE)
            assert client.exists(*acknowledged) == len(acknowledged)
        server.restart()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("after") == VALUE
