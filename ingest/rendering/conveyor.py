"""The conveyor: one picture for each part number, with its label and the exact pixels of its defect."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ingest.rendering.box import Box
from ingest.rendering.defects import DEFECT_NAMES, GENERATORS, LINE_DEFECTS, Workpiece
from ingest.rendering.geometry import BORE_RADIUS, Grid, marked
from ingest.rendering.part import (
    Finish,
    PartTemplate,
    Surface,
    build_grain_pool,
    build_template,
    draw_grooves,
    light_part,
    net_slope_light,
)
from ingest.rendering.scene import Scene, Shot, pool_shape
from shared.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

GOOD = "good"
SMALLEST_SIDE_PX = 120
SMALLEST_DEFECT_PX = 20
# A data set's parts are counted far from a running belt's, which start at 0: no demonstration shows a trained-on part.
TRAIN_FROM_NUMBER = 1_000_000_000
TEST_FROM_NUMBER = 2_000_000_000

# Levels of 255 by which a noise-free pixel must change to belong to the defect: the sensor's noise is 2 to 3.
_VISIBLE_LEVELS = 5.0
# The least mean change over a defect, in the same levels.
_CLEAR_LEVELS = 12.0
_ATTEMPTS = 8
# Severity 0 is what an attentive inspector just sees; a line is shown what inspectors agree on.
_FAINTEST = 0.55
# Streams of random numbers that never touch: what is drawn for one purpose cannot shift what is drawn for another.
_STATION, _LABEL, _SHOT, _DEFECT = range(4)


@dataclass(frozen=True, slots=True)
class ConveyorSettings:
    """What a conveyor shows; `defect_rate` is the share of parts, 0 to 1, that carry one of `defects`."""

    seed: int = 0
    width_px: int = 640
    height_px: int = 480
    defect_rate: float = 0.15
    defects: tuple[str, ...] = DEFECT_NAMES

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"the conveyor's seed {self.seed} is negative", "Give a seed of 0 or more.")
        if min(self.width_px, self.height_px) < SMALLEST_SIDE_PX:
            size = f"{self.width_px}x{self.height_px}"
            raise ConfigError(f"a frame of {size} is too small", f"Each side needs {SMALLEST_SIDE_PX} pixels or more.")
        if not 0.0 <= self.defect_rate <= 1.0:
            raise ConfigError(f"the defect rate {self.defect_rate} is not a share", "Give a number from 0 to 1.")
        for name in self.defects:
            _check_label(name, DEFECT_NAMES)
        if self.defect_rate > 0.0 and not self.defects:
            raise ConfigError("no defects are named but the defect rate is above 0", "Name defects, or set it to 0.")


@dataclass(frozen=True, slots=True, eq=False)
class RenderedPart:
    """One part: `pixels` is (H, W, 3) uint8 RGB, `mask` (H, W) uint8 with 255 on the defect's pixels, else 0."""

    number: int
    pixels: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    label: str


class Conveyor:
    """A station whose static pictures are made once; after that every part is a function of the seed and its number."""

    def __init__(self, settings: ConveyorSettings) -> None:
        self.settings = settings
        rng = np.random.default_rng([settings.seed, _STATION])
        self._grid = Grid.for_frame(settings.width_px, settings.height_px)
        canvas = self._grid.x.shape
        unit_px = self._grid.unit_px
        self._scene = Scene.build(rng, (settings.height_px, settings.width_px), unit_px)
        self._grain = build_grain_pool(rng, pool_shape(canvas, unit_px), unit_px)
        self._template = build_template(self._grid)
        self._undrilled = build_template(self._grid, drilled=False)
        self._face, self._rim_px, self._crack_starts_px = _places(self._grid, self._template)

    def label_of(self, number: int) -> str:
        """Return what `render` shows for this number: "good" or a defect's name; nothing is rendered."""
        rng = np.random.default_rng([self.settings.seed, _LABEL, _checked_number(number)])
        if rng.random() >= self.settings.defect_rate:
            return GOOD
        return self.settings.defects[int(rng.integers(len(self.settings.defects)))]

    def render(self, number: int, label: str | None = None) -> RenderedPart:
        """Return the picture of a part: with the label it draws from the defect rate, or with the given one."""
        shown = self.label_of(number) if label is None else _check_label(label, (GOOD, *DEFECT_NAMES))
        rng = np.random.default_rng([self.settings.seed, _SHOT, _checked_number(number)])
        shot = self._scene.draw(rng)
        finish = Finish(self._grain.cut(rng, self._grid.x.shape), draw_grooves(rng))
        surface = light_part(self._template, shot.lamp_weights, finish)
        picture = self._scene.develop(surface, shot, Box.whole(self._scene.shape))
        mask = np.zeros(self._scene.shape, dtype=np.uint8)
        if shown != GOOD:
            spoilt = self._spoil(number, shown, surface, shot, finish)
            window = spoilt.box.window()
            mask[window] = spoilt.mask
            picture[:, *window] = np.where(spoilt.mask > 0, spoilt.picture, picture[:, *window])
        return RenderedPart(number, self._scene.expose(picture, shot), mask, shown)

    def _spoil(self, number: int, label: str, good: Surface, shot: Shot, finish: Finish) -> _Spoilt:
        """Return the box of the noise-free frame that a defect changes."""
        piece = Workpiece(
            grid=self._grid,
            surface=good,
            light=net_slope_light(shot.lamp_weights),
            face=self._face,
            rim_px=self._rim_px,
            crack_starts_px=self._crack_starts_px,
            undrilled=lambda: light_part(self._undrilled, shot.lamp_weights, finish),
        )
        for attempt in range(_ATTEMPTS):
            # A defect can fall where it hardly shows (a dark scratch in a shadow): it is then drawn anew, and harder.
            rng = np.random.default_rng([self.settings.seed, _DEFECT, number, DEFECT_NAMES.index(label), attempt])
            severity = float(max(rng.uniform(_FAINTEST, 1.0), attempt / (_ATTEMPTS - 1)))
            patch = GENERATORS[label](piece, rng, severity)
            box = self._scene.box_of(patch.box, good.cover.shape, shot)
            # Both are developed in the same box, so that they differ by the defect and not by rounding.
            before = self._scene.develop(good, shot, box)
            after = self._scene.develop(good.patched(patch.box, patch.surface), shot, box)
            spoilt = _compared(before, after, box, gap_px=_gap_px(label, self._grid.unit_px))
            if spoilt.visible(self._grid.unit_px):
                break
        return spoilt


@dataclass(frozen=True, slots=True, eq=False)
class _Spoilt:
    """A box of the frame with a defect: `picture` is (3, H, W), `mask` (H, W) 0 or 255, `contrast` in levels."""

    box: Box
    picture: NDArray[np.float32]
    mask: NDArray[np.uint8]
    contrast: float

    def visible(self, unit_px: float) -> bool:
        """Whether the defect is large and strong enough to be called one."""
        smallest_px = SMALLEST_DEFECT_PX * max(1.0, unit_px**2)
        return bool(np.count_nonzero(self.mask) >= smallest_px) and self.contrast >= _CLEAR_LEVELS


def write_dataset(
    folder: Path,
    settings: ConveyorSettings,
    *,
    train_good: int,
    test_good: int,
    test_each_defect: int,
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Write a data set in the layout of MVTec-AD; `on_progress` hears how many pictures are written.

    No part is in both train and test, and none comes on a belt with the same seed within its first billion parts.
    """
    _refuse_used(folder)
    conveyor = Conveyor(settings)
    parts = _dataset_parts(settings, train_good, test_good, test_each_defect)
    for written, (kind, label, number, index) in enumerate(parts, start=1):
        part = conveyor.render(number, label)
        _write_png(folder / kind / label / f"{index:03d}.png", part.pixels[..., ::-1])
        if label != GOOD:
            _write_png(folder / "ground_truth" / label / f"{index:03d}_mask.png", part.mask)
        if on_progress is not None:
            on_progress(written)


def _dataset_parts(
    settings: ConveyorSettings, train_good: int, test_good: int, test_each_defect: int
) -> Iterator[tuple[str, str, int, int]]:
    """Yield split, label, part number and index within its folder for each picture of a data set."""
    for index in range(train_good):
        yield "train", GOOD, TRAIN_FROM_NUMBER + index, index
    number = TEST_FROM_NUMBER
    wanted = [(GOOD, test_good), *((name, test_each_defect) for name in settings.defects)]
    for label, count in wanted:
        for index in range(count):
            yield "test", label, number, index
            number += 1


def _refuse_used(folder: Path) -> None:
    """Raise DataError unless the folder is absent or empty."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        raise DataError(f"{folder} is not an empty folder", "Name a new folder: nothing is ever overwritten.")


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write grey or BGR pixels; the file is encoded here because OpenCV reports a failed write only as False."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(".png", pixels)
    path.write_bytes(encoded.tobytes())


def _check_label(name: str, known: tuple[str, ...]) -> str:
    """Return the name, or raise ConfigError with the known ones."""
    if name not in known:
        raise ConfigError(f"there is no defect named {name!r}", f"Known are: {', '.join(known)}.")
    return name


def _checked_number(number: int) -> int:
    """Return the part's number, or raise ConfigError for a negative one."""
    if number < 0:
        raise ConfigError(f"the part number {number} is negative", "Parts are counted from 0.")
    return number


def _gap_px(label: str, unit_px: float) -> int:
    """Return how wide a gap of a defect's mask is closed: more for a region, whose shading may cross zero."""
    return 2 * round((1.0 if label in LINE_DEFECTS else 2.5) * unit_px) + 1


def _compared(before: NDArray[np.float32], after: NDArray[np.float32], box: Box, *, gap_px: int) -> _Spoilt:
    """Return what differs visibly, as the sensor would see it, between two noise-free (3, H, W) pictures of a box."""
    levels = np.abs(np.minimum(after, 255.0) - np.minimum(before, 255.0)).max(axis=0)
    seen = np.where(levels > _VISIBLE_LEVELS, np.uint8(255), np.uint8(0))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (gap_px, gap_px))
    mask = np.asarray(cv2.morphologyEx(seen, cv2.MORPH_CLOSE, kernel), dtype=np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(mask, contours, -1, 255, cv2.FILLED)
    contrast = float(levels[seen > 0].mean()) if seen.any() else 0.0
    return _Spoilt(box, after, mask, contrast)


def _places(grid: Grid, template: PartTemplate) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Return where defects may lie: the face (H, W) bool, the outline's and all edges' (N, 2) x, y pixels."""
    # Where the part is plain: a defect that hides in a hole's rim or in the type mark is one to argue about.
    plain = (template.geometry.cover > 0.99) & (template.geometry.etched < 0.01) & ~marked(grid)  # noqa: PLR2004
    metal = plain.astype(np.uint8)
    reach = 2 * int(14.0 * grid.unit_px) + 1
    face = np.asarray(cv2.erode(metal, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))) > 0
    radius = grid.distance_to(0.0, 0.0)
    rim = np.abs(template.geometry.outline) < 0.7 / grid.unit_px
    bore_edge = np.abs(radius - BORE_RADIUS - 2.0) < 1.0 / grid.unit_px
    return face, _points(rim), _points(rim | bore_edge)


def _points(places: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the (N, 2) x, y of the true pixels."""
    rows, columns = np.nonzero(places)
    return np.stack([columns, rows], axis=1).astype(np.float64)
