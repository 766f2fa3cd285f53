import pytest

from shared.envelope import Headers, capture_headers, capture_of
from tests.lines import capture


def test_headers_are_cloud_events() -> None:
    """Anything that speaks CloudEvents can route a message without opening it."""
    headers = dict(capture_headers(capture("p1"), "frame"))
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_type"] == b"linewarden.frame.v1"
    assert headers["ce_source"] == b"/line-1/camera"
    assert headers["ce_subject"] == b"p1"


def test_a_capture_is_found_again() -> None:
    """Headers alone say which capture a message is about."""
    assert capture_of(capture_headers(capture("p1"), "frame")) == capture("p1")


def without(name: str) -> Headers:
    """Return good headers but one."""
    return tuple(header for header in capture_headers(capture(), "frame") if header[0] != name)


@pytest.mark.parametrize("name", ["ce_id", "ce_subject", "ce_capturedatns", "ce_decidebyns"])
def test_a_missing_header_says_nothing(name: str) -> None:
    """Half an identity is none."""
    assert capture_of(without(name)) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_id", b"line/camera/1"),
        ("ce_id", b"line/camera/1/2/3"),
        ("ce_id", b"line/camera/one/2"),
        ("ce_id", b"line/camera/-1/2"),
        ("ce_subject", b"\xff\xfe"),
        ("ce_capturedatns", b""),
        ("ce_capturedatns", b"1.5"),
        ("ce_decidebyns", b"9" * 40),
        ("ce_decidebyns", b"9" * 5_000),
        ("ce_decidebyns", None),
    ],
)
def test_a_senseless_header_says_nothing(name: str, value: bytes) -> None:
    """Numbers that fit no message, text that is none, and headers without a value are not guessed at."""
    assert capture_of((*without(name), (name, value))) is None
