"""What all lines share in the embedded store: kept values with their notes, held ones, payloads of large frames."""

from __future__ import annotations

from shared.domain import CaptureId
from shared.store.memory.core import MemoryCore


class MemoryKept(MemoryCore):
    """What `MemoryStore` does about values that belong to no part."""

    async def kept(self, name: str) -> bytes | None:
        """Return the value."""
        return self.data.kept.get(name)

    async def keep(self, name: str, value: bytes, *, instead_of: bytes | None, noted: bool = False) -> bool:
        """Compare and set, and append."""
        if self.data.kept.get(name, b"") != (instead_of or b""):
            return False
        self.data.kept[name] = value
        if noted:
            self._append(self.data.notes[name], value)
        return True

    async def notes(self, name: str, *, newest: int) -> list[bytes]:
        """Return the newest notes."""
        notes = self.data.notes.get(name)
        return [] if notes is None else notes.newest(newest)

    async def hold(self, name: str, value: bytes, *, ttl_s: int, again: bool = False) -> bool:
        """Put with a time to live."""
        if again and self.data.held.get(name) is None:
            return False
        self.data.held.put(name, value, ttl_s)
        return True

    async def held(self, name: str) -> bytes | None:
        """Return the value."""
        return self.data.held.get(name)

    async def release(self, name: str) -> bool:
        """Let go of it."""
        return self.data.held.pop(name) is not None

    async def put_payload(self, capture: CaptureId, payload: bytes, *, ttl_s: int) -> None:
        """Keep the payload; bytes are kept as they are, without a copy."""
        self.data.payloads.put(capture, bytes(payload), ttl_s)

    async def payload(self, capture: CaptureId) -> bytes | None:
        """Return the payload, or None once it expired."""
        return self.data.payloads.get(capture)
