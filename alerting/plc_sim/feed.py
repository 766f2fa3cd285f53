"""Parts that come to the PLC's own photo-eye, at places on the belt that are fixed by a seed. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alerting.plc_sim.speed import SpeedProfile


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """A part every `pitch_mm`, give or take `scatter` of it; a share of `crowded` parts follows at `close_mm`."""

    pitch_mm: float = 50.0
    scatter: float = 0.05
    crowded: float = 0.0
    close_mm: float = 12.0
    limit: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class SeenPart:
    """A part whose leading edge is at the photo-eye when the belt has moved `seen_mm`, at the running time `at_ns`."""

    number: int
    seen_mm: float
    at_ns: int


class PartFeed:
    """What will come, in order."""

    def __init__(self, settings: FeedSettings, profile: SpeedProfile) -> None:
        self._settings = settings
        self._profile = profile
        self._chance = random.Random(settings.seed)  # noqa: S311 - a simulation's
        self._number = 0
        self._place_mm = 0.0
        self._next = self._following(0)

    @property
    def next_ns(self) -> int | None:
        """Return the running time at which the next part is at the photo-eye; None after the last."""
        return None if self._next is None else self._next.at_ns

    def due(self, ran_ns: int) -> Iterator[SeenPart]:
        """Take each part that has come to the photo-eye by now."""
        while self._next is not None and self._next.at_ns <= ran_ns:
            part = self._next
            self._next = self._following(part.at_ns)
            yield part

    def _following(self, after_ns: int) -> SeenPart | None:
        settings = self._settings
        if settings.limit is not None and self._number >= settings.limit:
            return None
        close = self._chance.random() < settings.crowded
        scattered = settings.pitch_mm * (1 + settings.scatter * self._chance.uniform(-1, 1))
        self._place_mm += settings.close_mm if close else scattered
        self._number += 1
        at_ns = self._profile.first_ns(self._place_mm, after_ns)
        return None if at_ns is None else SeenPart(self._number, self._place_mm, at_ns)
