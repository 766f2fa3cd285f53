"""The photo-eye of a simulated line in the same process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.clock import NS_PER_MS
from shared.plc import check_part_id

if TYPE_CHECKING:
    from collections.abc import Callable


class MemoryPhotoEye:
    """Tells parts to a callable of (part id, UTC ns at the gate): a simulated PLC's `photo_eye`."""

    def __init__(self, tell: Callable[[str, int], None]) -> None:
        self._tell = tell

    async def part_passed(self, part_id: str, gate_at_ns: int) -> None:
        """Tell of a part, with its time in whole milliseconds as the registers hold it."""
        check_part_id(part_id)
        self._tell(part_id, gate_at_ns // NS_PER_MS * NS_PER_MS)

    async def close(self) -> None:
        """Do nothing."""
