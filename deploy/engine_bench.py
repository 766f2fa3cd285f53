"""`linewarden bench engine`: what a batch of each size costs a detector, decoding included."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from deploy.capacity import Delay
from detector.decode import decode_frame
from detector.model.artifact import load
from detector.pictures.files import read_picture
from ingest.encode import encode_pixels
from shared.domain import Capture, CaptureId, Effort
from shared.wire import Encoding, FrameMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from detector.model.base import Model

_JPEG_QUALITY = 95
_WARM_UP = 3


def bench_engine(
    model: Path,
    pictures: Sequence[Path],
    *,
    max_batch: int,
    rounds: int,
    threads: int,
    product: str | None,
    effort: Effort,
    on_progress: Callable[[str, int, int], None],
) -> tuple[tuple[Delay, ...], float]:
    """Return the cost of a batch of 1 to `max_batch` of the pictures, and the mean size of their JPEGs in KiB.

    Batch sizes take turns, so that a machine that slows down slows all of them.
    """
    # As the detector's role does: its engine has so many of the machine's cores.
    torch.set_num_threads(threads)
    loaded = load(model, product).at(effort)
    frames = [_frame(path) for path in pictures]
    taken: list[list[float]] = [[] for _ in range(max_batch)]
    for turn in range(_WARM_UP + rounds):
        for size in range(1, max_batch + 1):
            batch = [frames[(turn + index) % len(frames)] for index in range(size)]
            seconds = _timed(loaded, batch)
            if turn >= _WARM_UP:
                taken[size - 1].append(seconds * 1e3)
        on_progress("batches", turn + 1, _WARM_UP + rounds)
    costs = tuple(Delay(float(np.median(one)), float(np.percentile(one, 99))) for one in taken)
    return costs, float(np.mean([len(payload) for _, payload in frames])) / 1024


def _timed(model: Model, batch: Sequence[tuple[FrameMessage, bytes]]) -> float:
    before = time.perf_counter()
    model.inspect([decode_frame(message, payload) for message, payload in batch])
    return time.perf_counter() - before


def _frame(path: Path) -> tuple[FrameMessage, bytes]:
    pixels = read_picture(path)
    payload = encode_pixels(pixels, Encoding.JPEG, jpeg_quality=_JPEG_QUALITY)
    height, width = pixels.shape[:2]
    capture = Capture(CaptureId("bench", path.stem, 0, 0), "", 0, 0)
    return FrameMessage(capture, Encoding.JPEG, width, height, pixels.shape[2], {}), payload
