"""What the benchmarks of speed look at: models, and rendered pictures as they come to a detector."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deploy.speed.frame import Frame
from detector.export.exporting import export
from detector.model.lens import Size
from detector.model.profiles import EDGE, LITE, Profile
from detector.runtime.base import EXPORTED
from detector.training.fit import train
from ingest.encode import encode_pixels
from ingest.rendering.conveyor import Conveyor, ConveyorSettings, write_dataset
from shared.domain import Capture, CaptureId
from shared.errors import ConfigError, EngineError
from shared.log import get_logger
from shared.wire import Encoding, FrameMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

JPEG_QUALITY: Final = 95
_GOOD_PARTS: Final = {"lite": 100, "vit-b-16": 24}
VIT_SIDE_PX: Final = 240
MODELS: Final = ("lite", "vit-b-16")
"""What a benchmark can train by itself; `vit-b-16` gets random weights, of which nothing but the speed is asked."""
RANDOM: Final = ("vit-b-16",)


def frames(count: int, size: Size, *, seed: int = 0, encoding: Encoding = Encoding.JPEG) -> list[Frame]:
    """Return so many parts of a belt, all different, defects at their usual rate."""
    conveyor = Conveyor(ConveyorSettings(seed=seed, width_px=size.width_px, height_px=size.height_px))
    made = []
    for number in range(count):
        pixels = conveyor.render(number).pixels
        capture = Capture(CaptureId("bench", "camera", 0, number), f"part-{number}", 0, 0)
        message = FrameMessage(capture, encoding, pixels.shape[1], pixels.shape[0], pixels.shape[2])
        made.append(Frame(message, encode_pixels(pixels, encoding, jpeg_quality=JPEG_QUALITY), pixels))
    return made


@contextmanager
def trained(
    model: str,
    size: Size,
    on_progress: Callable[[str, int, int], None] | None = None,
    engines: Sequence[str] = (),
) -> Iterator[Path]:
    """Yield the folder `model`, or one of `MODELS` trained on rendered good parts, which is gone afterwards.

    What is trained is exported too, for all engines or for those named in `engines`.

    ConfigError for what is neither.
    """
    folder = Path(model)
    if model not in MODELS:
        if not folder.is_dir():
            raise ConfigError(f"there is no model {model!r}", f"Give a model's folder, or one of {', '.join(MODELS)}.")
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="linewarden-bench-") as scratch:
        parts = Path(scratch) / "parts"
        station = ConveyorSettings(width_px=size.width_px, height_px=size.height_px)
        write_dataset(parts, station, train_good=_GOOD_PARTS[model], test_good=0, test_each_defect=0)
        settings, weights = (LITE, None) if model == "lite" else (vit_settings(), "random")
        folder = Path(scratch) / "model"
        train([parts], profile=settings, weights=weights, on_progress=on_progress).save(folder)
        if weights is None:
            export_all(folder, parts, on_progress, engines)
        yield folder


def export_all(
    folder: Path, parts: Path, on_progress: Callable[[str, int, int], None] | None, engines: Sequence[str] = ()
) -> None:
    """Export a model that was trained on `parts` for each engine, or those named, that is here and passes its gate."""
    for name in EXPORTED:
        if engines and name not in engines:
            continue
        try:
            export(folder, name, good=[parts], report=on_progress)
        except EngineError as error:
            get_logger("bench").warning("engine.left_out", engine=name, problem=str(error))


def vit_settings() -> Profile:
    """Return the profile `edge` at 240 pixels, on the bank alone: heads on random weights would learn nothing."""
    return replace(EDGE.on_the_bank_alone(), sides_px=(VIT_SIDE_PX,))
