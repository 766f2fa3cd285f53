"""A benchmark's picture: bars, what they are made of, and the bounds that they are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from deploy.model_making import needs_extra
from shared.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS: Final = (".png", ".svg")
_WIDTH_IN: Final = 8.0
_BAR_IN: Final = 0.34
_PANEL_IN: Final = 1.0
_INK, _BOUND = "#22303c", "#c0392b"
_ROOM_FOR_NUMBERS: Final = 1.18
_SMALLEST_LABEL: Final = 0.07


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: the parts that it is made of, by name, and where it should have ended at least or at most."""

    label: str
    parts: Mapping[str, float]
    bound: float | None = None

    @property
    def length(self) -> float:
        """Return what the parts add up to."""
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars of one unit below each other."""

    title: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Panels below each other; `note` says how they were measured, and on what."""

    title: str
    panels: tuple[Panel, ...]
    note: str = ""


class Drawable(Protocol):
    """Figures that can be drawn."""

    def chart(self) -> Chart:
        """Return what to draw."""
        ...


def check_picture(path: Path | None) -> None:
    """Refuse a picture that cannot be drawn before the work, not after it; ConfigError says why."""
    if path is None:
        return
    if path.suffix not in KINDS:
        raise ConfigError(f"{str(path)!r} is no picture", f"Give a name that ends with {' or '.join(KINDS)}.")
    with needs_extra("dev"):
        import matplotlib as mpl
    mpl.use("agg")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror}", "Give a file that can be written.") from None


def draw(figures: Drawable, path: Path | None) -> None:
    """Write figures as a picture, if one is wanted."""
    if path is None:
        return
    with needs_extra("dev"):
        from matplotlib.figure import Figure
    chart = figures.chart()
    heights = [_PANEL_IN + _BAR_IN * len(panel.bars) for panel in chart.panels]
    figure = Figure(figsize=(_WIDTH_IN, sum(heights) + 0.6), layout="constrained")
    figure.suptitle(chart.title, color=_INK, fontsize=12, fontweight="bold", x=0.01, ha="left")
    axes = figure.subplots(len(chart.panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    for panel, place in zip(chart.panels, axes[:, 0], strict=True):
        _draw_panel(panel, place)
    if chart.note:
        figure.supxlabel(chart.note, color=_INK, fontsize=7, x=0.01, ha="left")
    figure.savefig(path, dpi=120)


def _draw_panel(panel: Panel, axes: Axes) -> None:
    names = list(dict.fromkeys(name for bar in panel.bars for name in bar.parts))
    longest = max((max(bar.length, bar.bound or 0.0) for bar in panel.bars), default=0.0) or 1.0
    for name_index, name in enumerate(names):
        for row, bar in enumerate(panel.bars):
            if name not in bar.parts:
                continue
            before = sum(value for other, value in bar.parts.items() if names.index(other) < name_index)
            drawn = axes.barh(row, bar.parts[name], left=before, height=0.62, color=f"C{name_index % 10}", label=name)
            if len(bar.parts) > 1 and bar.parts[name] > _SMALLEST_LABEL * longest:
                axes.bar_label(drawn, fmt="%.3g", label_type="center", fontsize=7, color="white")
    for row, bar in enumerate(panel.bars):
        axes.text(bar.length + longest * 0.01, row, f"{bar.length:.3g}", va="center", fontsize=8, color=_INK)
        if bar.bound is not None:
            axes.vlines(bar.bound, row - 0.42, row + 0.42, color=_BOUND, linewidth=2)
    axes.set_title(panel.title, fontsize=9, color=_INK, loc="left")
    axes.set_yticks(range(len(panel.bars)), [bar.label for bar in panel.bars], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, longest * _ROOM_FOR_NUMBERS)
    axes.tick_params(axis="x", labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    if len(names) > 1:
        # The lengths stand beside the bars; the legend stands where the scale would.
        axes.tick_params(axis="x", labelbottom=False)
        handles, labels = axes.get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        axes.legend(once.values(), once.keys(), fontsize=7, ncols=4, loc="upper left", bbox_to_anchor=(0, -0.12))
