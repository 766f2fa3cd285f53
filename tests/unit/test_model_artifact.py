from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
import torch

from deploy.roles.detector import build
from detector.model import artifact
from detector.model.calibration import HIGHEST_SCORE
from detector.training.fit import train
from shared.errors import ConfigError, DataError, ModelCorruptError, ModelMissingError, PictureError
from shared.settings import from_dict
from tests.plates import plate, write_plates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.adapters import Adapters
    from detector.model.artifact import TrainedModel
    from detector.model.patch_model import PatchModel


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Keep torch to one core: its threads wait for each other when other tests run beside these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """Train once for all tests of this file."""
    return train([write_plates(tmp_path_factory.mktemp("plates"))])


@pytest.fixture(scope="module")
def model(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> PatchModel:
    """Load the model from its folder, as a service would."""
    folder = tmp_path_factory.mktemp("models") / "lite"
    trained.save(folder)
    return artifact.load(folder)


def resign(folder: Path) -> None:
    """Make the checksums fit whatever the files hold now."""
    names = ("README.md", "model.safetensors", "model.toml")
    lines = (f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    (folder / "checksums.txt").write_text("".join(lines))


def test_a_saved_model_says_which_it_is(trained: TrainedModel, tmp_path: Path) -> None:
    """Save and load agree on the id, which holds the profile."""
    model_id = trained.save(tmp_path / "model")
    loaded = artifact.load(tmp_path / "model")
    assert loaded.model_id == model_id
    assert model_id.startswith("lite-")
    assert loaded.profile == "lite"
    assert loaded.calibration_id == trained.products[0].calibration.calibration_id
    assert {path.name for path in tmp_path.iterdir()} == {"model"}


def test_a_spoilt_part_scores_high_and_its_region_holds_the_spot(model: PatchModel) -> None:
    """The hole is found where it is, and a good part has a low score."""
    good, bad = model.inspect([plate(100), plate(101, hole=True)])
    assert good.score < 3.0 < bad.score
    assert bad.raw_score > good.raw_score
    region = bad.regions[0]
    assert region.x_px <= 54 < region.x_px + region.width_px
    assert region.y_px <= 40 < region.y_px + region.height_px
    peak = np.unravel_index(bad.anomaly_map.values.argmax(), bad.anomaly_map.values.shape)
    assert (
        np.hypot(
            peak[0] * 72 / bad.anomaly_map.values.shape[0] - 40, peak[1] * 96 / bad.anomaly_map.values.shape[1] - 54
        )
        < 10
    )


def test_a_batch_of_mixed_sizes_equals_its_pictures_one_by_one(model: PatchModel) -> None:
    """What else is in the batch does not change an answer."""
    pictures = [plate(1), plate(2, hole=True)[:, :, 0], np.repeat(plate(3), 2, axis=0), plate(4)[:, :50]]
    for together, picture in zip(model.inspect(pictures), pictures, strict=True):
        (alone,) = model.inspect([picture])
        assert together.raw_score == pytest.approx(alone.raw_score, abs=1e-4)
        assert np.allclose(together.anomaly_map.values, alone.anomaly_map.values, atol=1e-4)


def test_a_grey_picture_is_inspected_as_its_colour_twin(model: PatchModel) -> None:
    """Grey cameras need no conversion."""
    grey = plate(5)[:, :, 1]
    first, second = model.inspect([grey, np.repeat(grey[:, :, None], 3, axis=2)])
    assert first.raw_score == pytest.approx(second.raw_score, abs=1e-5)


def test_an_empty_batch_has_no_answers(model: PatchModel) -> None:
    """Nothing in, nothing out."""
    assert model.inspect([]) == []


def test_a_wrong_picture_is_named_by_its_place(model: PatchModel) -> None:
    """The error says which picture of the batch it is."""
    with pytest.raises(PictureError, match="picture 1 of the batch"):
        model.inspect([plate(1), plate(2).astype(np.float64)])  # type: ignore[list-item]


def test_training_twice_gives_the_same_numbers(trained: TrainedModel, tmp_path: Path) -> None:
    """The seed decides everything."""
    again = train([write_plates(tmp_path)])
    assert again.products[0].calibration == trained.products[0].calibration
    assert again.facts[0].data_sha256 == trained.facts[0].data_sha256


@pytest.mark.parametrize("name", ["README.md", "model.toml", "model.safetensors", "checksums.txt"])
def test_a_changed_file_is_found(trained: TrainedModel, tmp_path: Path, name: str) -> None:
    """One flipped byte in any file is a ModelCorruptError."""
    trained.save(tmp_path / "model")
    blob = bytearray((tmp_path / "model" / name).read_bytes())
    blob[len(blob) // 2] ^= 1
    (tmp_path / "model" / name).write_bytes(bytes(blob))
    with pytest.raises(ModelCorruptError, match="checksums"):
        artifact.load(tmp_path / "model")


def test_a_lost_file_is_named(trained: TrainedModel, tmp_path: Path) -> None:
    """An incomplete copy says what it lacks."""
    trained.save(tmp_path / "model")
    (tmp_path / "model" / "model.toml").unlink()
    with pytest.raises(ModelCorruptError, match=r"lacks model\.toml"):
        artifact.load(tmp_path / "model")


def test_products_are_not_read_from_a_model_that_lost_a_file(trained: TrainedModel, tmp_path: Path) -> None:
    """Asking for names checks the files as loading does."""
    trained.save(tmp_path / "model")
    assert artifact.products_of(tmp_path / "model") == [trained.products[0].name]
    (tmp_path / "model" / "model.toml").unlink()
    with pytest.raises(ModelCorruptError, match=r"lacks model\.toml"):
        artifact.products_of(tmp_path / "model")


def test_a_newer_format_with_other_files_is_called_newer(trained: TrainedModel, tmp_path: Path) -> None:
    """Its checksum list names a file that this program does not know; it is not damaged."""
    folder = tmp_path / "model"
    trained.save(folder)
    numbers = folder / "model.toml"
    numbers.write_text(numbers.read_text().replace("format_version = 7", "format_version = 8", 1))
    (folder / "more.bin").write_bytes(b"new")
    resign(folder)
    with (folder / "checksums.txt").open("a") as sums:
        sums.write(f"{'0' * 64}  more.bin\n")
    with pytest.raises(ModelCorruptError, match=r"format 8.*Update the program"):
        artifact.load(folder)


def test_a_lone_pictures_model_shows_where_a_defect_is(tmp_path: Path) -> None:
    """One good picture is enough for regions, though not for a threshold."""
    train([write_plates(tmp_path / "plates", good=1)]).save(tmp_path / "model")
    _, pierced = artifact.load(tmp_path / "model").inspect([plate(99), plate(99, hole=True)])
    assert pierced.regions
    box = pierced.regions[0]
    assert box.x_px <= 54 <= box.x_px + box.width_px
    assert box.y_px <= 40 <= box.y_px + box.height_px


def test_a_folder_without_a_model_says_how_to_make_one(tmp_path: Path) -> None:
    """The remedy is the command."""
    with pytest.raises(ModelMissingError, match="linewarden train"):
        artifact.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("format_version = 7", "format_version = 8", "format 8"),
        ("region_level", "region_lewel", "region_level"),
        ("blur_sigma_px", "blur", "blur"),
        ("[settings]", "[settings", "cannot be read"),
    ],
)
def test_a_model_of_another_format_is_refused(
    trained: TrainedModel, tmp_path: Path, old: str, new: str, says: str
) -> None:
    """A newer format, a missing or an unknown number, and text that is no TOML are told apart."""
    folder = tmp_path / "model"
    trained.save(folder)
    numbers = folder / "model.toml"
    numbers.write_text(numbers.read_text().replace(old, new, 1))
    resign(folder)
    with pytest.raises(ModelCorruptError, match=says):
        artifact.load(folder)


def test_tensors_that_are_none_are_refused(trained: TrainedModel, tmp_path: Path) -> None:
    """A signed file of noise is corrupt all the same."""
    folder = tmp_path / "model"
    trained.save(folder)
    (folder / "model.safetensors").write_bytes(b"noise")
    resign(folder)
    with pytest.raises(ModelCorruptError, match="safetensors"):
        artifact.load(folder)


def test_a_model_is_replaced_only_when_that_is_allowed(trained: TrainedModel, tmp_path: Path) -> None:
    """Overwriting must be asked for, and leaves nothing of the old model behind."""
    folder = tmp_path / "model"
    trained.save(folder)
    with pytest.raises(ConfigError, match="already"):
        trained.save(folder)
    trained.save(folder, overwrite=True)
    assert artifact.load(folder).profile == "lite"
    assert {path.name for path in tmp_path.iterdir()} == {"model"}


def test_a_folder_with_other_things_is_never_touched(trained: TrainedModel, tmp_path: Path) -> None:
    """Not even with leave to overwrite."""
    (tmp_path / "holiday.jpg").write_bytes(b"beach")
    with pytest.raises(ConfigError, match="other things"):
        trained.save(tmp_path, overwrite=True)
    assert (tmp_path / "holiday.jpg").read_bytes() == b"beach"


@pytest.mark.parametrize("good", [1, 2, 5])
def test_a_few_pictures_make_a_model_that_ranks_and_rejects_everything(tmp_path: Path, good: int) -> None:
    """A part with a hole scores above a good one, and both get the highest calibrated score."""
    train([write_plates(tmp_path / "plates", good=good)]).save(tmp_path / "model")
    sound, pierced = artifact.load(tmp_path / "model").inspect([plate(99), plate(99, hole=True)])
    assert 30.0 > pierced.raw_score > sound.raw_score
    assert sound.score == pierced.score == HIGHEST_SCORE


def test_a_line_refuses_a_model_that_is_not_calibrated(tmp_path: Path) -> None:
    """Eleven pictures are too few for a threshold to mean anything; the error says how many it takes."""
    train([write_plates(tmp_path / "plates", good=11)]).save(tmp_path / "model")
    settings = from_dict({"detector": {"model": str(tmp_path / "model")}}, origin="test")
    with pytest.raises(ConfigError, match=r"not calibrated for 'plates': it was trained on 11 .*at least 12"):
        build(settings, cast("Adapters", None))


def test_a_model_of_two_products_must_be_told_which(tmp_path: Path) -> None:
    """Each product has references of its own; the error lists the names."""
    for place in ("plates", "discs"):
        write_plates(tmp_path / place)
    train([tmp_path / "plates", tmp_path / "discs"]).save(tmp_path / "model")
    assert artifact.products_of(tmp_path / "model") == ["plates", "discs"]
    assert artifact.load(tmp_path / "model", "discs").product.name == "discs"
    for name in (None, "nuts"):
        with pytest.raises(ConfigError, match="plates, discs"):
            artifact.load(tmp_path / "model", name)


def test_two_sets_of_one_name_are_refused(tmp_path: Path) -> None:
    """A product is known by its folder's name."""
    first, second = (write_plates(tmp_path / side / "plates") for side in ("left", "right"))
    with pytest.raises(DataError, match="two sets are called 'plates'"):
        train([first, second])


def test_training_names_the_file_that_is_no_picture(tmp_path: Path) -> None:
    """A broken file stops training with its name."""
    write_plates(tmp_path)
    (tmp_path / "train" / "good" / "005.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"005\.png"):
        train([tmp_path])


def test_training_without_pictures_names_the_folder(tmp_path: Path) -> None:
    """An empty set is refused by name."""
    with pytest.raises(DataError, match="good"):
        train([tmp_path])
