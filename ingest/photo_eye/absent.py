"""No photo-eye of ours: the PLC has its own, on a digital input."""

from __future__ import annotations


class AbsentPhotoEye:
    """Does nothing, for lines whose PLC sees the parts by itself."""

    async def part_passed(self, part_id: str, gate_at_ns: int) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
