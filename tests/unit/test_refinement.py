"""Refinement: items to batches, learning, and the fusion with the bank."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from detector.model.lens import Size
from detector.model.profiles import LITE_PYRAMID
from detector.model.refinement import Scale, fuse, scale_of, sized
from detector.model.refiner import Refiner, Shape
from detector.training.goods import evenly
from detector.training.pool import Item, collate
from detector.training.refine import half_of, learn_refiner, logits_of


def item(seed: int, shape: tuple[int, int] = (16, 16), *, spoilt: bool) -> Item:
    """Return an item of noise; where it is spoilt one channel of its finest level is raised."""
    generator = torch.Generator().manual_seed(seed)
    fine = torch.randn(4, *shape, generator=generator)
    mask = torch.zeros(shape, dtype=torch.bool)
    if spoilt:
        row, column = (int(place) for place in torch.randint(0, 10, (2,), generator=generator))
        mask[row : row + 5, column : column + 5] = True
        fine[1, mask] += 4.0
    half = (shape[0] // 2, shape[1] // 2)
    return Item(
        seed,
        (fine.half(), torch.randn(6, *half, generator=generator).half()),
        0.01 * torch.randn(10, *half, generator=generator).half(),
        torch.ones(half).half(),
        mask,
    )


def test_a_refiner_learns_what_tells_spoilt_cells_and_the_same_seed_gives_the_same_one() -> None:
    """On unseen items it ranks spoilt cells above good ones."""
    good = [item(seed, spoilt=False) for seed in range(8)]
    spoilt = [item(100 + seed, spoilt=True) for seed in range(96)]
    refiner, again = (learn_refiner(good, spoilt, LITE_PYRAMID, 3, lambda _done, _all: None) for _ in range(2))
    unseen = item(999, spoilt=True)
    logits = logits_of(refiner, unseen)
    mask = unseen.mask.numpy()
    assert (logits[mask][:, None] > logits[~mask][None, :]).mean() > 0.9
    assert np.array_equal(logits, logits_of(again, unseen))


def test_items_of_other_sizes_share_a_batch_without_touching_each_other() -> None:
    """Padding continues the smaller item, is marked as outside and holds no defect."""
    small, large = item(1, (8, 12), spoilt=False), item(2, (16, 16), spoilt=True)
    batch = collate([small, large], mirror=False)
    assert batch.levels[0].shape == (2, 4, 16, 16)
    assert batch.inside.sum(dim=(1, 2)).tolist() == [96.0, 256.0]
    assert float(batch.mask[0].sum()) == 0.0
    assert torch.equal(batch.levels[0][0, :, :8, :12], small.levels[0].float())
    assert torch.equal(batch.levels[0][0, :, 12, 3], small.levels[0][:, 7, 3].float())
    assert torch.equal(collate([large], mirror=True).mask[0], large.mask.float().flip(1))


def test_a_refiners_answer_for_a_place_does_not_depend_on_the_pictures_size() -> None:
    """Far from the rim a cell's logit is the same in a cut of the picture as in the whole."""
    torch.manual_seed(0)
    refiner = Refiner(Shape((4, 6), 10, 16)).eval()
    whole = item(5, (96, 96), spoilt=True)
    cut = Item(
        5,
        (whole.levels[0][:, :64], whole.levels[1][:, :32]),
        whole.difference[:, :32],
        whole.relative[:32],
        whole.mask[:64],
    )
    assert np.allclose(logits_of(refiner, whole)[:40], logits_of(refiner, cut)[:40], atol=1e-3)


def test_fusion_meets_on_the_scale_of_good_pictures() -> None:
    """Good cells come out near softplus of 0, what both call abnormal far above, and every value is above 0."""
    rng = np.random.default_rng(0)
    bank = rng.normal(1.0, 0.2, (64, 64)).astype(np.float32)
    logits = rng.normal(-5.0, 2.0, (64, 64)).astype(np.float32)
    scales = scale_of([bank]), scale_of([logits])
    bank[20:30, 20:30] += 2.0
    logits[20:30, 20:30] += 15.0
    maps = fuse(bank, logits, scales, LITE_PYRAMID)
    for values in (maps.place, maps.score):
        assert values.min() > 0
        assert values[24:26, 24:26].min() > 5.0
        assert float(np.median(values)) == pytest.approx(0.75, abs=0.15)


def test_a_scale_is_never_of_no_width() -> None:
    """Maps that are all alike do not divide by zero."""
    assert scale_of([np.ones((4, 4), dtype=np.float32)]) == Scale(1.0, 1e-6)
    assert sized(np.ones((4, 6), dtype=np.float32), Size(32, 48)).shape == (32, 48)


def test_the_halves_are_runs_of_neighbours() -> None:
    """Pictures taken one after the other are on one side."""
    assert [half_of(index, 5) for index in range(5)] == [0, 0, 0, 1, 1]


def test_pictures_beyond_the_limit_are_left_out_evenly() -> None:
    """First and last stay, and what goes is spread over the whole."""
    paths = [Path(f"{index:03d}.png") for index in range(100)]
    kept = evenly(paths, 10)
    assert [path.stem for path in kept] == ["000", "011", "022", "033", "044", "055", "066", "077", "088", "099"]
    assert evenly(paths, 200) == paths
