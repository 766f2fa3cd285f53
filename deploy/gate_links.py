"""Carriers of the handshake in simulated time: each with its protocol's semantics and its own delays."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from alerting.plc_sim.plc import SimulatedPlc
from shared.clock import Clock, ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.mqtt_address import MqttAddress
    from shared.plc import Block


class MemoryPlc(SimulatedPlc):
    """A PLC whose registers are at hand."""

    @property
    def url(self) -> str:
        """Return what is no address."""
        return "memory://plc"

    def drop_connections(self) -> None:
        """Do nothing."""

    async def _listen(self) -> None:
        """Do nothing."""

    async def _unlisten(self) -> None:
        """Do nothing."""

    def read_block(self, block: Block) -> list[int]:
        """Return a block as the last scan left it."""
        return block.of(self._registers.values)

    def write_block(self, block: Block, values: Sequence[int]) -> None:
        """Write a block in one piece."""
        self._write(block.address, values)


class DelayedBlocks:
    """The blocks of a `MemoryPlc`; a request takes up to `most_ms`, and lands somewhere on the way."""

    def __init__(self, plc: MemoryPlc, clock: Clock, *, most_ms: float, seed: int) -> None:
        self._plc = plc
        self._clock = clock
        self._most_s = most_ms / 1_000
        self._chance = random.Random(seed)  # noqa: S311 - a simulation's

    async def open(self) -> int:
        """Return the one connection."""
        return 1

    async def read(self, block: Block) -> list[int]:
        """Read a block."""
        await self._clock.sleep(self._chance.uniform(0.1, 0.5) * self._most_s)
        values = self._plc.read_block(block)
        await self._clock.sleep(self._chance.uniform(0.1, 0.5) * self._most_s)
        return values

    async def write(self, block: Block, values: Sequence[int]) -> None:
        """Write a block."""
        await self._clock.sleep(self._chance.uniform(0.1, 0.5) * self._most_s)
        self._plc.write_block(block, values)
        await self._clock.sleep(self._chance.uniform(0.1, 0.5) * self._most_s)

    async def close(self) -> None:
        """Do nothing."""


@dataclass(eq=False)
class MemoryBroker:
    """A broker that keeps each topic's order, delivers within `most_ms`, and now and then delivers twice (QoS 1)."""

    clock: Clock = field(default_factory=ManualClock)
    most_ms: float = 3.0
    twice: float = 0.02
    seed: int = 0
    links: list[MemoryLink] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 - a simulation's
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: dict[str, asyncio.Task[None]] = {}

    def deliver(self, topic: str, payload: bytes, *, qos: int) -> None:
        """Tell all who subscribed, later."""
        times = 2 if qos and self._chance.random() < self.twice else 1
        delay_s = self._chance.uniform(0.1, 1.0) * self.most_ms / 1_000
        task = asyncio.get_running_loop().create_task(
            self._later(topic, payload, times, delay_s, self._last.get(topic))
        )
        self._last[topic] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _later(
        self, topic: str, payload: bytes, times: int, delay_s: float, before: asyncio.Task[None] | None
    ) -> None:
        await self.clock.sleep(delay_s)
        if before is not None and not before.done():
            await before
        for _ in range(times):
            for link in self.links:
                link.heard(topic, payload)


class MemoryLink:
    """A connection to the one `broker` of a simulation."""

    broker: ClassVar[MemoryBroker]

    def __init__(
        self,
        address: MqttAddress,  # noqa: ARG002 - the port's signature
        *,
        subscribe: Sequence[str],
        state_topic: str,  # noqa: ARG002
        on_message: Callable[[str, bytes], None],
        on_lost: Callable[[], None],  # noqa: ARG002
        timeout_ms: float,  # noqa: ARG002
    ) -> None:
        self._topics = frozenset(subscribe)
        self._on_message = on_message
        self.broker.links.append(self)

    @property
    def connected(self) -> bool:
        """Return that it is."""
        return True

    async def open(self) -> int:
        """Return the one connection."""
        return 1

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:  # noqa: ARG002
        """Hand a message to the broker."""
        self.broker.deliver(topic, payload, qos=qos)
        await asyncio.sleep(0)

    def heard(self, topic: str, payload: bytes) -> None:
        """Take a message."""
        if topic in self._topics:
            self._on_message(topic, payload)

    def drop(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
