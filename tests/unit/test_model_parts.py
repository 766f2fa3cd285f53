from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from timm.layers.norm_act import BatchNormAct2d

from detector.model.backbone.tower import build_tower
from detector.model.backbone.weights import read_weights
from detector.model.bank import Bank
from detector.model.expected import expected_distances, leave_one_out, on_one_grid
from detector.model.features import levels_and_patches, patch_features
from detector.model.lens import Size
from detector.model.profiles import LITE
from detector.model.scoring import blurred, combine, find_regions, image_score, smoothed
from detector.training.coreset import choose_rows
from shared.errors import ModelCorruptError, ModelMissingError


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Keep torch to one core: its threads wait for each other when other tests run beside these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_port_imports_no_torch() -> None:
    """Services that only name the port do not pay for torch."""
    code = "import sys, detector.model.base; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_the_bank_finds_the_nearest_row_by_cosine() -> None:
    """A member is at distance 0, its opposite at 2, a right angle at 1."""
    bank = Bank(np.asarray([[1.0, 0.0]], dtype=np.float32))
    patches = np.asarray([[[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]], dtype=np.float32)
    assert bank.distances(patches).tolist() == [[0.0, 2.0, 1.0]]


def test_the_coreset_covers_far_places_that_a_random_draw_would_miss() -> None:
    """A lone patch far from seven clusters is always kept."""
    rng = np.random.default_rng(0)
    centres = np.eye(8, dtype=np.float32)
    counts = [12] * 7 + [1]
    patches = np.concatenate([centres[i] + 0.001 * rng.standard_normal((n, 8)) for i, n in enumerate(counts)])
    chosen = choose_rows(patches.astype(np.float32), 16, seed=1)
    assert chosen.size == 16
    assert 84 in chosen.tolist()


def test_the_coreset_is_the_same_for_the_same_seed_and_never_repeats_a_row() -> None:
    """Selection is repeatable and gives distinct rows."""
    patches = np.random.default_rng(3).standard_normal((3000, 20), dtype=np.float32)
    first = choose_rows(patches, 100, seed=7)
    assert (first == choose_rows(patches, 100, seed=7)).all()
    assert len(set(first.tolist())) == 100


def test_fewer_patches_than_the_bank_holds_are_all_kept() -> None:
    """A small set is its own coreset."""
    assert choose_rows(np.zeros((5, 4), dtype=np.float32), 10, seed=0).tolist() == [0, 1, 2, 3, 4]


def test_patch_features_have_unit_length_whatever_the_stages_sizes() -> None:
    """Stages above, at and below the grid are brought to it."""
    maps = [torch.randn(2, 4, 16, 16), torch.randn(2, 6, 8, 8), torch.randn(2, 8, 4, 4)]
    features = patch_features(maps, (8, 8), 3)
    assert features.shape == (2, 8, 8, 18)
    assert torch.allclose(features.norm(dim=3), torch.ones(2, 8, 8), atol=1e-5)


def test_folding_the_norms_leaves_the_towers_function_alone() -> None:
    """The stages equal those of the trunk as open_clip and timm build it."""
    weights = read_weights(LITE.tower)
    tower = build_tower(LITE.tower, weights.tensors)
    assert len(weights.tensors) == 294
    import timm  # noqa: PLC0415 - only this test needs the reference

    reference = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    reference.load_state_dict({name.removeprefix("trunk."): tensor for name, tensor in weights.tensors.items()})
    batch = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        forward = cast("Callable[..., list[torch.Tensor]]", reference.forward_intermediates)
        expected = forward(batch, indices=[1, 2, 3], intermediates_only=True)
        stages = tower.stages(batch, (1, 2, 3))
    for ours, theirs in zip(stages, expected, strict=True):
        assert ours.shape == theirs.shape
        assert torch.allclose(ours, theirs, atol=1e-4)


def test_a_tower_as_built_gives_the_same_patches() -> None:
    """Its norms are apart and its channels first; what it sees is the same within rounding."""
    tensors = read_weights(LITE.tower).tensors
    ours, plain = build_tower(LITE.tower, tensors), build_tower(LITE.tower, tensors, as_built=True)
    norms = [sum(isinstance(part, BatchNormAct2d) for part in tower.visual.modules()) for tower in (ours, plain)]
    assert norms == [0, 49]
    batch = torch.randn(1, 64, 96, 3, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        (first,) = plain.stages(batch.permute(0, 3, 1, 2), (1,))
        _, folded = levels_and_patches(ours, batch, LITE)
        _, apart = levels_and_patches(plain, batch, LITE)
    assert first.is_contiguous()
    assert torch.allclose(folded, apart, atol=1e-5)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    """The error says which file is not there."""
    with pytest.raises(ModelMissingError, match=r"nothing\.pth"):
        read_weights(LITE.tower, str(tmp_path / "nothing.pth"))


def test_the_lite_tower_takes_random_weights_and_a_safetensors_file_but_no_tag(tmp_path: Path) -> None:
    """What the command line offers for every tower holds for this one."""
    packaged = read_weights(LITE.tower)
    random = read_weights(LITE.tower, "random")
    assert random.source_sha256 == "random"
    name = next(iter(packaged.tensors))
    assert not torch.equal(random.tensors[name], packaged.tensors[name])
    save_file({key: tensor.contiguous() for key, tensor in packaged.tensors.items()}, tmp_path / "lite.safetensors")
    again = read_weights(LITE.tower, str(tmp_path / "lite.safetensors"))
    assert all(torch.equal(again.tensors[key], tensor) for key, tensor in packaged.tensors.items())
    with pytest.raises(ModelMissingError, match="Leave --weights away"):
        read_weights(LITE.tower, "tag:imagenet")


def test_a_checkpoint_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    """Random bytes are a ModelCorruptError."""
    path = tmp_path / "noise.pth"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ModelCorruptError, match=r"noise\.pth"):
        read_weights(LITE.tower, str(path))


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    """Too few tensors, or one of another shape, are told apart and named."""
    path = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(3)}, path)
    with pytest.raises(ModelCorruptError, match="holds 1 tensors"):
        read_weights(LITE.tower, str(path))
    torch.save({str(index): torch.zeros(2) for index in range(300)}, path)
    with pytest.raises(ModelCorruptError, match="shape"):
        read_weights(LITE.tower, str(path))


def test_what_is_usual_differs_by_place_and_leaves_the_picture_itself_out() -> None:
    """A rough place expects more, and one wild picture does not excuse itself."""
    distances = np.full((10, 8, 8), 0.1, dtype=np.float32)
    distances[:, :, 4:] = 0.3
    usual = expected_distances(distances, 0.1)
    assert usual[4, 7] > 1.5 * usual[4, 0] > 0.0
    distances[0, 0, 0] = 5.0
    without = leave_one_out(distances, 0.1)
    assert without[0, 0, 0] < without[1, 0, 0]


def test_pictures_of_other_sizes_are_brought_to_one_grid() -> None:
    """Places are relative: the rough right half stays the right half."""
    narrow, wide = np.full((6, 8), 0.1, dtype=np.float32), np.full((12, 16), 0.1, dtype=np.float32)
    narrow[:, 4:], wide[:, 8:] = 0.3, 0.3
    grid = on_one_grid([narrow, narrow, wide])
    assert grid.shape == (3, 6, 8)
    assert np.allclose(grid[2, :, :3], 0.1)
    assert np.allclose(grid[2, :, 5:], 0.3)


def test_the_map_is_the_mean_of_the_views_whatever_their_grids() -> None:
    """A coarse and a fine view that agree leave what they agree on; one that is silent halves it."""
    coarse, fine = np.full((4, 6), 2.0, dtype=np.float32), np.full((16, 24), 2.0, dtype=np.float32)
    assert np.allclose(combine([coarse, fine], Size(64, 96)), 2.0, atol=1e-5)
    silent = np.zeros((8, 8), dtype=np.float32)
    assert np.allclose(combine([coarse, silent], Size(64, 96)), 1.0, atol=1e-5)


@pytest.mark.parametrize("sigma_px", [1.0, 2.0, 3.0, 4.0])
@pytest.mark.parametrize(
    ("grids", "size"),
    [([(28, 36)], (224, 288)), ([(5, 3), (10, 6)], (80, 48)), ([(1, 1)], (16, 16)), ([(40, 40)], (16, 16))],
)
def test_to_enlarge_and_blur_at_once_is_to_do_both(
    grids: list[tuple[int, int]], size: tuple[int, int], sigma_px: float
) -> None:
    """Views of any grids, maps larger and smaller than they: the same map."""
    rng = np.random.default_rng(0)
    views = [rng.random(grid, dtype=np.float32) for grid in grids]
    both = blurred(combine(views, Size(*size)), sigma_px)
    assert np.allclose(smoothed(views, Size(*size), sigma_px), both, atol=2e-6)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-4, 1.0), st.tuples(st.integers(1, 90), st.integers(1, 90)))
def test_the_image_score_is_found_without_sorting(seed: int, share: float, shape: tuple[int, int]) -> None:
    """Ties and all: the mean of as many as the share asks for."""
    values = np.random.default_rng(seed).integers(0, 50, shape).astype(np.float32)
    count = max(1, round(share * values.size))
    assert image_score(values, share) == pytest.approx(np.sort(values, axis=None)[-count:].mean(dtype=np.float64))


def test_an_image_score_of_no_numbers_is_none() -> None:
    """A map with a hole in it must not pass for its rest."""
    values = np.zeros((64, 64), dtype=np.float32)
    values[20, 20] = np.nan
    assert np.isnan(image_score(values, 0.001))


def test_the_image_score_is_the_mean_of_the_highest_pixels() -> None:
    """The highest share decides; at least one pixel does."""
    values = np.zeros((20, 20), dtype=np.float32)
    values.ravel()[:50] = np.arange(1, 51)
    assert image_score(values, 0.125) == pytest.approx(25.5)
    assert image_score(values, 1e-6) == pytest.approx(50.0)


def test_regions_are_boxes_in_pixels_of_the_picture_with_the_highest_peak_first() -> None:
    """Two blobs of a half-size map become two boxes of double size."""
    values = np.zeros((50, 60), dtype=np.float32)
    values[10:20, 5:10] = 2.0
    values[30:32, 40:50] = 3.0
    regions = find_regions(values, 1.0, Size(100, 120), 16)
    assert [(r.x_px, r.y_px, r.width_px, r.height_px) for r in regions] == [(80, 60, 20, 4), (10, 20, 10, 20)]
    assert [r.area_px for r in regions] == [80, 200]
    assert [r.peak for r in regions] == [3.0, 2.0]
    assert find_regions(values, 5.0, Size(100, 120), 16) == ()


def test_only_the_strongest_regions_are_kept() -> None:
    """Beyond the limit the weakest are left out."""
    values = np.zeros((40, 40), dtype=np.float32)
    values[::4, ::4] = np.arange(1, 101, dtype=np.float32).reshape(10, 10)
    regions = find_regions(values, 0.5, Size(40, 40), 16)
    assert [region.peak for region in regions] == list(range(100, 84, -1))
