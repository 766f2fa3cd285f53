"""`linewarden bench engine`: what a batch of each size costs a detector, decoding included."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from deploy.capacity import Delay
from detector.decode import decode_frame
from detector.evidence.making import make_evidence
from detector.evidence.shelf import Held
from detector.pictures.files import read_picture
from detector.runtime.making import load_with
from detector.runtime.often import OFTEN
from ingest.encode import encode_pixels
from shared.domain import Capture, CaptureId, Effort, Verdict, VerdictStatus
from shared.evidence import encode_camera
from shared.policy import LinePolicy
from shared.wire import Encoding, FrameMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from detector.model.patch_model import PatchModel

_JPEG_QUALITY = 95
_WARM_UP = 3
_PICTURE_BYTES = 512 * 1024


def bench_engine(
    model: Path,
    pictures: Sequence[Path],
    *,
    max_batch: int,
    rounds: int,
    engine: str,
    threads: int,
    product: str | None,
    effort: Effort,
    on_progress: Callable[[str, int, int], None],
) -> tuple[str, tuple[Delay, ...], float]:
    """Return the engine that a detector would take, what a batch of 1 to `max_batch` of the pictures costs it, and KiB.

    Those are the mean size of the pictures' JPEGs. Batch sizes take turns, so that a machine that slows down slows all
    of them. The errors of `load_with`.
    """
    loaded = load_with(model, product, engine=engine, threads=threads).at(effort)
    frames = [_frame(path) for path in pictures]
    for _ in range(OFTEN):
        for size in (1, max_batch):
            _timed(loaded, [frames[0]] * size)
    loaded.engine.settle()
    taken: list[list[float]] = [[] for _ in range(max_batch)]
    for turn in range(_WARM_UP + rounds):
        for size in range(1, max_batch + 1):
            batch = [frames[(turn + index) % len(frames)] for index in range(size)]
            seconds = _timed(loaded, batch)
            if turn >= _WARM_UP:
                taken[size - 1].append(seconds * 1e3)
        on_progress("batches", turn + 1, _WARM_UP + rounds)
    costs = tuple(Delay(float(np.median(one)), float(np.percentile(one, 99))) for one in taken)
    return loaded.engine.name, costs, float(np.mean([len(payload) for _, payload in frames])) / 1024


def bench_evidence(
    model: Path, pictures: Sequence[Path], *, rounds: int, engine: str, product: str | None
) -> tuple[Delay, float]:
    """Return what the evidence of one frame costs beside the engine, and its mean size in KiB.

    It is made of frames that are kept alone, after their verdict and in a thread of its own.
    """
    loaded = load_with(model, product, engine=engine)
    limits = LinePolicy().limits("bench")
    frames = [_held(loaded, *_frame(path)) for path in pictures]
    taken, sizes = [], []
    for turn in range(_WARM_UP + rounds):
        before = time.perf_counter()
        made = make_evidence(frames[turn % len(frames)], limits, picture_bytes=_PICTURE_BYTES)
        seconds = time.perf_counter() - before
        if turn >= _WARM_UP:
            taken.append(seconds * 1e3)
            sizes.append(len(encode_camera(made)))
    return Delay(float(np.median(taken)), float(np.percentile(taken, 99))), float(np.mean(sizes)) / 1024


def _held(model: PatchModel, message: FrameMessage, payload: bytes) -> Held:
    (found,) = model.inspect([decode_frame(message, payload)])
    verdict = Verdict(
        message.capture, VerdictStatus.INSPECTED, raw_score=found.raw_score, score=found.score, regions=found.regions
    )
    return Held(message, payload, verdict, model, found, b"", 0)


def _timed(model: PatchModel, batch: Sequence[tuple[FrameMessage, bytes]]) -> float:
    """Return what a batch takes in seconds, each frame in its lane where the engine has lanes, as a detector does."""
    before = time.perf_counter()
    if model.lanes.count > 1:
        model.lanes.each(lambda frame: model.inspect([decode_frame(*frame)]), batch)
    else:
        model.inspect([decode_frame(*frame) for frame in batch])
    return time.perf_counter() - before


def _frame(path: Path) -> tuple[FrameMessage, bytes]:
    pixels = read_picture(path)
    payload = encode_pixels(pixels, Encoding.JPEG, jpeg_quality=_JPEG_QUALITY)
    height, width = pixels.shape[:2]
    capture = Capture(CaptureId("bench", path.stem, 0, 0), "", 0, 0)
    return FrameMessage(capture, Encoding.JPEG, width, height, pixels.shape[2], {}), payload
