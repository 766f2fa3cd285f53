"""The counters' part of the store on Redis: those of a line for good, and those of each of its shifts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from shared.store.base import LineCounters
from shared.store.counting import line_counters, shift_of
from shared.store.settings import StoreSettings

_LATENCY: Final = "ms:"


class RedisCounts:
    """What `RedisStore` does about counters; those of parts grow in its scripts."""

    _client: Any
    _settings: StoreSettings

    async def count(self, line: str, **increments: int) -> None:
        """Add to counters."""
        with self._mapped():
            for name, increment in increments.items():
                await self._client.hincrby(self._key(line, "counters"), name, increment)

    async def counters(self, line: str) -> LineCounters:
        """Return the counters; those never touched are zero."""
        with self._mapped():
            counts = await self._client.hgetall(self._key(line, "counters"))
            latency = await self._client.hgetall(self._key(line, "latency"))
        return _counters(counts, {int(bucket): int(value) for bucket, value in latency.items()})

    async def shift_counters(self, line: str, shift: str) -> LineCounters:
        """Return the shift's own; one that nobody counted in is all zeros."""
        with self._mapped():
            found = await self._client.hgetall(self._key(line, "shift", _keyed(shift)))
        latency = {
            int(name.decode().removeprefix(_LATENCY)): int(value)
            for name, value in found.items()
            if name.decode().startswith(_LATENCY)
        }
        return _counters(found, latency)

    def _shift_args(self, line: str, captured_at_ns: int) -> tuple[str, str, int]:
        """Return what the scripts want to know: the shift, what keys of shifts begin with, how long they are kept."""
        shift = shift_of(self._settings.shifts, line, captured_at_ns)
        return _keyed(shift), self._key(line, "shift", ""), self._settings.shift_retention_s

    def _mapped(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _key(self, line: str, *parts: str) -> str:
        raise NotImplementedError


def _keyed(shift: str) -> str:
    """Return a shift's name without its space: 2026-03-29T06:00."""
    return shift.replace(" ", "T")


def _counters(counts: Mapping[bytes, bytes], latency: Mapping[int, int]) -> LineCounters:
    return line_counters({name.decode(): value for name, value in counts.items()}, latency)
