import pytest

from ingest.photo_eye.absent import AbsentPhotoEye
from ingest.photo_eye.memory import MemoryPhotoEye
from shared.errors import ConfigError


async def test_memory_photo_eye_tells_whole_milliseconds() -> None:
    """The in-process photo-eye tells what the registers would hold."""
    told: list[tuple[str, int]] = []
    eye = MemoryPhotoEye(lambda part_id, gate_at_ns: told.append((part_id, gate_at_ns)))
    await eye.part_passed("p", 12_345_678)
    await eye.close()
    assert told == [("p", 12_000_000)]


async def test_memory_photo_eye_refuses_what_the_registers_cannot_hold() -> None:
    """A part id too long for the PLC fails on every adapter alike."""
    eye = MemoryPhotoEye(lambda _part_id, _gate_at_ns: None)
    with pytest.raises(ConfigError, match="cannot be written to the PLC"):
        await eye.part_passed("x" * 33, 0)


async def test_absent_photo_eye_does_nothing() -> None:
    """A line whose PLC sees its own parts takes any part id."""
    eye = AbsentPhotoEye()
    await eye.part_passed("x" * 99, 0)
    await eye.close()
