from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import SecretStr

from shared.camera_settings import CameraSettings
from shared.clock import SystemClock
from shared.errors import ConfigError, LossCause, SourceUnavailableError

gentl_source = pytest.importorskip("ingest.sources.gentl", reason="the extra gentl is not installed")
genicam = pytest.importorskip("genicam")


def test_addresses() -> None:
    """An address names the producer's file and the serial number, which may be left out."""
    parsed = gentl_source.parse_address("gentl:///opt/vendor/Producer.cti?id=12-34")
    assert parsed == gentl_source.GentlAddress(Path("/opt/vendor/Producer.cti"), "12-34")
    assert gentl_source.parse_address("gentl://Producer.cti").serial == ""
    for wrong in ("gentl:///opt/vendor", "gentl:///a.cti?serial=1", "gentl:///a.cti?id=1&id=2"):
        with pytest.raises(ConfigError, match=r"gentl:///PATH/PRODUCER\.cti\?id=SERIAL"):
            gentl_source.parse_address(wrong)


async def test_a_missing_producer_is_named(tmp_path: Path) -> None:
    """A producer that is not there, and a file that is none, are told with what to do."""
    source = f"gentl://{tmp_path}/nobody.cti"
    with pytest.raises(ConfigError, match=r"nobody\.cti' does not exist. Install the camera's GenTL producer"):
        await opened(source)
    (tmp_path / "broken.cti").write_bytes(b"no library")
    with pytest.raises(ConfigError, match=r"broken\.cti' cannot be loaded"):
        await opened(f"gentl://{tmp_path}/broken.cti?id=1")


async def opened(address: str) -> None:
    """Open a camera and close it."""
    source = gentl_source.GentlSource(CameraSettings(source=SecretStr(address)), SystemClock())
    try:
        await source.open()
    finally:
        await source.close()


def test_producers_errors_are_mapped() -> None:
    """Each kind of a producer's error says why the camera is away."""
    address = gentl_source.parse_address("gentl:///a.cti?id=1")
    causes = {
        genicam.gentl.AccessDeniedException: LossCause.HELD,
        genicam.gentl.ResourceInUseException: LossCause.HELD,
        genicam.gentl.TimeoutException: LossCause.STALLED,
        genicam.gentl.IoException: LossCause.UNREACHABLE,
    }
    for kind, cause in causes.items():
        error = gentl_source.map_error(kind.__new__(kind), address)
        assert isinstance(error, SourceUnavailableError)
        assert error.cause is cause


@dataclass
class Part:
    """A payload's part, as a producer gives it."""

    data: NDArray[np.uint8] | NDArray[np.uint16]
    data_format: str
    width: int
    height: int


def test_payloads_become_pictures() -> None:
    """A part becomes a picture by its format's name; none, an unknown or a short one becomes no picture."""
    deep = np.full(12, 4_095, np.uint16)
    picture = gentl_source._picture([Part(deep, "Mono12", 4, 3)])
    assert picture.shape == (3, 4)
    assert (picture == 65_535).all()
    assert gentl_source._picture([]) is None
    assert gentl_source._picture([Part(deep, "Coord3D_C16", 4, 3)]) is None
    assert gentl_source._picture([Part(deep[:5], "Mono12", 4, 3)]) is None
