"""Things that are made beside whoever asks: when, how many, and what happens where they cannot be made."""

from __future__ import annotations

import threading

import pytest

from detector.runtime.often import OFTEN, Often


def asked(often: Often[str, str], key: str, times: int = OFTEN) -> str | None:
    """Ask so often, and return the last answer."""
    return [often.get(key) for _ in range(times)][-1]


def test_only_what_comes_often_is_made() -> None:
    """Not before, and once however often it comes."""
    made: list[str] = []

    def make(key: str) -> str:
        made.append(key)
        return key.upper()

    often = Often(make)
    assert asked(often, "a", OFTEN - 1) is None
    often.settle()
    assert made == []
    often.get("a")
    often.settle()
    assert asked(often, "a", 10) == "A"
    assert made == ["a"]


def test_whoever_asks_goes_on_while_it_is_made() -> None:
    """A slow making holds nobody up."""
    may_end = threading.Event()

    def make(key: str) -> str:
        may_end.wait()
        return key

    often = Often(make)
    assert asked(often, "a", 2 * OFTEN) is None
    may_end.set()
    often.settle()
    assert often.get("a") == "a"


def test_a_few_are_kept_and_one_that_went_comes_back_much_later() -> None:
    """The one that was not asked for the longest goes; more keys than are kept are not made without end."""
    made: list[str] = []

    def make(key: str) -> str:
        made.append(key)
        return key.upper()

    often = Often(make, kept=2)
    for key in ("a", "b"):
        asked(often, key)
        often.settle()
    often.get("a")
    asked(often, "c")
    often.settle()
    assert (often.get("a"), often.get("c")) == ("A", "C")
    assert asked(often, "b", 999) is None
    often.settle()
    assert made == ["a", "b", "c"]
    often.get("b")
    often.settle()
    assert often.get("b") == "B"


def test_what_is_being_made_is_made_once_however_many_others_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts are forgotten when there are too many: what is under way is not."""
    monkeypatch.setattr("detector.runtime.often._COUNTED", 4)
    may_end = threading.Event()
    made: list[str] = []

    def make(key: str) -> str:
        made.append(key)
        assert may_end.wait(60)
        return key

    often = Often(make)
    asked(often, "a")
    for other in range(20):
        often.get(str(other))
        often.get("a")
    may_end.set()
    often.settle()
    assert made == ["a"]
    assert often.get("a") == "a"


def test_what_cannot_be_made_is_told_once_and_left() -> None:
    """Nobody who asks sees the error: the slower way serves them."""
    tried: list[str] = []

    def make(key: str) -> str:
        tried.append(key)
        raise RuntimeError("no room")

    often = Often(make)
    for _ in range(3):
        assert asked(often, "a") is None
        often.settle()
    assert tried == ["a"]
