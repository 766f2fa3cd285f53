"""What the line's messages carry, as `bench compression` sends it: rendered pictures and verdicts that all differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ingest.encode import encode_pixels
from ingest.rendering.conveyor import Conveyor, ConveyorSettings
from shared.domain import Capture, CaptureId, Region, Verdict, VerdictStatus
from shared.wire import Encoding, FrameMessage, VerdictMessage, encode

_DIFFERENT: Final = 16
_JPEG_QUALITY: Final = 90


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of message; a run at full speed sends `budget_bytes`, one at a fixed rate `rate_hz`."""

    name: str
    partitions: int
    rate_hz: float
    budget_bytes: int
    encoding: Encoding | None
    width_px: int = 0
    height_px: int = 0

    def messages(self) -> list[bytes]:
        """Return messages to send in turn."""
        if self.encoding is None:
            rng = np.random.default_rng(0)
            return [_verdict(number, rng) for number in range(64 * _DIFFERENT)]
        conveyor = Conveyor(ConveyorSettings(width_px=self.width_px, height_px=self.height_px))
        return [_frame(conveyor, self.encoding, number) for number in range(_DIFFERENT)]


KINDS: Final = (
    # A JPEG of this size has about 200 KB.
    Kind("jpeg", 8, 40, 60_000_000, Encoding.JPEG, 1152, 864),
    Kind("png", 8, 20, 60_000_000, Encoding.PNG, 640, 480),
    Kind("raw", 8, 20, 90_000_000, Encoding.RAW, 640, 480),
    Kind("verdict", 1, 200, 1_500_000, None),
)


def _frame(conveyor: Conveyor, encoding: Encoding, number: int) -> bytes:
    pixels = conveyor.render(number).pixels
    height_px, width_px, channels = pixels.shape
    payload = encode_pixels(pixels, encoding, jpeg_quality=_JPEG_QUALITY)
    return encode(FrameMessage(_capture(number), encoding, width_px, height_px, channels), payload)


def _verdict(number: int, rng: np.random.Generator) -> bytes:
    regions = tuple(_region(rng) for _ in range(int(rng.integers(0, 3))))
    hops = ("exposed", "published", "received", "batched", "inferred")
    stamps_ns = {hop: int(value) for hop, value in zip(hops, rng.integers(10**18, 2 * 10**18, len(hops)), strict=True)}
    verdict = Verdict(
        capture=_capture(number),
        status=VerdictStatus.INSPECTED,
        raw_score=rng.random(),
        score=rng.random(),
        regions=regions,
        model_id="lite-0123456789abcdef",
        calibration_id="lite-0123456789abcdef-fedcba9876543210",
        stamps_ns=stamps_ns,
    )
    return encode(VerdictMessage(verdict))


def _region(rng: np.random.Generator) -> Region:
    x_px, y_px, width_px, height_px = (int(value) for value in rng.integers(1, 400, 4))
    return Region(x_px, y_px, width_px, height_px, area_px=width_px * height_px // 2, peak=rng.random())


def _capture(number: int) -> Capture:
    at_ns = 1_700_000_000_000_000_000 + number * 33_333_333
    return Capture(CaptureId("line-1", "camera", 1, number), f"part-{number}", at_ns, at_ns + 1_300_000_000)
