"""How a model is put on an engine, told to another process. Importing it imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from detector.model.artifact import read
from detector.runtime.making import limit_torch, load_with, open_exported, prepare_process

if TYPE_CHECKING:
    from detector.model.patch_model import PatchModel
    from detector.runtime.base import Engine
    from shared.settings import DetectorSettings

AS_BUILT: Final = "torch-as-built"
"""Torch with the tower that open_clip builds: norms apart, channels first. What else its engine does is torch's."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The model in `folder` on an engine; `files` are the engine's where no gate has passed them."""

    name: str
    folder: Path
    threads: int
    files: Path | None = None

    def made(self) -> PatchModel:
        """Return the model, with the process's libraries on the threads that its engine leaves them.

        The errors of `load_with`.
        """
        if self.name != AS_BUILT and self.files is None:
            return load_with(self.folder, engine=self.name, threads=self.threads)
        stored = read(self.folder)
        engine: Engine
        if self.files is not None:
            engine = open_exported(self.name, self.files, threads=self.threads)
        else:
            from detector.runtime.eager import TorchEngine

            limit_torch(self.threads)
            engine = TorchEngine(stored.tower(as_built=True), stored.settings)
        prepare_process(engine, self.threads)
        return stored.running_on(engine, stored.chosen(None))


def loaded(detector: DetectorSettings) -> PatchModel:
    """Return the model as the detector's role loads it; the errors of `load_with`."""
    return load_with(
        detector.model,
        detector.product,
        engine=detector.engine,
        threads=detector.threads,
        providers=detector.onnx_providers,
    )
