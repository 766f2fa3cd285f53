"""Models with learnt heads, trained, saved and loaded as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from detector.model import artifact
from detector.model.profiles import EDGE, EDGE_MOBILE, LITE_PYRAMID
from detector.training.checkpoints import Checkpoints
from detector.training.fit import train
from shared.domain import Effort
from shared.errors import DataError
from tests.plates import plate, write_plates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from detector.model.patch_model import PatchModel
    from detector.model.profiles import Profile

SMALL = replace(
    LITE_PYRAMID,
    sides_px=(96,),
    map_side_px=96,
    bank_size=256,
    heads=("prompt", "refiner"),
    head_pictures=4,
    head_steps=40,
    shares_of_place=(0.25, 0.25, 0.5),
    shares_of_score=(0.5, 0.25, 0.25),
)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Keep torch to one core: its threads wait for each other when other tests run beside these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train one model of two products, save it and return its folder."""
    root = tmp_path_factory.mktemp("learnt")
    sets = [write_plates(root / "plates", 14), write_plates(root / "discs", 13)]
    train(sets, profile=SMALL, checkpoints=Checkpoints(root / "kept")).save(root / "model")
    return root / "model"


@pytest.mark.parametrize("product", ["plates", "discs"])
def test_one_model_of_two_products_finds_a_hole_in_each(folder: Path, product: str) -> None:
    """Score, map and calibrated score all say so."""
    model = artifact.load(folder, product)
    sound, pierced = model.inspect([plate(99), plate(99, hole=True)])
    assert pierced.raw_score > 2 * sound.raw_score
    assert pierced.score > 1.5 > sound.score
    row, column = np.unravel_index(pierced.anomaly_map.values.argmax(), pierced.anomaly_map.values.shape)
    assert abs(int(row) - 45) < 14
    assert abs(int(column) - 61) < 14


@pytest.mark.parametrize("share", [(0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)])
def test_each_ingredient_alone_finds_the_hole(folder: Path, share: tuple[float, ...]) -> None:
    """Prompt, bank and refiner each tell it from what is around it, and no map holds a negative value."""
    model = artifact.load(folder, "plates").with_shares(share, share)
    values = model.inspect([plate(99, hole=True)])[0].anomaly_map.values
    assert values.min() >= 0
    assert values[40:50, 58:68].mean() > 1.5 * values[5:20, 5:20].mean()


def test_learning_is_kept_until_the_model_is_saved_and_gone_on_from(tmp_path: Path) -> None:
    """A second training with the same options takes the learnt heads, and gives the same model."""
    sets = [write_plates(tmp_path / "plates", 13)]
    kept = Checkpoints(tmp_path / "kept")
    first = train(sets, profile=SMALL, checkpoints=kept)
    steps: list[tuple[str, int]] = []
    again = train(
        sets, profile=SMALL, checkpoints=kept, on_progress=lambda step, done, _total: steps.append((step, done))
    )
    assert [done for step, done in steps if step == "refiner 1"] == [40]
    assert again.products[0].calibration == first.products[0].calibration
    kept.remove()


def test_good_pictures_that_are_all_one_make_a_model_all_the_same(tmp_path: Path) -> None:
    """Copies of one picture have no spread at all; a spoilt one is then beyond all measure, and is learnt from."""
    place = tmp_path / "plates" / "train" / "good"
    place.mkdir(parents=True)
    for index in range(12):
        cv2.imwrite(str(place / f"{index:03d}.png"), plate(1))
    train([tmp_path / "plates"], profile=replace(SMALL, head_steps=4)).save(tmp_path / "model")
    same, pierced = artifact.load(tmp_path / "model").inspect([plate(1)[..., ::-1].copy(), plate(1, hole=True)])
    assert np.isfinite([same.raw_score, pierced.raw_score]).all()
    assert pierced.raw_score > same.raw_score


def test_a_product_with_too_few_pictures_for_heads_is_named(tmp_path: Path) -> None:
    """It does not take the heads from the others without a word."""
    sets = [write_plates(tmp_path / "plates", 14), write_plates(tmp_path / "discs", 3)]
    with pytest.raises(DataError, match="discs has 3 good pictures, which are too few to learn heads from"):
        train(sets, profile=SMALL)


def vit(**changes: object) -> Profile:
    """Return the `edge` profile with a small tower for pictures of 96 pixels."""
    small = replace(
        EDGE, tower="ViT-S-16", sides_px=(96,), map_side_px=96, bank_size=128, head_pictures=4, head_steps=3
    )
    return replace(small, **changes)  # type: ignore[arg-type]


def test_a_single_prompt_is_learnt_saved_and_loaded(tmp_path: Path) -> None:
    """Abnormal alone, with another word and a shorter context."""
    settings = vit(prompt_count=1, prompt_context=4, prompt_word="plate")
    train([write_plates(tmp_path / "plates", 4)], profile=settings, weights="random").save(tmp_path / "model")
    assert load_file(tmp_path / "model" / "model.safetensors")["head.prompt.0.prompts"].shape == (1, 384)
    (sound,) = artifact.load(tmp_path / "model").inspect([plate(99)])
    assert np.isfinite(sound.raw_score)


def test_mobileclip_trains_through_its_own_text_tower(tmp_path: Path) -> None:
    """A timm tower of any size, with random weights: trained, saved, loaded, asked."""
    settings = replace(EDGE_MOBILE, sides_px=(96,), map_side_px=96, bank_size=128, head_pictures=4, head_steps=2)
    train([write_plates(tmp_path / "plates", 4)], profile=settings, weights="random").save(tmp_path / "model")
    model = artifact.load(tmp_path / "model")
    found = model.inspect([plate(99), np.zeros((40, 90), dtype=np.uint8)])
    assert np.isfinite([one.raw_score for one in found]).all()


@pytest.mark.parametrize("value_attention_from", [0, 6])
def test_a_vit_with_a_prompt_through_its_text_tower_leaves_that_tower_behind(
    tmp_path: Path, value_attention_from: int
) -> None:
    """With random weights, asked for by name: the artifact holds the cached prompts and no text tower, and it sees."""
    sets = [write_plates(tmp_path / "plates", 6)]
    settings = vit(value_attention_from=value_attention_from)
    train(sets, profile=settings, weights="random").save(tmp_path / "model")
    tensors = load_file(tmp_path / "model" / "model.safetensors")
    assert not [name for name in tensors if "token_embedding" in name or "ln_final" in name]
    prompts = tensors["head.prompt.0.prompts"]
    assert torch.allclose(prompts.norm(dim=1), torch.ones(2), atol=1e-5)
    model = artifact.load(tmp_path / "model")
    sound, pierced = model.inspect([plate(99), plate(99, hole=True)])
    assert np.isfinite([sound.raw_score, pierced.raw_score]).all()
    assert np.abs(pierced.anomaly_map.values - sound.anomaly_map.values).max() > 0.01


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> PatchModel:
    """Train a model of two magnifications with a refiner, and load it."""
    root = tmp_path_factory.mktemp("graded")
    settings = replace(LITE_PYRAMID, sides_px=(64, 96, 128), map_side_px=96, bank_size=256)
    settings = replace(settings, head_pictures=4, head_steps=20)
    train([write_plates(root / "plates", 14)], profile=settings).save(root / "model")
    return artifact.load(root / "model")


def test_a_model_looks_with_less_of_itself_and_still_finds_the_hole(graded: PatchModel) -> None:
    """Without the refiner and coarsely: each under a calibration of its own, which rejects the hole alone."""
    assert graded.efforts == (Effort.FULL, Effort.UNREFINED, Effort.COARSE)
    looks = [graded.at(effort) for effort in graded.efforts]
    assert len({look.calibration_id for look in looks}) == 3
    assert len({look.model_id for look in looks}) == 1
    for look in looks:
        sound, pierced = look.inspect([plate(99), plate(99, hole=True)])
        assert pierced.score > 1.5 > sound.score
        assert pierced.regions


def test_less_effort_asks_less_of_the_model(graded: PatchModel) -> None:
    """Unrefined asks no head, coarse one magnification: the one that sees the fewest pixels."""
    unrefined, coarse = graded.at(Effort.UNREFINED), graded.at(Effort.COARSE)
    assert (graded.settings.asked, unrefined.settings.asked, coarse.settings.asked) == ((0, 1), (0,), (0,))
    assert (len(graded.product.views), len(unrefined.product.views), len(coarse.product.views)) == (2, 2, 1)
    sides = [view.lens.side_px for view in graded.product.views]
    assert coarse.product.views[0].lens.side_px == min(sides)


def test_a_prompt_keeps_its_say_where_the_refiner_has_none(folder: Path) -> None:
    """One magnification with prompt and refiner: unrefined the prompt still speaks, and there is no coarser look."""
    model = artifact.load(folder, "plates")
    assert model.efforts == (Effort.FULL, Effort.UNREFINED)
    assert model.at(Effort.UNREFINED).settings.asked == (0, 1)
    assert model.at(Effort.UNREFINED).settings.shares_of_place == (0.5, 0.5, 0.0)
