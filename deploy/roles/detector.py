"""Build the detector service with its model, warmed up."""

from __future__ import annotations

import numpy as np

from deploy.adapters import Adapters
from detector.evidence.keeper import EvidenceKeeper
from detector.model.beyond import beyond_what_is_known
from detector.model.calibration import MINIMUM_PICTURES
from detector.model.patch_model import PatchModel
from detector.runtime.making import load_with
from detector.runtime.often import OFTEN
from detector.service import DetectorService
from shared.clock import Clock
from shared.errors import ConfigError
from shared.log import get_logger
from shared.settings import Settings
from shared.store.base import Store


def build(settings: Settings, adapters: Adapters) -> DetectorService:
    """Load the model in its engine; the errors of `load_with`, and ConfigError if it cannot judge the product."""
    detector = settings.detector
    model = load_with(
        detector.model,
        detector.product,
        engine=detector.engine,
        threads=detector.threads,
        providers=detector.onnx_providers,
    )
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
    _warm_up(model, settings.detector.max_batch)
    return DetectorService(
        settings,
        plan=adapters.plan,
        bus=adapters.bus,
        payloads=adapters.payloads,
        clock=adapters.clock,
        model=model,
        keeper=make_keeper(settings, adapters.store, adapters.clock),
    )


def _warm_up(model: PatchModel, max_batch: int) -> None:
    """Look at nothing: the first batches of a size are slow; paid here, they miss no deadline.

    An engine with lanes gets what it makes for a size that comes often, for a picture alone and for several.
    """
    nothing = np.zeros((480, 640, 3), dtype=np.uint8)
    sizes = _batch_sizes(max_batch) if model.lanes.count == 1 else [1] * OFTEN + [OFTEN]
    for effort in model.efforts:
        for size in sizes:
            model.at(effort).inspect([nothing] * size)
    model.engine.settle()


def _batch_sizes(most: int) -> list[int]:
    """Return the batch sizes that an engine may have to prepare for: the powers of two, and the largest."""
    return sorted({most, *(1 << power for power in range(most.bit_length()))})


def make_keeper(settings: Settings, store: Store, clock: Clock) -> EvidenceKeeper | None:
    """Return what keeps evidence; None where it is turned off, or the store knows no decisions of other processes."""
    apart = settings.store.embedded and not settings.bus.embedded
    if apart or not settings.detector.evidence.shelf_mib:
        return None
    return EvidenceKeeper(settings, store=store, clock=clock)
