"""One camera's quality gate: each picture against the limits, and against the one before. Pure."""

from __future__ import annotations

from enum import StrEnum

from ingest.quality.limits import Limits, reference_of
from ingest.quality.look import Look, difference, likeness, look_at
from shared.domain import Picture


class Blemish(StrEnum):
    """Why a picture is not fit to be judged."""

    SIZE = "other_size"
    DARK = "dark"
    SATURATED = "saturated"
    FROZEN = "frozen"
    BLURRED = "blurred"
    MOVED = "moved"


class QualityGate:
    """Judges the pictures of a camera in the order in which they were taken."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._reference, self._steady = reference_of(limits)
        self._previous: Look | None = None

    def judge(self, picture: Picture) -> Blemish | None:
        """Return the first thing that is wrong with a picture, or None."""
        look = look_at(picture)
        previous, self._previous = self._previous, look
        limits = self._limits
        if (look.width_px, look.height_px) != (limits.width_px, limits.height_px):
            return Blemish.SIZE
        wrong = {
            Blemish.DARK: look.brightness < limits.brightness_from or look.highlight < limits.highlight_from,
            Blemish.SATURATED: look.brightness > limits.brightness_to or look.saturated > limits.saturated_above,
            Blemish.FROZEN: previous is not None and difference(look, previous) < limits.frozen_below,
            Blemish.BLURRED: look.sharpness < limits.blurred_below,
            Blemish.MOVED: self._moved(look),
        }
        return next((blemish for blemish, so in wrong.items() if so), None)

    def _moved(self, look: Look) -> bool:
        least = self._limits.moved_below
        return least is not None and likeness(look, self._reference, self._steady) < least
