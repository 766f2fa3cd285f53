"""Build the detector service with its model, warmed up."""

from __future__ import annotations

import numpy as np
import torch

from deploy.adapters import Adapters
from detector.evidence.keeper import EvidenceKeeper
from detector.model.artifact import load
from detector.model.calibration import MINIMUM_PICTURES
from detector.model.threshold import beyond_what_is_known
from detector.service import DetectorService
from shared.errors import ConfigError
from shared.log import get_logger
from shared.settings import Settings


def build(settings: Settings, adapters: Adapters) -> DetectorService:
    """Load the model; the errors of `load`, and ConfigError if it cannot judge the product."""
    torch.set_num_threads(settings.detector.threads)
    model = load(settings.detector.model, settings.detector.product)
    if not model.product.calibration.known:
        raise ConfigError(
            f"the model in {settings.detector.model} is not calibrated for {model.product.name!r}: it was trained on "
            f"{model.product.calibration.pictures} good pictures",
            f"Train it on at least {MINIMUM_PICTURES}, better 100.",
        )
    highest = max((line.policy.reject_at for line in settings.lines), default=0.0)
    doubt = beyond_what_is_known(model.product.calibration.pictures, highest)
    if doubt is not None:
        get_logger("detector").warning("threshold.beyond", threshold=highest, problem=doubt)
    # The first batches of a size are slow; paid here, they miss no deadline.
    for effort in model.efforts:
        for size in (1, settings.detector.max_batch):
            model.at(effort).inspect([np.zeros((480, 640, 3), dtype=np.uint8)] * size)
    keeper = None
    # A store in this process knows no decisions that are made in another one.
    if settings.detector.evidence.shelf_mib and (settings.bus.embedded or not settings.store.embedded):
        keeper = EvidenceKeeper(settings, store=adapters.store, clock=adapters.clock)
    return DetectorService(
        settings,
        plan=adapters.plan,
        bus=adapters.bus,
        payloads=adapters.payloads,
        clock=adapters.clock,
        model=model,
        keeper=keeper,
    )
