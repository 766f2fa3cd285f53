"""From a batch of queued frames to what is said of each: decoded, inspected, and put into a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from detector.decode import decode_frame
from detector.model.base import Inspection
from detector.overlay import overlay_jpeg
from detector.runtime.lanes import Lanes
from shared.domain import NotInspected, Verdict, VerdictStatus
from shared.errors import ModelError, PictureError
from shared.log import get_logger

if TYPE_CHECKING:
    from detector.model.base import GradedModel, Model
    from detector.queued_frame import QueuedFrame
    from shared.clock import Clock
    from shared.domain import Capture, Effort, Picture
    from shared.settings import DetectorSettings


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What is said of a frame; `draw` makes the overlay that goes with it, where that is still to be done."""

    verdict: Verdict
    overlay: bytes = b""
    draw: Callable[[], bytes] | None = None
    error: str = ""
    found: Inspection | None = None
    model: GradedModel | None = None


class Answerer:
    """Looks at frames with one model, at each of its efforts. Any thread may ask."""

    def __init__(self, model: GradedModel, settings: DetectorSettings, clock: Clock) -> None:
        self._model = model
        self._models = {effort: model.at(effort) for effort in model.efforts}
        self._overlay_from = settings.overlay_from
        self._decoding = Lanes(settings.threads)
        self._clock = clock
        self._log = get_logger("detector")

    def answers(self, batch: Sequence[QueuedFrame], effort: Effort) -> list[Answer]:
        """Answer a batch, in its order. A picture that fails never takes its neighbours with it."""
        batched_ns = self._clock.utc_ns()
        lanes = self._model.lanes
        if lanes.count > 1:
            # Each goes through its lane by itself, decoding included: none waits for the others between two steps.
            return lanes.each(lambda frame: self._answers([frame], effort, batched_ns)[0], batch)
        return self._answers(batch, effort, batched_ns)

    def drawn(self, answer: Answer) -> Answer:
        """Return an answer with its overlay, if one goes with it; a verdict without a picture is better than none."""
        if answer.draw is None:
            return answer
        try:
            return replace(answer, overlay=answer.draw(), draw=None)
        except Exception as error:  # noqa: BLE001 - whatever a picture cannot be drawn for
            self._log.warning("overlay.failed", capture=str(answer.verdict.capture.id), error=repr(error))
            return replace(answer, draw=None)

    def refused(self, frame: QueuedFrame, reason: NotInspected, error: object) -> Answer:
        """Answer a frame that could not be looked at."""
        self._log.warning("frame.refused", capture=str(frame.message.capture.id), reason=reason.value, error=str(error))
        return Answer(self.not_inspected(frame.message.capture, reason), error=str(error))

    def not_inspected(self, capture: Capture, reason: NotInspected) -> Verdict:
        """Return the verdict that says so."""
        return Verdict(
            capture=capture,
            status=VerdictStatus.NOT_INSPECTED,
            reason=reason,
            model_id=self._model.model_id,
            calibration_id=self._model.calibration_id,
        )

    def _answers(self, frames: Sequence[QueuedFrame], effort: Effort, batched_ns: int) -> list[Answer]:
        """Answer frames that the model sees together."""
        model = self._models[effort]
        decoded = self._decoding.each(_decoded, frames)
        good = [(index, pixels) for index, pixels in enumerate(decoded) if not isinstance(pixels, PictureError)]
        found_for = self._found(model, [pixels for _, pixels in good])
        inspections = dict(zip([index for index, _ in good], found_for, strict=True))
        inferred_ns = self._clock.utc_ns()
        answers = []
        for index, (frame, pixels) in enumerate(zip(frames, decoded, strict=True)):
            found = inspections.get(index)
            if isinstance(pixels, PictureError):
                answers.append(self.refused(frame, NotInspected.BAD_IMAGE, pixels))
            elif isinstance(found, Inspection):
                stamps = {**frame.message.stamps_ns, "received": frame.received_utc_ns, "batched": batched_ns}
                verdict = Verdict(
                    capture=frame.message.capture,
                    status=VerdictStatus.INSPECTED,
                    raw_score=found.raw_score,
                    score=found.score,
                    regions=found.regions,
                    model_id=model.model_id,
                    calibration_id=model.calibration_id,
                    effort=effort,
                    stamps_ns={**stamps, "inferred": inferred_ns},
                    size_px=(pixels.shape[1], pixels.shape[0]),
                )
                answers.append(self._inspected(verdict, pixels, found, model))
            else:
                answers.append(self.refused(frame, NotInspected.POISON, found))
        return answers

    def _found(self, model: Model, pictures: list[Picture]) -> list[Inspection | Exception]:
        if not pictures:
            return []
        try:
            found = list(model.inspect(pictures))
            if len(found) != len(pictures) or not all(math.isfinite(inspection.score) for inspection in found):
                raise ModelError(  # noqa: TRY301 - caught here like every other failure of a model
                    f"the model gave {len(found)} answers to {len(pictures)} pictures, or no usable score"
                )
            return list(found)
        except Exception as error:  # noqa: BLE001 - whatever a model raises, its neighbours and the line go on
            self._log.warning("model.failed", batch=len(pictures), error=str(error))
            if len(pictures) == 1:
                return [error]
        return [answer for picture in pictures for answer in self._found(model, [picture])]

    def _inspected(self, verdict: Verdict, pixels: Picture, found: Inspection, model: GradedModel) -> Answer:
        if found.score < self._overlay_from:
            return Answer(verdict, found=found, model=model)
        low = model.region_level
        draw = partial(overlay_jpeg, pixels, found.anomaly_map, found.regions, low=low, high=2 * low)
        return Answer(verdict, draw=draw, found=found, model=model)


def _decoded(frame: QueuedFrame) -> Picture | PictureError:
    try:
        return decode_frame(frame.message, frame.payload)
    except PictureError as error:
        return error
