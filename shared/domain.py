"""The words of the line contract as frozen records: standard library and numpy only.

Times are UTC nanoseconds since 1970; lengths are pixels of the frame as it was captured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
"""(height, width, 3) RGB or (height, width) grey. uint16 fills its range: 65,535 is white, whatever the depth."""


@dataclass(frozen=True, slots=True, order=True)
class CaptureId:
    """One exposure. The epoch changes when a camera session restarts; the sequence only grows within it."""

    line: str
    camera: str
    epoch: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.line}/{self.camera}/{self.epoch}/{self.sequence}"


@dataclass(frozen=True, slots=True)
class Capture:
    """An exposure of a part, and the instant by which the gate must know about that part."""

    id: CaptureId
    part_id: str
    captured_at_ns: int
    decide_by_ns: int


@dataclass(frozen=True, slots=True)
class PartAnnouncement:
    """This part exists, and these cameras will see it.

    `missing` names those of them of which no verdict can come, and why. `label` is the ground truth of a replayed or
    rendered part ("good", or the defect's name) and is for the report alone: it never travels with the frame, and no
    decision reads it. `place_counts` is where on the conveyor it lies, where the line's encoder says so: counts that
    never wrap, as of the line's first camera.
    """

    line: str
    part_id: str
    cameras: tuple[str, ...]
    captured_at_ns: int
    decide_by_ns: int
    label: str | None = None
    missing: dict[str, NotInspected] = field(default_factory=dict)
    place_counts: int | None = None


class CameraState(StrEnum):
    """Whether a camera can be relied on."""

    ONLINE = "online"
    OFFLINE = "offline"
    BAD_PICTURE = "bad_picture"


@dataclass(frozen=True, slots=True)
class CameraReport:
    """A camera's state changed at `at_ns`; `cause` is one word for machines, `text` a sentence for people."""

    line: str
    camera: str
    state: CameraState
    cause: str
    text: str
    at_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The pixels of a capture."""

    capture: Capture
    pixels: Picture


MOST_REGIONS: Final = 16
"""How many regions of a picture are named at most; a list of so many may lack some, and proves nothing about them."""


@dataclass(frozen=True, slots=True)
class Region:
    """A connected part of the anomaly map above the model's region level; `peak` is its highest raw value."""

    x_px: int
    y_px: int
    width_px: int
    height_px: int
    area_px: int
    peak: float


@dataclass(frozen=True, slots=True, eq=False)
class AnomalyMap:
    """Raw anomaly values, (height, width) float32 at the model's map size; higher is more anomalous."""

    values: NDArray[np.float32]


class VerdictStatus(StrEnum):
    """Whether the detector looked at the capture."""

    INSPECTED = "INSPECTED"
    NOT_INSPECTED = "NOT_INSPECTED"


class NotInspected(StrEnum):
    """Why nobody looked."""

    EXPIRED = "expired"
    POISON = "poison"
    CAMERA_OFFLINE = "camera_offline"
    BAD_IMAGE = "bad_image"
    NO_VERDICT = "no_verdict"


class Effort(StrEnum):
    """How much of the model looked. Under load the rest is left out in this order, and each has its own calibration."""

    FULL = "full"
    UNREFINED = "unrefined"
    COARSE = "coarse"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the detector says of one capture.

    `score` is calibrated: -log10 of the probability that a good part scores at least this high. `raw_score` is the
    model's own number. Both are None when nobody looked. `stamps_ns` holds the UTC time of each hop. `size_px` is the
    width and height of the frame that was looked at, which the regions lie in.
    """

    capture: Capture
    status: VerdictStatus
    reason: NotInspected | None = None
    raw_score: float | None = None
    score: float | None = None
    regions: tuple[Region, ...] = ()
    model_id: str = ""
    calibration_id: str = ""
    stamps_ns: dict[str, int] = field(default_factory=dict)
    effort: Effort = Effort.FULL
    size_px: tuple[int, int] | None = None


class Outcome(StrEnum):
    """What the gate does with a part."""

    PASS = "PASS"  # noqa: S105 - the contract's word, not a password
    REJECT = "REJECT"
    DEFAULT_REJECT = "DEFAULT_REJECT"


class GateMode(StrEnum):
    """Which way a gate rests: rejecting until PASS is asserted, or open until REJECT is asserted."""

    PASS_ASSERTED = "pass-asserted"  # noqa: S105 - a gate mode, not a password
    REJECT_ASSERTED = "reject-asserted"


@dataclass(frozen=True, slots=True)
class CameraFinding:
    """The part of a verdict that a decision rests on.

    `place` is the middle of the region with the highest peak, as shares of the frame's width and height from its top
    left; None where there is no region.
    """

    camera: str
    status: VerdictStatus
    reason: NotInspected | None
    raw_score: float | None
    score: float | None
    model_id: str
    calibration_id: str
    effort: Effort = Effort.FULL
    place: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The one decision for a part, with the threshold and the findings behind it.

    `policy_version` names the version of the line's policy that it was made by; 0 is what the settings say. `product`
    is there where the line says it, `place_counts` where an encoder says where on the belt the part is. `halts` says
    why the line was halted at this part, and is mostly empty. `not_carried_out` says that a gate that rests open did
    not take it: a part that was to be rejected may have gone on.
    """

    line: str
    part_id: str
    outcome: Outcome
    reason: str
    reject_at: float
    findings: tuple[CameraFinding, ...]
    captured_at_ns: int
    decide_by_ns: int
    decided_at_ns: int
    label: str | None = None
    stamps_ns: dict[str, int] = field(default_factory=dict)
    policy_version: int = 0
    product: str = ""
    place_counts: int | None = None
    halts: str = ""
    not_carried_out: bool = False


@dataclass(frozen=True, slots=True)
class Signal:
    """What is written to the outside for a decision; the sequence only grows, for each line."""

    sequence: int
    line: str
    part_id: str
    outcome: Outcome
    deadline_ns: int
