"""What a model knows of one product: references, scales and calibration. Tower and heads know no product."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shared.domain import Effort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.model.bank import Bank
    from detector.model.calibration import Calibration
    from detector.model.crops import Crops
    from detector.model.fusion import Scale
    from detector.model.gallery import Gallery
    from detector.model.lens import Lens
    from detector.model.profiles import Profile
    from detector.model.view import View
    from detector.runtime.base import Engine


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """One product's views, the first of which the heads read, and what its good pictures look like through them.

    `scales` are of the bank's map and of each head's. `map_lens` says how large a picture's map is, `region_level` from
    which map value on a pixel belongs to a region. `crops` is the second look, where there is one. `lesser` are the
    same product as less of the model sees it, each with a calibration of its own; none where that would save nothing.
    `gallery` holds training pictures to show.
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

    def seen_by(self, engine: Engine, settings: Profile) -> Product:
        """Return the same product with an engine's search in every bank and its looks; each view is handed over once.

        The second look's windows lie in their frame's light and have no look of their own.
        """
        banks: dict[int, Bank] = {}
        views: dict[int, View] = {}

        def searched(view: View) -> View:
            # The lesser efforts look at the same banks, through the same views.
            if id(view.bank) not in banks:
                banks[id(view.bank)] = replace(view.bank, search=engine.search(view.bank.rows))
            return replace(view, bank=banks[id(view.bank)])

        def seen(view: View) -> View:
            if id(view) not in views:
                views[id(view)] = replace(searched(view), sight=engine.sight(view, settings))
            return views[id(view)]

        def product_in(product: Product) -> Product:
            return replace(
                product,
                views=tuple(seen(view) for view in product.views),
                crops=None if product.crops is None else replace(product.crops, view=searched(product.crops.view)),
                lesser={effort: product_in(lesser) for effort, lesser in product.lesser.items()},
            )

        return product_in(self)


def coarsest(views: Sequence[View]) -> int:
    """Return which of a product's views sees the fewest pixels."""
    return min(range(len(views)), key=lambda index: views[index].lens.side_px)
