"""A console in a process of its own, as in a plant, for benches that load it."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import tomli_w

from alerting.console.context import make_context
from alerting.console.hub import MOST_EACH
from alerting.console.rights import ALL_LINES, Role
from deploy.adapters import make_store
from deploy.alerting_load import Load
from deploy.servers.ports import free_port
from shared.clock import SystemClock
from shared.console_settings import ConsoleSettings
from shared.errors import ServerError
from shared.settings import Settings, StoreSettings

_LINK_S: Final = 3_600
_WAIT_S: Final = 60


def with_console(load: Load, store: str) -> Settings:
    """Return a load's settings under a prefix of their own, with a console."""
    settings = load.settings(store)
    kept = {"url": store, "key_prefix": f"linewarden-bench-{uuid4().hex[:8]}"}
    expiring = StoreSettings.model_validate({**kept, "part_retention_s": 600, "picture_ttl_s": 60})
    return settings.model_copy(update={"store": expiring, "console": ConsoleSettings(port=free_port())})


@asynccontextmanager
async def console_process(settings: Settings) -> AsyncIterator[psutil.Process]:
    """Run the console as a process of its own."""
    with tempfile.TemporaryDirectory(prefix="linewarden-console-") as folder:
        config, log = Path(folder) / "line.toml", Path(folder) / "console.log"
        config.write_text(tomli_w.dumps(plain(settings)), encoding="utf-8")
        command = [sys.executable, "-m", "deploy.cli", "run", "--role", "console", "--config", str(config)]
        with log.open("wb") as out:
            child = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out)
        try:
            if not await _answers(settings):
                raise ServerError(f"the console did not start: {log.read_text(encoding='utf-8')[-500:]}")
            yield psutil.Process(child.pid)
        finally:
            child.terminate()
            await child.wait()


async def one_time_links(settings: Settings, count: int) -> list[str]:
    """Return the keys of one-time links for guests, of whom each looks on with as many pages as one may."""
    store = make_store(settings)
    context = make_context(settings, store=store, clock=SystemClock())
    guests = [f"bench-{index // MOST_EACH}" for index in range(count)]
    for guest in sorted(set(guests)):
        await context.desk.add_guest(guest, {ALL_LINES: Role.VIEWER}, why="bench console")
    keys = [await context.sessions.sign_in_link(guest, ttl_s=_LINK_S) for guest in guests]
    await store.close()
    return keys


def url_of(settings: Settings) -> str:
    """Return where the settings' console answers."""
    if settings.console is None:
        raise AssertionError("the bench's settings have a console")
    return f"http://{settings.console.host}:{settings.console.port}"


def plain(settings: Settings) -> dict[str, Any]:
    """Return the settings that the console needs as TOML says them."""
    values = settings.model_dump(mode="json", include={"lines", "console", "store"})
    values["store"]["url"] = settings.store.url.get_secret_value()
    for line in values["lines"]:
        line["signal"]["url"] = "none"
        for camera in line["cameras"]:
            camera["source"] = "rendered"
    said: dict[str, Any] = _without_none(values)
    return said


async def _answers(settings: Settings) -> bool:
    """Wait until the console listens; return whether it does."""
    url = urlsplit(url_of(settings))
    for _ in range(10 * _WAIT_S):
        try:
            _, writer = await asyncio.open_connection(url.hostname, url.port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return True
    return False


def _without_none(value: Any) -> Any:  # noqa: ANN401 - whatever settings hold
    """Return settings without what is not set, which TOML cannot say."""
    if isinstance(value, dict):
        return {name: _without_none(one) for name, one in value.items() if one is not None}
    return [_without_none(one) for one in value] if isinstance(value, list) else value
