"""A process that dies between two effects: every call that leaves it goes through here, and is counted."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from alerting.journal import Journal
from alerting.signals.base import GateSignals
from shared.bus.base import Bus
from shared.store.base import Store


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """The `number`th call of an effect (from 1), such as `store.claim`: before it lands, or before its answer comes."""

    effect: str
    number: int
    after: bool

    def __str__(self) -> str:
        """Return it for people."""
        return f"{'after' if self.after else 'before'} {self.effect} {self.number}"


class Process:
    """What one process sees of bus, store and gate; at `dies_at` it stops for good, and nothing of it lands any more.

    With `frozen` it stands still instead, until it is thawed: what it was about to do is done then.
    """

    def __init__(self, dies_at: CrashPoint | None = None) -> None:
        self.calls: Counter[str] = Counter()
        self.dead = asyncio.Event()
        self._dies_at = dies_at
        self._thawed = asyncio.Event()

    def bus(self, bus: Bus) -> Bus:
        """Return the bus as this process has it."""
        return cast("Bus", _Port(bus, "bus", self))

    def store(self, store: Store) -> Store:
        """Return the store as this process has it."""
        return cast("Store", _Port(store, "store", self))

    def signals(self, signals: GateSignals) -> GateSignals:
        """Return the gate as this process has it."""
        return cast("GateSignals", _Port(signals, "signals", self))

    def journal(self, journal: Journal) -> Journal:
        """Return the journal as this process has it."""
        return cast("Journal", _Port(journal, "journal", self))

    def thaw(self) -> None:
        """Let it go on where it stood, as after SIGCONT."""
        self._thawed.set()

    async def effect(self, name: str, act: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - any port's answer
        """Do one thing that others can see, unless this process is dead by then."""
        self.calls[name] += 1
        here = self.calls[name]
        await self._live()
        if CrashPoint(name, here, after=False) == self._dies_at:
            self.dead.set()
            await self._live()
        try:
            return await act()
        finally:
            if CrashPoint(name, here, after=True) == self._dies_at:
                self.dead.set()
            await self._live()

    async def _live(self) -> None:
        if self.dead.is_set():
            await self._thawed.wait()


class _Port:
    """Passes every method of a port on, as an effect of its process."""

    def __init__(self, port: object, name: str, process: Process) -> None:
        self._port = port
        self._name = name
        self._process = process

    def __getattr__(self, method: str) -> Any:  # noqa: ANN401 - whatever the port has
        found = getattr(self._port, method)
        effect = f"{self._name}.{method}"
        if inspect.isasyncgenfunction(found):
            return self._reading(effect, found)
        if not inspect.iscoroutinefunction(found) or method == "run":
            return found

        async def call(*args: object, **kwargs: object) -> object:
            answer = await self._process.effect(effect, lambda: found(*args, **kwargs))
            joined = method in {"read", "subscribe"}
            return _Port(answer, "subscription", self._process) if joined else answer

        return call

    def _reading(self, effect: str, found: Callable[..., AsyncGenerator[Any, None]]) -> Any:  # noqa: ANN401
        async def read(*args: object, **kwargs: object) -> AsyncGenerator[Any, None]:
            async def all_of_it() -> list[Any]:
                return [one async for one in found(*args, **kwargs)]

            for one in await self._process.effect(effect, all_of_it):
                yield one

        return read
