"""The port between the detector's service and whatever model it runs. Importing it imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from detector.runtime.lanes import Lanes
    from shared.domain import AnomalyMap, Effort, Picture, Region
    from shared.evidence import Golden


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """What a model says of one picture.

    `raw_score` is the model's own number and `score` the calibrated one: -log10 of the probability that a good picture
    scores at least this high. The map covers the whole picture at the model's resolution, so its shape follows the
    picture's aspect ratio; the regions are in pixels of the picture as it was given, the highest peak first. `golden`
    finds the training picture that the map's highest place is nearest to, where the model keeps its training pictures:
    it is asked for the few that are kept as evidence alone.
    """

    raw_score: float
    score: float
    anomaly_map: AnomalyMap
    regions: tuple[Region, ...]
    golden: Callable[[], Golden | None] | None = None


class Model(Protocol):
    """A trained and calibrated model of what good parts look like. Implementations may be called from any thread."""

    @property
    def model_id(self) -> str:
        """The profile and a short checksum of everything that was trained."""
        ...

    @property
    def calibration_id(self) -> str:
        """A short checksum of the mapping from raw to calibrated scores."""
        ...

    @property
    def profile(self) -> str:
        """The name of the profile, such as `lite`."""
        ...

    @property
    def region_level(self) -> float:
        """The raw map value from which a pixel belongs to a region."""
        ...

    def inspect(self, pictures: Sequence[Picture]) -> list[Inspection]:
        """Inspect a batch, one answer for each picture and in their order.

        Sizes and depths may differ within a batch. Any other shape or type is a PictureError that says which picture of
        the batch it was.
        """
        ...


class GradedModel(Model, Protocol):
    """A model that can also look with less of itself, which costs less."""

    @property
    def efforts(self) -> tuple[Effort, ...]:
        """How much of it can look, the whole first; what saves no work is not among them."""
        ...

    @property
    def lanes(self) -> Lanes:
        """Where it looks at several pictures side by side, if it does."""
        ...

    def at(self, effort: Effort) -> GradedModel:
        """Return the model as it looks at one of `efforts`, with that one's calibration."""
        ...

    def raw_at(self, score: float) -> float | None:
        """Return the lowest raw score whose calibrated one is `score`; None where no raw score comes to that."""
        ...
