"""What `bench console` makes of what it measured, and the settings that it gives to a console of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w

from deploy.alerting_load import Load
from deploy.console_bench import ConsoleFigures
from deploy.console_day import HOURS, DayFigures, Hour
from deploy.console_process import plain, with_console
from shared.settings import load

FIGURES = ConsoleFigures(
    lines=8,
    browsers=10,
    parts_a_s=10.0,
    seconds=60.0,
    seen=48_000,
    screen_p50_ms=120.0,
    screen_p95_ms=180.0,
    screen_p99_ms=240.0,
    decided_p50_ms=130.0,
    decided_p95_ms=900.0,
    gate_p99_alone_ms=4.0,
    gate_p99_read_ms=4.5,
    console_cpu_share=0.1,
    console_mib=(90.0, 90.0),
    page_mib=(2.0, 2.0),
    balanced=True,
)


def test_figures_are_sound_where_all_that_was_wanted_was_reached() -> None:
    """A gate that signals half a millisecond later is none the worse."""
    assert FIGURES.sound
    assert FIGURES.gate_moved_ms == pytest.approx(0.5)
    assert FIGURES.to_json()["sound"] is True


@pytest.mark.parametrize(
    "worse",
    [{"screen_p95_ms": 301.0}, {"gate_p99_read_ms": 6.1}, {"balanced": False}, {"seen": 0}],
    ids=["late", "moves the gate", "lost parts", "saw nothing"],
)
def test_figures_are_not_sound_where_one_was_not(worse: dict[str, float]) -> None:
    """Nothing makes up for it."""
    assert not replace(FIGURES, **worse).sound  # type: ignore[arg-type]


def test_its_console_is_given_the_lines_and_the_store(tmp_path: Path) -> None:
    """Written as TOML, and read back as any settings are."""
    settings = with_console(Load(3, 30, 10.0), "redis://127.0.0.1:1/0")
    path = tmp_path / "line.toml"
    path.write_text(tomli_w.dumps(plain(settings)))
    read = load(path)
    assert read.store == settings.store
    assert read.console == settings.console
    assert [line.name for line in read.lines] == ["line-1", "line-2", "line-3"]
    assert [line.policy for line in read.lines] == [line.policy for line in settings.lines]


@pytest.mark.parametrize("what", ["console_mib", "page_mib", "nodes", "listeners"])
def test_a_day_is_not_sound_where_something_grows_by_the_hour(what: str) -> None:
    """A hundredth an hour is a sixth more from where all that is kept is full to the end."""
    even = [Hour(98.0, 2.0, 1_000, 40)] * HOURS
    assert DayFigures(8, 1_000, 60.0, tuple(even)).sound
    growing = [replace(hour, **{what: getattr(hour, what) * (1 + 0.01 * n)}) for n, hour in enumerate(even)]
    figures = DayFigures(8, 1_000, 60.0, tuple(growing))
    assert not figures.sound
    assert [name for name, growth in figures.growth.items() if growth > 0.01] == [what]


def test_a_day_in_which_what_is_kept_fills_up_at_first_is_sound() -> None:
    """Caches are none the worse for being filled."""
    filling = [Hour(60.0 + 5 * min(n, 5), 2.0, 1_000, 40) for n in range(HOURS)]
    assert DayFigures(8, 1_000, 60.0, tuple(filling)).sound
