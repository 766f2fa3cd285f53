"""A frame between the bus and the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.bus.base import Record
    from shared.wire import FrameMessage


@dataclass(frozen=True, slots=True, eq=False)
class QueuedFrame:
    """A frame that waits for the engine; `due_ns` and `arrived_ns` are monotonic.

    Until the payload of a frame that came by reference is fetched, `payload` is empty.
    """

    record: Record
    message: FrameMessage
    payload: memoryview
    due_ns: int
    arrived_ns: int
    received_utc_ns: int

    @property
    def camera(self) -> str:
        """Return line and camera."""
        return f"{self.message.capture.id.line}/{self.message.capture.id.camera}"

    @property
    def size_bytes(self) -> int:
        """Return what the message holds, and the payload where that came by itself."""
        return len(self.record.value) + (0 if self.message.reference is None else len(self.payload))

    @property
    def payload_bytes(self) -> int:
        """Return what a payload that must be fetched takes, as its reference says."""
        return 0 if self.message.reference is None else max(0, self.message.reference.size_bytes)
