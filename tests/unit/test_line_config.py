import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.line_config import LineConfig
from shared.errors import ConfigError
from shared.settings import load


def config(**values: object) -> LineConfig:
    """Return the settings of a development line."""
    given = {
        "bus": "kafka://127.0.0.1:9092",
        "store": "redis://127.0.0.1:6379/0",
        "plc": "modbus://127.0.0.1:5020",
        "run": "dev-1",
        "model": Path("models/lite"),
        "source": "rendered",
        "rate_hz": 10.0,
        "limit": 100,
        "slate": False,
    }
    return LineConfig(**{**given, **values})  # type: ignore[arg-type]


def test_the_file_is_what_the_settings_read(tmp_path: Path) -> None:
    """Every value comes back, and the line is fail-safe."""
    path = tmp_path / "line.toml"
    config(slate=True, source="rtsp://127.0.0.1:8554/line").write(path)
    settings = load(path)
    (line,) = settings.lines
    (camera,) = line.cameras
    assert settings.bus.url.get_secret_value() == "kafka://127.0.0.1:9092"
    assert settings.store.url.get_secret_value() == "redis://127.0.0.1:6379/0"
    assert settings.bus.topic_prefix == settings.store.key_prefix == "dev-1"
    assert settings.detector.model == Path("models/lite")
    assert line.signal.url.get_secret_value() == "modbus://127.0.0.1:5020"
    assert line.signal.photo_eye
    assert line.gate.value == "pass-asserted"
    assert (camera.slate, camera.limit, camera.rate_hz) == (True, 100, 10.0)


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    """Addresses may carry passwords, also where an older file was open to all."""
    path = tmp_path / "line.toml"
    path.write_text("old")
    path.chmod(0o644)
    config().write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """With a remedy."""
    with pytest.raises(ConfigError, match=r"cannot write.*Give --config another file"):
        config().write(tmp_path / "missing" / "line.toml")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), st.floats(0.001, 1_000))
def test_any_text_survives(text: str, rate_hz: float) -> None:
    """Quotes, backslashes, control characters and all: folders have strange names."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "line.toml"
        config(source=text, rate_hz=rate_hz).write(path)
        (camera,) = load(path).lines[0].cameras
    assert camera.source.get_secret_value() == text
    assert camera.rate_hz == rate_hz
