"""The counters' part of the store on Redis: those of a line for good, and those of each of its shifts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import fields
from datetime import UTC
from typing import Any, Final

from shared.clock import NS_PER_MS
from shared.domain import Decision, Outcome
from shared.latency import bucket_of
from shared.shifts import Shifts
from shared.store.base import LineCounters

_COUNTED: Final = {Outcome.PASS: "passed", Outcome.REJECT: "rejected", Outcome.DEFAULT_REJECT: "defaulted"}
_KNOWN: Final = {entry.name for entry in fields(LineCounters)}
_LATENCY: Final = "ms:"
_DAYS: Final = Shifts((), UTC)


def counts_of(decision: Decision) -> list[str]:
    """Return which counters a settled part adds to; none about ground truth where its label is unknown."""
    counts = [_COUNTED[decision.outcome], *(["not_carried_out"] if decision.not_carried_out else [])]
    if decision.label is None:
        return counts
    went = decision.outcome is Outcome.PASS or decision.not_carried_out
    if decision.label == "good":
        return [*counts, "false_rejects"] if decision.outcome is Outcome.REJECT and not went else counts
    return [*counts, "defects", "missed" if went else "caught"]


def latency_bucket(decision: Decision) -> int | str:
    """Return the bucket of the time from capture to signal, as far as a published decision tells it, or nothing."""
    signalled_ns = decision.stamps_ns.get("signalled")
    if signalled_ns is None or decision.outcome is Outcome.DEFAULT_REJECT:
        return ""
    return bucket_of((signalled_ns - decision.captured_at_ns) / NS_PER_MS)


class RedisCounts:
    """What `RedisStore` does about counters; those of parts grow in its scripts."""

    _client: Any
    _shifts: Mapping[str, Shifts]
    _shift_retention_s: int

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
        shift = self._shifts.get(line, _DAYS).at(captured_at_ns)
        return _keyed(shift.name), self._key(line, "shift", ""), self._shift_retention_s

    def _mapped(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _key(self, line: str, *parts: str) -> str:
        raise NotImplementedError


def _keyed(shift: str) -> str:
    """Return a shift's name without its space: 2026-03-29T06:00."""
    return shift.replace(" ", "T")


def _counters(counts: Mapping[bytes, bytes], latency: Mapping[int, int]) -> LineCounters:
    known = {name.decode(): int(value) for name, value in counts.items() if name.decode() in _KNOWN}
    return LineCounters(**known, latency_buckets=latency)
