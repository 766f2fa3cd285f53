"""The embedded store, whole."""

from __future__ import annotations

from shared.store.memory.alerts import MemoryAlerts
from shared.store.memory.feeds import MemoryFeeds
from shared.store.memory.kept import MemoryKept
from shared.store.memory.lines import MemoryLines
from shared.store.memory.parts import MemoryParts
from shared.store.memory.reviews import MemoryReviews


class MemoryStore(MemoryAlerts, MemoryFeeds, MemoryKept, MemoryLines, MemoryParts, MemoryReviews):
    """The live state of lines in this process."""

    async def ping(self) -> None:
        """Return: it is there."""

    async def close(self) -> None:
        """Do nothing: the data goes with whoever holds it."""
