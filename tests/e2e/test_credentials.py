"""No camera's password comes out anywhere: logs, errors, metrics, every message on the bus, everything in the store."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from deploy.adapters import make_bus
from deploy.servers.ports import free_port
from deploy.servers.rtsp import RtspServer, Served
from shared.clock import SystemClock
from shared.settings import Settings, load

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.rtsp, pytest.mark.usefixtures("rtsp")]
USER, PASSWORD, WRONG = "operator", "s3cr3t-pa55", "wr0ng-pa55"
_CONFIG = """
[bus]
url = "{bus}"
topic_prefix = "{run}"
[store]
url = "{store}"
key_prefix = "{run}"
[log]
level = "debug"
format = "{format}"
[metrics]
port = {metrics}
[detector]
model = "{model}"
[[lines]]
name = "good"
[[lines.cameras]]
source = "rtsp://{user}:{password}@127.0.0.1:{port}/camera-1"
[[lines]]
name = "refused"
[[lines.cameras]]
source = "rtsp://{user}:{wrong}@127.0.0.1:{port}/camera-1"
[[lines]]
name = "away"
[[lines.cameras]]
source = "rtsp://{user}:{password}@127.0.0.1:{closed}/camera-1"
"""


def said_by(config: Path, server: RtspServer, port: int) -> Iterator[str]:
    """Run a line whose camera is lost on the way, and give all that comes out of the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", "run", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    try:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if "part.settled" in line and "good" in line and server.running:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
                    yield page.read().decode()
                server.kill9()
            if "camera.lost" in line and "good" in line:
                process.send_signal(signal.SIGTERM)
                break
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    yield "".join(lines) + out + err


async def everything_on_the_bus(settings: Settings) -> bytes:
    """Return all messages of all topics, with their keys and headers."""
    bus = make_bus(settings, SystemClock())
    topics = settings.topics
    names = (topics.captures, topics.frames, topics.verdicts, topics.decisions, topics.dead_letters)
    seen = b""
    for name in names:
        reader = await bus.subscribe([name], group=f"reader-{uuid4().hex}", member="reader")
        while records := await reader.poll(max_records=500, timeout_s=2 if seen else 10):
            seen += b"".join(record.value + repr((record.key, record.headers)).encode() for record in records)
        await reader.close()
    await bus.close()
    assert seen
    return seen


def everything_in_the_store(url: str, prefix: str) -> bytes:
    """Return all keys of a run with their values."""
    with redis.Redis.from_url(url, protocol=2) as client:
        keys = client.keys(f"{prefix}*")
        assert keys
        return b"".join(key + (client.dump(key) or b"") for key in keys)


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_password_is_seen_anywhere(
    form: str, tmp_path: Path, kafka_url: str, redis_url: str, lite_model: Path
) -> None:
    """A camera that works and is then killed, one that refuses the password, one that is away; all at level debug."""
    served = Served(login=(USER, PASSWORD), cameras=1)
    with RtspServer(320, 240, 10, served=served) as server:
        config, port, run = tmp_path / "line.toml", free_port(), f"secret-{uuid4().hex[:8]}"
        values = {
            "bus": kafka_url,
            "store": redis_url,
            "run": run,
            "format": form,
            "metrics": port,
            "port": server.port,
        }
        secrets = {"user": USER, "password": PASSWORD, "wrong": WRONG, "closed": free_port(), "model": lite_model}
        config.write_text(_CONFIG.format(**values, **secrets), encoding="utf-8")
        metrics, output = said_by(config, server, port)
    assert "linewarden_captures_total" in metrics
    assert output.count("camera.lost") >= 3
    assert "refuses the login" in output
    settings = load(config)
    seen = metrics.encode() + output.encode()
    seen += asyncio.run(everything_on_the_bus(settings)) + everything_in_the_store(redis_url, run)
    for secret in (PASSWORD, WRONG, f"{USER}:"):
        assert secret.encode() not in seen
