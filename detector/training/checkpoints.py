"""Where a training that was broken off goes on."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from shared.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One learning's file; without a path nothing is kept."""

    path: Path | None

    def read(self) -> dict[str, Any] | None:
        """Return what was written last; None if nothing was, or if it was broken off in the middle of it."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            return cast("dict[str, Any]", torch.load(self.path, weights_only=True))
        except (pickle.UnpicklingError, RuntimeError, EOFError):
            return None

    def write(self, state: Mapping[str, object]) -> None:
        """Replace what was written before, all at once."""
        if self.path is None:
            return
        staging = self.path.with_suffix(".new")
        torch.save(dict(state), staging)
        staging.replace(self.path)


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """A folder of checkpoints of one training: same pictures, profile, seed and weights; none without a folder."""

    folder: Path | None
    key: str = ""

    def opened(self, facts: Mapping[str, object]) -> Checkpoints:
        """Return the checkpoints of the training that these facts describe."""
        if self.folder is None:
            return self
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"cannot make the folder {self.folder}: {error.strerror}", "Choose a place that can be written to."
            ) from None
        text = json.dumps(facts, sort_keys=True, default=str)
        return Checkpoints(self.folder, hashlib.sha256(text.encode()).hexdigest()[:12])

    def of(self, name: str) -> Checkpoint:
        """Return the checkpoint of one learning in it."""
        return Checkpoint(self.folder / f"{self.key}-{name}.pt" if self.folder else None)

    def remove(self) -> None:
        """Forget everything, after the model was saved."""
        if self.folder is None:
            return
        # A writing that was broken off leaves a `.new` behind.
        for path in [*self.folder.glob("*.pt"), *self.folder.glob("*.new")]:
            path.unlink()
        self.folder.rmdir()
