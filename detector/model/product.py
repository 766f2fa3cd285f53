"""What a model knows of one product: references, scales and calibration. Tower and heads know no product."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shared.domain import Effort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.model.calibration import Calibration
    from detector.model.crops import Crops
    from detector.model.fusion import Scale
    from detector.model.gallery import Gallery
    from detector.model.lens import Lens
    from detector.model.view import View


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """One product's views, the first of which the heads read, and what its good pictures look like through them.

    `scales` are of the bank's map and of each head's. `map_lens` says how large a picture's map is, `region_level` from
    which map value on a pixel belongs to a region. `crops` is the second look, where there is one. `lesser` are the
    same product as less of the model sees it, each with a calibration of its own; none where that would save nothing.
    `gallery` holds training pictures to show, which models of the format 5 do not have.
    """

    name: str
    views: tuple[View, ...]
    scales: tuple[Scale, ...]
    map_lens: Lens
    calibration: Calibration
    region_level: float
    crops: Crops | None = None
    lesser: Mapping[Effort, Product] = field(default_factory=dict)
    gallery: Gallery | None = None

    def at(self, effort: Effort, calibration: Calibration, region_level: float) -> Product:
        """Return the product as it is seen without a second look, and coarsely through one view alone."""
        views = (self.views[coarsest(self.views)],) if effort is Effort.COARSE else self.views
        return replace(self, views=views, calibration=calibration, region_level=region_level, crops=None, lesser={})


def coarsest(views: Sequence[View]) -> int:
    """Return which of a product's views sees the fewest pixels."""
    return min(range(len(views)), key=lambda index: views[index].lens.side_px)
