"""What is kept of a part that somebody may want to look at again: why it is kept, and what each camera's detector saw.

Nothing of it is on the way to the gate: it is made and kept after the part was decided (`docs/evidence.md`).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from shared.domain import Decision, Outcome, Verdict
from shared.errors import StoreError
from shared.policy import LinePolicy

FORMAT: Final = 1


class Why(StrEnum):
    """Why a part's evidence is kept."""

    REJECTED = "rejected"
    DEFAULTED = "defaulted"
    BORDERLINE = "borderline"
    SAMPLED = "sampled"


@dataclass(frozen=True, slots=True)
class HeatScale:
    """What the pixels of a heat map mean: v is the raw value `low + (high - low) * v / 255`, and 255 also all above.

    It is the same for all pictures that a model judged with the same effort, so that their heat maps compare. From
    `region_level` on a pixel belongs to a region.
    """

    low: float
    high: float
    region_level: float

    @property
    def contour(self) -> int:
        """Return the pixel value from which a pixel belongs to a region, 0 to 255."""
        share = (self.region_level - self.low) / (self.high - self.low)
        return max(0, min(255, round(255 * share)))


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What the camera's score was judged by: the policy's limits, of the version that the decision names.

    `raw_at_reject` is the raw score whose calibrated one is `reject_at`; None where the model does not say. Of a
    version that the store has lost only the line's `reject_at` is known.
    """

    reject_at: float
    borderline_from: float | None = None
    reject_raw_at: float | None = None
    raw_at_reject: float | None = None


@dataclass(frozen=True, slots=True)
class Golden:
    """The training picture that is nearest at the worst place, a small JPEG; `distance` is 1 - cosine, 0 to 2."""

    name: str
    distance: float
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class CameraEvidence:
    """What one camera's detector saw of a part. What is lacking is empty or None, and `notes` say why.

    `picture` is a JPEG of the frame as it was judged, `width_px` x `height_px`: the very bytes that came where `exact`
    is set, else encoded again, in 8 bits and perhaps smaller. `heat_map` is a PNG of 8 bits, grey, at the model's map
    size: it covers the whole picture. `peak` is the map's highest raw value. `overlay` is a JPEG of both.
    """

    verdict: Verdict
    thresholds: Thresholds
    width_px: int = 0
    height_px: int = 0
    picture: bytes = b""
    exact: bool = False
    heat_map: bytes = b""
    scale: HeatScale | None = None
    peak: float | None = None
    overlay: bytes = b""
    golden: Golden | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cover:
    """What is kept beside the cameras' evidence of a part; a reader refuses a `format` newer than its own."""

    why: Why
    decision: Decision
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class PartEvidence:
    """A part's decision and what each camera saw; `kept_on` says that it stays for the review, beyond its time."""

    why: Why
    decision: Decision
    cameras: Mapping[str, CameraEvidence] = field(default_factory=dict)
    kept_on: bool = False


_COVER: Final = msgspec.msgpack.Decoder(Cover)
_CAMERA: Final = msgspec.msgpack.Decoder(CameraEvidence)
_BROKEN: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def why_kept(decision: Decision, policy: LinePolicy, *, sample_every: int) -> Why | None:
    """Return why a decided part's evidence is kept; None for one that passed like most.

    Of the parts that pass about one in `sample_every` is kept (0: none), chosen by its name alone: every detector that
    saw it comes to the same answer.
    """
    if decision.outcome is Outcome.REJECT:
        return Why.REJECTED
    if decision.outcome is Outcome.DEFAULT_REJECT:
        return Why.DEFAULTED
    for found in decision.findings:
        # A score that reaches reject_at and passed all the same was excused: somebody may want to see that, too.
        if found.score is not None and found.score >= policy.limits(found.camera).attention_at:
            return Why.BORDERLINE
    return Why.SAMPLED if is_sampled(decision.line, decision.part_id, sample_every) else None


def is_sampled(line: str, part_id: str, every: int) -> bool:
    """Return whether a part is one of about one in `every`; of 0 none is."""
    return every > 0 and zlib.crc32(f"{line}/{part_id}".encode()) % every == 0


def encode_cover(cover: Cover) -> bytes:
    """Return a cover's bytes."""
    return msgspec.msgpack.encode(cover)


def encode_camera(evidence: CameraEvidence) -> bytes:
    """Return the bytes of one camera's evidence."""
    return msgspec.msgpack.encode(evidence)


def stamp_of(decision: Decision) -> bytes:
    """Return the bytes by which a cover's own tell which of the parts of one name it is of."""
    return msgspec.msgpack.encode("captured_at_ns") + msgspec.msgpack.encode(decision.captured_at_ns)


def decode_cover(value: bytes) -> Cover:
    """Read what `encode_cover` wrote; StoreError for anything else, and for what is newer."""
    try:
        cover = _COVER.decode(value)
    except _BROKEN as error:
        raise StoreError(f"kept evidence cannot be read: {error}") from error
    if cover.format > FORMAT:
        raise StoreError(
            f"kept evidence has format {cover.format}, this reader knows {FORMAT}", "Update this role before detectors."
        )
    return cover


def decode_camera(value: bytes) -> CameraEvidence:
    """Read what `encode_camera` wrote; StoreError for anything else."""
    try:
        return _CAMERA.decode(value)
    except _BROKEN as error:
        raise StoreError(f"kept evidence cannot be read: {error}") from error


def decode_evidence(fields: Mapping[str, bytes], *, kept_on: bool) -> PartEvidence | None:
    """Return what `fields` hold: the cover under the empty name, cameras under theirs; None where there is no cover.

    Raises `StoreError` for what cannot be read.
    """
    if "" not in fields:
        return None
    cover = decode_cover(fields[""])
    cameras = {name: decode_camera(value) for name, value in sorted(fields.items()) if name}
    return PartEvidence(cover.why, cover.decision, cameras, kept_on)
