"""Heads: items to windows, learning, going on after a break, and the fusion with the bank."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from detector.model.fusion import Scale, fuse, scale_of, sized
from detector.model.head_shape import HeadShape
from detector.model.heads import build_head
from detector.model.lens import Size
from detector.model.profiles import LITE_PYRAMID
from detector.training.checkpoints import Checkpoints
from detector.training.goods import evenly
from detector.training.heads import in_turns
from detector.training.learn import Lesson, learn, logits_of
from detector.training.pool import Item, cells_of, half_of
from detector.training.windows import WINDOW_CELLS, draw_windows
from shared.errors import ConfigError

SHAPE = HeadShape("refiner", (4, 6), 10, 16)
NOTHING_KEPT = Checkpoints(None).of("refiner")


def item(seed: int, shape: tuple[int, int] = (32, 32), *, spoilt: bool) -> Item:
    """Return an item of noise; where it is spoilt one channel of its finest level is raised."""
    generator = torch.Generator().manual_seed(seed)
    fine = torch.randn(4, *shape, generator=generator)
    mask = torch.zeros(shape, dtype=torch.bool)
    if spoilt:
        row, column = (int(place) for place in torch.randint(0, shape[0] - 6, (2,), generator=generator))
        mask[row : row + 5, column : column + 5] = True
        fine[1, mask] += 4.0
    half = (shape[0] // 2, shape[1] // 2)
    return Item(
        seed % 2,
        (fine.half(), torch.randn(6, *half, generator=generator).half()),
        0.01 * torch.randn(10, *half, generator=generator).half(),
        torch.ones(half).half(),
        mask,
    )


LESSON = Lesson(
    [item(seed, spoilt=False) for seed in range(8)],
    [item(100 + seed, spoilt=True) for seed in range(48)],
    [item(200 + seed, spoilt=True) for seed in range(6)],
)


def refiner(seed: int = 0) -> torch.nn.Module:
    """Return an untrained refiner."""
    torch.manual_seed(seed)
    return build_head(SHAPE)


def silent(_done: int, _total: int) -> None:
    """Report nothing."""


def test_a_refiner_learns_what_tells_spoilt_cells_and_the_same_seed_gives_the_same_one() -> None:
    """On unseen items it ranks spoilt cells above good ones."""
    learnt, again = (
        learn(refiner(), LESSON, steps=100, seed=3, checkpoint=NOTHING_KEPT, on_step=silent) for _ in range(2)
    )
    unseen = item(999, spoilt=True)
    logits = logits_of(learnt, unseen)
    mask = unseen.mask.numpy()
    assert (logits[mask][:, None] > logits[~mask][None, :]).mean() > 0.9
    assert np.array_equal(logits, logits_of(again, unseen))


def test_learning_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    """The refiner of a learning that was interrupted is the one of a learning that was not."""
    unbroken = learn(refiner(), LESSON, steps=120, seed=3, checkpoint=NOTHING_KEPT, on_step=silent)
    kept = Checkpoints(tmp_path / "kept").opened({"seed": 3}).of("refiner")

    class _PowerCutError(Exception):
        pass

    def cut(done: int, _total: int) -> None:
        if done == 110:
            raise _PowerCutError

    with pytest.raises(_PowerCutError):
        learn(refiner(), LESSON, steps=120, seed=3, checkpoint=kept, on_step=cut)
    steps: list[int] = []
    resumed = learn(
        refiner(7), LESSON, steps=120, seed=3, checkpoint=kept, on_step=lambda done, _total: steps.append(done)
    )
    assert steps[0] == 101
    assert np.array_equal(logits_of(unbroken, LESSON.good[0]), logits_of(resumed, LESSON.good[0]))


def test_checkpoints_of_another_training_are_not_gone_on_from(tmp_path: Path) -> None:
    """Other settings or pictures have another key; a file that was cut short counts as none."""
    folder = Checkpoints(tmp_path / "kept")
    first, other = folder.opened({"seed": 1}).of("refiner"), folder.opened({"seed": 2}).of("refiner")
    first.write({"done": 5})
    assert first.read() == {"done": 5}
    assert other.read() is None
    assert first.path is not None
    first.path.write_bytes(first.path.read_bytes()[:20])
    assert first.read() is None
    first.path.with_suffix(".new").write_bytes(b"cut short")
    folder.remove()
    assert not (tmp_path / "kept").exists()


def test_windows_are_alike_in_size_whatever_the_pictures() -> None:
    """A small picture is continued, which is marked as outside and holds no defect."""
    rng = np.random.default_rng(0)
    side = WINDOW_CELLS * 2
    for _ in range(20):
        batch = draw_windows([item(1, (8, 12), spoilt=True), item(2, (48, 64), spoilt=True)], rng)
        assert batch.levels[0].shape == (2, 4, side, side)
        assert batch.levels[1].shape == (2, 6, WINDOW_CELLS, WINDOW_CELLS)
        assert batch.inside.sum(dim=(1, 2)).tolist() == [96.0, side * side]
        assert not (batch.mask[0] * (1 - batch.inside[0])).any()


def test_most_windows_of_a_spoilt_picture_hold_its_defect() -> None:
    """Where a defect is small in a large picture, chance alone would rarely find it."""
    rng = np.random.default_rng(0)
    large = item(3, (128, 128), spoilt=True)
    held = [bool(draw_windows([large], rng).mask.any()) for _ in range(100)]
    assert sum(held) > 65


def test_a_refiners_answer_for_a_place_does_not_depend_on_the_pictures_size() -> None:
    """Far from the rim a cell's logit is the same in a cut of the picture as in the whole."""
    head = refiner().eval()
    whole = item(5, (96, 96), spoilt=True)
    cut = Item(
        0,
        (whole.levels[0][:, :64], whole.levels[1][:, :32]),
        whole.difference[:, :32],
        whole.relative[:32],
        whole.mask[:64],
    )
    assert np.allclose(logits_of(head, whole)[:36], logits_of(head, cut)[:36], atol=1e-3)


def test_an_unknown_head_lists_the_known_ones() -> None:
    """A model of a later program may have one."""
    with pytest.raises(ConfigError, match="prompt, refiner"):
        build_head(replace(SHAPE, kind="oracle"))


def test_fusion_meets_on_the_scale_of_good_pictures() -> None:
    """Good cells come out near softplus of 0, what both call abnormal far above, and every value is above 0."""
    rng = np.random.default_rng(0)
    bank = rng.normal(1.0, 0.2, (64, 64)).astype(np.float32)
    logits = rng.normal(-5.0, 2.0, (64, 64)).astype(np.float32)
    scales = scale_of([bank]), scale_of([logits])
    bank[20:30, 20:30] += 2.0
    logits[20:30, 20:30] += 15.0
    maps = fuse([bank, logits], scales, LITE_PYRAMID)
    for values in (maps.place, maps.score):
        assert values.min() > 0
        assert values[24:26, 24:26].min() > 5.0
        assert float(np.median(values)) == pytest.approx(0.75, abs=0.15)


def test_a_scale_is_never_of_no_width() -> None:
    """Maps that are all alike do not divide by zero."""
    assert scale_of([np.ones((4, 4), dtype=np.float32)]) == Scale(1.0, 1e-6)
    assert sized(np.ones((4, 6), dtype=np.float32), Size(32, 48)).shape == (32, 48)


def test_products_take_turns_each_as_often_as_the_others() -> None:
    """The first few items stand for all products, however many each has; one product keeps its order."""
    many, few = [item(seed, spoilt=False) for seed in range(5)], [item(9, spoilt=True), item(8, spoilt=True)]
    turns = in_turns([many, few])
    assert turns[:4] == [many[0], few[0], many[1], few[1]]
    assert len(turns) == 10
    assert sum(one in few for one in turns) == 5
    assert in_turns([many]) == many


def test_a_defect_thinner_than_a_cell_is_not_learnt_as_good() -> None:
    """A thin line marks the cells that it crosses; a wide one those that it covers enough of; none marks none."""
    mask = np.zeros((64, 64), dtype=np.bool_)
    assert not cells_of(mask, (8, 8)).any()
    mask[:, 20] = True
    assert np.flatnonzero(cells_of(mask, (8, 8)).any(axis=0)).tolist() == [2]
    mask[:, 16:26] = True
    assert np.flatnonzero(cells_of(mask, (8, 8)).any(axis=0)).tolist() == [2]
    mask[:, 16:28] = True
    assert np.flatnonzero(cells_of(mask, (8, 8)).any(axis=0)).tolist() == [2, 3]


def test_the_halves_are_runs_of_neighbours() -> None:
    """Pictures taken one after the other are on one side."""
    assert [half_of(index, 5) for index in range(5)] == [0, 0, 0, 1, 1]


def test_pictures_beyond_the_limit_are_left_out_evenly() -> None:
    """First and last stay, and what goes is spread over the whole."""
    paths = [Path(f"{index:03d}.png") for index in range(100)]
    kept = evenly(paths, 10)
    assert [path.stem for path in kept] == ["000", "011", "022", "033", "044", "055", "066", "077", "088", "099"]
    assert evenly(paths, 200) == paths
