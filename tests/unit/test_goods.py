"""The good pictures of a set: how a bank knows them in other lights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from detector.model.backbone.assemble import tower_of
from detector.model.backbone.weights import read_weights
from detector.model.profiles import LITE
from detector.runtime.eager import TorchEngine
from detector.training.fit import train
from detector.training.goods import extract, read_goods
from tests.plates import plate, write_plates

if TYPE_CHECKING:
    from pathlib import Path


def test_a_bank_of_few_pictures_also_knows_them_in_other_lights(tmp_path: Path) -> None:
    """A darker good picture is nearer to it, the bank holds more, and many pictures bring their own lights."""
    unlevelled = replace(LITE, sides_px=(96,), map_side_px=96, level_light=False)
    relit = replace(unlevelled, bank_gains=(0.7, 1.4))
    few = write_plates(tmp_path / "few", 3)
    darker = (plate(50) * 0.7).astype(np.uint8)
    views = []
    for settings in (unlevelled, relit):
        product = train([few], profile=settings).products[0]
        views.append(product.views[0])
    engine = TorchEngine(tower_of(LITE, read_weights(LITE.tower).tensors), LITE)
    without, with_lights = (
        float(view.bank.distances(extract(engine, darker, view.lens, relit)).mean()) for view in views
    )
    assert with_lights < 0.8 * without
    assert len(views[1].bank.rows) == 3 * len(views[0].bank.rows)
    goods = read_goods(write_plates(tmp_path / "many", 33), lambda *_: None)
    assert goods.relit(engine, views[0].lens, relit) == []
