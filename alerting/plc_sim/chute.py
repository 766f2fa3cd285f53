"""The reject chute: the bin that fills, and the sensor that confirms each ejected part. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChuteSettings:
    """`bin_parts` fill the bin (None: it never fills); a share of `lost_ejects` never arrives at the sensor."""

    bin_parts: int | None = None
    lost_ejects: float = 0.0
    seed: int = 0


class Chute:
    """Two inputs of the PLC, either of which holds the line.

    A full bin takes no reject, and a part that did not arrive in the bin may have gone on.
    """

    def __init__(self, settings: ChuteSettings) -> None:
        self._settings = settings
        self._chance = random.Random(settings.seed)  # noqa: S311 - a simulation's
        self._in_bin = 0
        self.unconfirmed = 0
        self._waiting_for_a_person = False

    @property
    def bin_full(self) -> bool:
        """Return the bin-full input."""
        return self._settings.bin_parts is not None and self._in_bin >= self._settings.bin_parts

    @property
    def holds_line(self) -> bool:
        """Return whether the line must wait for a person."""
        return self.bin_full or self._waiting_for_a_person

    def ejected(self) -> bool:
        """Throw a part out; return the eject-confirmed input."""
        if self._settings.lost_ejects and self._chance.random() < self._settings.lost_ejects:
            self.unconfirmed += 1
            self._waiting_for_a_person = True
            return False
        self._in_bin += 1
        return True

    def attend(self) -> None:
        """Let a person empty the bin and take away what got stuck; the line goes on."""
        self._in_bin = 0
        self._waiting_for_a_person = False
