"""The model behind the port: engine, views, heads, fusion and calibration in one inspection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from detector.model.base import Inspection
from detector.model.crops import blend_back, find_windows, frame_of, look_again
from detector.model.fusion import Maps, fuse, in_units_of_the_map, sized
from detector.model.lens import Levels, Size, check_picture, in_levels
from detector.model.scoring import combine, find_regions, highest_place, image_score, smoothed
from detector.runtime.base import Glance
from shared.domain import AnomalyMap, Effort, Picture
from shared.errors import ConfigError
from shared.evidence import Golden

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from detector.model.crops import Crops
    from detector.model.head_shape import Heads
    from detector.model.product import Product
    from detector.model.profiles import Profile
    from detector.model.view import View
    from detector.runtime.base import Engine, Seen
    from detector.runtime.lanes import Lanes

# The patches of so many pictures lie in memory at once.
_AT_ONCE = 16


@dataclass(frozen=True, slots=True, eq=False)
class PatchModel:
    """A frozen tower in some engine, heads on top of it, and what is known of one product.

    The model holds no state between calls, so any thread may call it.
    """

    model_id: str
    settings: Profile
    engine: Engine
    ensembles: tuple[Heads, ...]
    product: Product

    @property
    def profile(self) -> str:
        """The profile's name."""
        return self.settings.name

    @property
    def calibration_id(self) -> str:
        """The calibration's short checksum."""
        return self.product.calibration.calibration_id

    @property
    def lanes(self) -> Lanes:
        """The engine's: where several pictures are looked at side by side."""
        return self.engine.lanes

    @property
    def region_level(self) -> float:
        """The raw map value from which a pixel belongs to a region."""
        return self.product.region_level

    @property
    def efforts(self) -> tuple[Effort, ...]:
        """How much of it can look, the whole first."""
        return (Effort.FULL, *(effort for effort in Effort if effort in self.product.lesser))

    def at(self, effort: Effort) -> PatchModel:
        """Return the model as it looks at one of `efforts`, with that one's calibration; ConfigError for another."""
        if effort is Effort.FULL:
            return self
        if effort not in self.product.lesser:
            known = ", ".join(self.efforts)
            raise ConfigError(f"the model {self.model_id} knows no effort {effort.value!r}", f"Choose from: {known}.")
        return replace(self, settings=self.settings.at(effort), product=self.product.lesser[effort])

    def with_shares(self, place: tuple[float, ...], score: tuple[float, ...]) -> PatchModel:
        """Return the same model with other shares of bank and heads; its calibrated scores mean nothing any more."""
        return replace(self, settings=replace(self.settings, shares_of_place=place, shares_of_score=score))

    def without_crops(self) -> PatchModel:
        """Return the same model without its second look; its calibrated scores mean nothing any more."""
        return replace(self, product=replace(self.product, crops=None))

    def raw_at(self, score: float) -> float | None:
        """Return the lowest raw score whose calibrated one is `score`; None where there is none."""
        return self.product.calibration.raw_at(score)

    def inspect(self, pictures: Sequence[Picture]) -> list[Inspection]:
        """Inspect pictures of any sizes; PictureError for anything else."""
        sizes = [check_picture(picture, index) for index, picture in enumerate(pictures)]
        found: list[Inspection] = []
        for start in range(0, len(pictures), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            found += self._inspect_some(pictures[part], sizes[part])
        return found

    def _inspect_some(self, pictures: Sequence[Picture], sizes: Sequence[Size]) -> list[Inspection]:
        """Inspect as many pictures that were checked as may lie in memory with their patches."""
        frames = [in_levels(picture) for picture in pictures]
        if self.lanes.count > 1:
            # Each goes through its lane by itself: none waits for the others between two steps.
            found = self.lanes.each(
                lambda index: self._inspect_together([frames[index]], [sizes[index]]), range(len(frames))
            )
            return [one for (one,) in found]
        return self._inspect_together(frames, sizes)

    def _inspect_together(self, frames: Sequence[Levels], sizes: Sequence[Size]) -> list[Inspection]:
        """Let the engine see all frames at once."""
        views = self._views
        seen = self._seen([(view, view.lens.sized(frame)) for frame in frames for view in views])
        jobs = [
            _Job(frame, size, seen[index * len(views) : (index + 1) * len(views)])
            for index, (frame, size) in enumerate(zip(frames, sizes, strict=True))
        ]
        return [self._judge(job) for job in jobs]

    def _seen(self, looks: Sequence[tuple[View, Levels]]) -> list[Seen | Glance]:
        """Return what is seen of shrunk pictures; in whole looks where the banks alone are asked, if there are such."""
        known = [
            view.sight(small) if self.settings.asked == (0,) and view.sight is not None else None
            for view, small in looks
        ]
        left = [look for look, seen in zip(looks, known, strict=True) if seen is None]
        rest = iter(self.engine.see([view.lens.tune(small, self.settings) for view, small in left]) if left else ())
        return [next(rest) if seen is None else seen for seen in known]

    @property
    def _views(self) -> tuple[View, ...]:
        """The views that a picture is seen through: the first for the heads, all of them for the bank's share."""
        return self.product.views if 0 in self.settings.asked else self.product.views[:1]

    def _judge(self, job: _Job) -> Inspection:
        maps = self._maps(job.seen, self.product.map_lens.content(job.size))
        raw = image_score(maps.score, self.settings.top_share)
        place = maps.place
        if self.product.crops is not None:
            raw, place = self._again(job.frame, job.size, maps, raw, self.product.crops)
        regions = find_regions(place, self.product.region_level, job.size, self.settings.max_regions)
        golden = self._golden(job.seen[0], place)
        return Inspection(raw, self.product.calibration.score(raw), AnomalyMap(place), regions, golden)

    def _golden(self, seen: Seen | Glance, place: NDArray[np.float32]) -> Callable[[], Golden | None] | None:
        """Return what finds the training picture nearest to the map's highest place, if there are any to show.

        `seen` is through the first view. The few patches about that place are copied, so that all the others can go; to
        compare them with the bank is left to whoever asks.
        """
        if self.product.gallery is None:
            return None
        row, column = divmod(highest_place(place), place.shape[1])
        rows, columns = seen.relative.shape if isinstance(seen, Glance) else seen.patches.shape[:2]
        about = seen.about(row * rows // place.shape[0], column * columns // place.shape[1])
        return partial(_nearest_good, about, self.product)

    def _again(
        self, frame: Levels, size: Size, maps: Maps, raw: float, crops: Crops
    ) -> tuple[float, NDArray[np.float32]]:
        """Return the score and the map after a second look at a doubtful picture's peaks."""
        place, peaks = maps.place, []
        if crops.doubts(raw):
            windows = find_windows(maps.score, size, self.settings.crop_side_px, self.settings.crops_most)
            looks = look_again(self.engine, frame_of(frame), windows, crops.view, settings=self.settings)
            for fine in looks:
                peaks.append(fine.peak)
                values = in_units_of_the_map(fine.relative, self.product.scales, self.settings)
                place = blend_back(place, fine.window, values, size)
        return crops.score(raw, peaks), place

    def _maps(self, seen: Sequence[Seen | Glance], map_size: Size) -> Maps:
        """Return a picture's maps at the map's size, of what was seen through each view.

        What has no share in the maps is not computed.
        """
        asked = self.settings.asked
        first, whole = self.product.views[0], seen[0]
        if asked == (0,):
            relative, logits = first.relative(whole), []
        elif isinstance(whole, Glance):
            raise AssertionError("sights are asked only where no head is")
        else:
            relative, differences = first.compare(whole)
            heads = [self.ensembles[index - 1] for index in asked if index]
            logits = [sized(head.logits(whole, differences, relative), map_size) for head in heads]
        others = zip(self.product.views[1:], seen[1:], strict=False)
        grids = [relative, *(view.relative(one) for view, one in others)] if 0 in asked else []
        if asked == (0,):
            smooth = smoothed(grids, map_size, self.settings.blur_sigma_px)
            return Maps(smooth, smooth)
        maps = [combine(grids, map_size), *logits] if grids else logits
        return fuse(maps, [self.product.scales[index] for index in asked], self.settings)


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A frame, its size, and what was seen of it through each view."""

    frame: Levels
    size: Size
    seen: Sequence[Seen | Glance]


def _nearest_good(patches: NDArray[np.float32], product: Product) -> Golden | None:
    """Return the training picture that a few patches (n, D) of a product's first view are nearest to."""
    found = product.views[0].bank.nearest(patches)
    if found is None or product.gallery is None:
        return None
    number, distance = found
    return Golden(product.gallery.names[number], distance, product.gallery.jpegs[number])
