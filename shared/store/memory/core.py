"""What every part of the embedded store works with."""

from __future__ import annotations

from shared.clock import NS_PER_MS
from shared.store.memory.data import LineData, MemoryData
from shared.store.memory.stream import Stream
from shared.store.settings import StoreSettings


class MemoryCore:
    """The data that a store serves, and what it was told."""

    def __init__(self, settings: StoreSettings, data: MemoryData) -> None:
        """Serve `data`."""
        self.data = data
        self._settings = settings

    def _line(self, name: str) -> LineData:
        return self.data.line(name)

    def _append(self, stream: Stream, value: bytes) -> None:
        at_ms = self.data.clock.utc_ns() // NS_PER_MS
        stream.append(value, at_ms=at_ms, length=self._settings.stream_length)
