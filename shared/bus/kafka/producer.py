"""One producer that many publishes share, and that ends only when the last of them has let go of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import aiokafka

from shared.bus.kafka.closing import ended
from shared.bus.kafka.settings import KafkaBusSettings


class SharedProducer:
    """An aiokafka producer and the number of publishes that are under way on it.

    A publish waits for metadata and for its batch in the producer's background tasks. Ending those tasks under it would
    leave it waiting for ever, so `stop` lets every publish end first; each has a limit of its own.
    """

    def __init__(self, settings: KafkaBusSettings) -> None:
        self._request_timeout_s = settings.request_timeout_s
        self._producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap,
            acks="all",
            max_request_size=settings.max_record_bytes,
            request_timeout_ms=settings.request_timeout_ms,
            compression_type=None if settings.compression == "none" else settings.compression,
        )
        self._users = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Connect; raises aiokafka's errors, and leaves nothing open then."""
        try:
            await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise

    @contextmanager
    def use(self) -> Iterator[aiokafka.AIOKafkaProducer]:
        """Hold the producer for one publish."""
        self._users += 1
        self._idle.clear()
        try:
            yield self._producer
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()

    async def stop(self) -> None:
        """Wait for whoever uses it, flush for as long as messages keep being tried, and let go of the connections."""
        await self._idle.wait()
        if not await ended(self._producer.stop(), within_s=3 * self._request_timeout_s):
            await ended(self._producer.client.close(), within_s=self._request_timeout_s)
