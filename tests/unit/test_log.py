import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import pytest
import structlog

from shared.log import Repeats, configure, get_logger

ADDRESS = "rtsp://admin:secret@cam/stream"


@dataclass
class Camera:
    """Something that nobody thought of as text."""

    address: str


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave logging as it was found."""
    yield
    structlog.reset_defaults()
    for name in ("aiokafka", "pymodbus", "libav", "asyncio"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "value",
    [
        ADDRESS,
        [ADDRESS],
        {"camera": {"address": (ADDRESS,)}},
        {ADDRESS: 1},
        {frozenset([ADDRESS])},
        ADDRESS.encode(),
        ValueError(ADDRESS),
        Camera(ADDRESS),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_field_shows_a_password(value: object, as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a log field holds, at whatever depth."""
    configure("info", json=as_json)
    get_logger("test").info("camera.opened", value=value)
    written = capsys.readouterr().err
    assert "camera.opened" in written
    assert "secret" not in written
    assert "***@cam" in written


@pytest.mark.parametrize("as_json", [True, False])
def test_no_traceback_shows_a_password(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Exceptions are printed with their causes, and without passwords."""
    configure("info", json=as_json)
    try:
        try:
            raise OSError(f"cannot open {ADDRESS}")  # noqa: TRY301 - the cause of the next one
        except OSError as error:
            raise RuntimeError(f"lost {ADDRESS}") from error
    except RuntimeError:
        get_logger("test").exception("camera.lost", source=ADDRESS)
    written = capsys.readouterr().err
    assert "cannot open rtsp://***@cam/stream" in written
    assert "RuntimeError" in written
    assert "secret" not in written


def test_json_lines_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line, with level, time, component and the fields as they are."""
    configure("info", json=True)
    get_logger("gate").info("part.settled", count=3, share=0.5, ok=True, nothing=None, path=PurePosixPath("a/b"))
    line = json.loads(capsys.readouterr().err)
    assert line.pop("timestamp").endswith("Z")
    assert line.pop("path") == "PurePosixPath('a/b')"
    assert line == {
        "component": "gate",
        "event": "part.settled",
        "level": "info",
        "count": 3,
        "share": 0.5,
        "ok": True,
        "nothing": None,
    }


def test_the_level_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """Below the level nothing is written."""
    configure("warning", json=True)
    get_logger("test").info("quiet")
    get_logger("test").warning("loud")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["loud"]


def test_an_outage_is_said_when_it_begins_and_once_a_minute_while_it_lasts() -> None:
    """However many parts it meets; another line, another error and the next outage are said at once."""
    now_s = 0.0
    repeats = Repeats(lambda: now_s)

    def shown(**fields: object) -> list[object]:
        try:
            return [repeats(None, "warning", {"event": "store.away", **fields}).get("repeats", 0)]
        except structlog.DropEvent:
            return []

    said: list[object] = []
    for tenth in range(1_000):
        now_s = tenth / 10
        said += shown(line="a", error="no answer")
    assert said == [0, 600]
    assert shown(line="b", error="no answer") == [0]
    assert shown(line="a", error="full") == [0]
    now_s += 6
    assert shown(line="a", error="no answer") == [0]
    assert shown(line="a", error="no answer") == []


def test_what_is_no_outage_is_always_said() -> None:
    """Two rejects with the same words are two."""
    repeats = Repeats(lambda: 0.0)
    event = {"event": "part.passed_uninspected", "line": "a"}
    assert [repeats(None, "warning", dict(event)) for _ in range(2)] == [event, event]
