"""The source port: a camera, or what stands in for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from shared.domain import Picture


class TimeSource(StrEnum):
    """Whose clock says when a frame was exposed."""

    CAMERA = "camera"
    RECEIPT = "receipt"


class Fault(StrEnum):
    """Why an exposure gave no picture that could be used."""

    UNREADABLE = "unreadable"
    INCOMPLETE = "incomplete"
    LOST = "lost"
    OVERRUN = "overrun"


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One exposure.

    `pixels` is None when the exposure happened but gave no usable picture; `fault` then says why: it cannot be decoded,
    parts of it are missing, it never arrived and is known by a gap in the camera's count alone, or it waited while too
    many newer ones came.
    `number` counts parts where the source knows them, over all its restarts; else it is None. `trigger` is the camera's
    own count of its triggers or exposures, which begins again when the camera does; `encoder` the conveyor's count at
    the exposure. `label` is the ground truth, "good" or a defect's name, where the source knows it.
    """

    pixels: Picture | None
    captured_at_ns: int
    number: int | None = None
    label: str | None = None
    trigger: int | None = None
    encoder: int | None = None
    time_source: TimeSource = TimeSource.RECEIPT
    fault: Fault | None = None


class Source(Protocol):
    """Gives one shot after the other, at its own pace."""

    @property
    def numbers_parts(self) -> bool:
        """Whether shots carry part numbers, so that several cameras can be joined to one part."""
        ...

    @property
    def counts(self) -> Mapping[str, int]:
        """What it counted since it was made, by name: frames that were skipped and why, packets missing and resent.

        A frame that is skipped is no exposure of a part, such as one that was sent twice; it is never read.
        """
        ...

    async def open(self) -> None:
        """Connect.

        Raises `SourceUnavailableError` when trying again makes sense, `DataError` or `ConfigError` when it does not.
        """
        ...

    async def read(self) -> Shot | None:
        """Return the next shot, or None after the last one.

        Raises `SourceUnavailableError` with its cause when the source is lost. Cancelling it loses no shot but the one
        in hand.
        """
        ...

    async def close(self) -> None:
        """Let go of the device; `open` may follow."""
        ...
