"""What good pictures look like to banks that never saw them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.model.bank import Bank
from detector.model.expected import expected_distances, fitted, leave_one_out, on_one_grid
from detector.model.scoring import blurred, combine, image_score
from detector.training.coreset import choose_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from detector.model.lens import Size
    from detector.model.profiles import Profile

# How far the place of a patch can be trusted, from parts in a fixture to parts that lie anyhow: see `expected`.
_FLOORS = (0.1, 0.3, 1.0, 3.0)
_REACH_DEVIATIONS = 5.0
# About how far a good patch lies from other pictures' patches, 1 - cosine; what one picture alone cannot tell.
_USUAL_DISTANCE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """One view's held-out distances, (rows, columns) float32 for each picture, the folds' banks and each one's fold."""

    distances: tuple[NDArray[np.float32], ...]
    banks: tuple[Bank, ...]
    fold_of: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """What cross-fitting found: for each good picture its bank's map, (height, width) float32, not yet blurred.

    Neither the banks nor the usual distances that a map was made with have seen its picture. `expected` are the usual
    distances of all pictures for each view, (h, w) float32, and `floor` is how far they trust a patch's place.
    """

    maps: tuple[NDArray[np.float32], ...]
    expected: tuple[NDArray[np.float32], ...]
    floor: float


def bank_of(features: Sequence[NDArray[np.float32]], size: int, seed: int) -> Bank:
    """Return a bank of at most `size` patches that stand for all of some pictures', each (..., D).

    Its sources are the pictures' numbers in `features`.
    """
    rows = np.concatenate([picture.reshape(-1, picture.shape[-1]) for picture in features])
    counts = [picture.size // picture.shape[-1] for picture in features]
    sources = np.repeat(np.arange(len(features), dtype=np.int32), counts)
    chosen = choose_rows(rows, size, seed)
    return Bank(rows[chosen], sources[chosen])


def held_out_distances(
    features: Sequence[NDArray[np.float32]],
    relit: Sequence[NDArray[np.float32]],
    *,
    folds: int,
    bank_size: int,
    seed: int,
    on_fold: Callable[[int], None],
) -> Folded:
    """Return each picture's distances from a bank of the other folds' pictures.

    A fold is a run of neighbours in the order of the file names: pictures taken one after the other look alike, and
    a random split would compare a part with its own twin. A single picture has no others: every place of it
    is taken to lie at `_USUAL_DISTANCE`. `relit` are the pictures in other lights, for the banks; or none.
    """
    everyone = np.arange(len(features))
    distances: list[NDArray[np.float32]] = []
    banks: list[Bank] = []
    fold_of = np.zeros(len(features), dtype=np.int64)
    for done, members in enumerate(np.array_split(everyone, min(folds, everyone.size)), start=1):
        others = np.setdiff1d(everyone, members) if everyone.size > 1 else everyone
        seen = [shown[index] for shown in (features, relit) if shown for index in others.tolist()]
        bank = bank_of(seen, bank_size, seed)
        banks.append(bank)
        fold_of[members] = done - 1
        distances += [bank.distances(features[index]) for index in members.tolist()]
        on_fold(done)
    if everyone.size == 1:
        distances = [np.full_like(distances[0], _USUAL_DISTANCE)]
    return Folded(tuple(distances), tuple(banks), fold_of)


def cross_fit(distances: Sequence[Sequence[NDArray[np.float32]]], sizes: Sequence[Size], settings: Profile) -> HeldOut:
    """Score the good pictures by their held-out distances in each view; `sizes` are those of their maps.

    Of the trusts in a patch's place, the one is kept under which good parts reach the least far beyond the usual;
    four candidates for hundreds of scores bias these little.
    """
    return min((relate(distances, sizes, floor) for floor in _FLOORS), key=lambda held_out: _reach(held_out, settings))


def relate(distances: Sequence[Sequence[NDArray[np.float32]]], sizes: Sequence[Size], floor: float) -> HeldOut:
    """Return the good pictures' maps at `sizes` from their held-out distances in each view, under one `floor`."""
    gridded = [on_one_grid(view) for view in distances]
    usual = [leave_one_out(view, floor) for view in gridded]
    maps = []
    for index, size in enumerate(sizes):
        relative = [_against(view[index], others[index]) for view, others in zip(distances, usual, strict=True)]
        maps.append(combine(relative, size))
    return HeldOut(
        maps=tuple(maps),
        expected=tuple(expected_distances(view, floor) for view in gridded),
        floor=floor,
    )


def _against(distances: NDArray[np.float32], usual: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = distances.shape
    return np.asarray(distances / fitted(usual, (rows, columns)), dtype=np.float32)


def _reach(held_out: HeldOut, settings: Profile) -> float:
    """Return about how many times the usual a defect must reach before good parts no longer do: less is better."""
    smooth = (blurred(values, settings.blur_sigma_px) for values in held_out.maps)
    scores = np.asarray([image_score(values, settings.top_share) for values in smooth])
    return float(scores.mean() + _REACH_DEVIATIONS * scores.std())
