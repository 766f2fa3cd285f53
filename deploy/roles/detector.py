"""Build the detector service with its model, warmed up."""

from __future__ import annotations

import numpy as np
import torch

from deploy.adapters import Adapters
from detector.model.artifact import load
from detector.service import DetectorService
from shared.settings import Settings


def build(settings: Settings, adapters: Adapters) -> DetectorService:
    """Load the model; raises `ModelMissingError` or `ModelCorruptError`."""
    torch.set_num_threads(settings.detector.threads)
    model = load(settings.detector.model)
    # The first batches of a size are slow; paid here, they miss no deadline.
    for size in (1, settings.detector.max_batch):
        model.inspect([np.zeros((480, 640, 3), dtype=np.uint8)] * size)
    return DetectorService(settings, bus=adapters.bus, clock=adapters.clock, model=model)
