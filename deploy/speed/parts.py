"""What an inspection is made of: the functions that are timed where they stand, and the parts that they make up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from deploy.speed.tracing import Span
from detector import decode
from detector.model import patch_model
from detector.model.bank import Bank
from detector.model.calibration import Calibration
from detector.model.lens import Lens
from detector.model.patch_model import PatchModel
from detector.model.view import View

ENCODER: Final = "encoder"
IN_GRAPH: Final = "light and bank, in the encoder's graph"
PARTS: Final = (
    "decode",
    "resize",
    "light",
    ENCODER,
    IN_GRAPH,
    "bank",
    "heads",
    "map",
    "score",
    "regions",
    "golden",
    "refinement",
    "between them",
)
"""In the order in which they come."""


def spans(model: PatchModel) -> tuple[Span, ...]:
    """Return the functions that an inspection by this model is made of, decoding included."""
    heads = {type(head) for head in model.ensembles}
    sights = {type(view.sight) for view in model.product.views if view.sight is not None}
    return (
        Span(decode, "decode_frame", "decode"),
        Span(patch_model, "check_picture", "resize"),
        Span(patch_model, "in_levels", "resize"),
        Span(Lens, "sized", "resize"),
        Span(Lens, "tune", "light"),
        *(Span(kind, "__call__", IN_GRAPH) for kind in sights),
        Span(type(model.engine), "see", ENCODER),
        Span(Bank, "distances", "bank"),
        Span(Bank, "exact_distances", "bank"),
        Span(Bank, "differences", "bank"),
        *(Span(kind, "logits", "heads") for kind in heads),
        Span(View, "relative", "map"),
        Span(View, "compare", "map"),
        Span(patch_model, "combine", "map"),
        Span(patch_model, "smoothed", "map"),
        Span(patch_model, "sized", "map"),
        Span(patch_model, "fuse", "map"),
        Span(patch_model, "image_score", "score"),
        Span(Calibration, "score", "score"),
        Span(patch_model, "find_regions", "regions"),
        Span(PatchModel, "_golden", "golden"),
        Span(PatchModel, "_again", "refinement", opaque=True),
        # What the functions above are called by, and nothing else.
        Span(PatchModel, "inspect", "between them"),
    )


def split(parts_ns: Mapping[str, int], encoder_ns: int) -> dict[str, int]:
    """Return the parts with a graph that holds the encoder in two: the encoder as it is alone, and the rest.

    Nothing inside a graph can be timed. The rest is a difference of two measurements: in a turn it can be below 0.
    """
    if ENCODER in parts_ns or IN_GRAPH not in parts_ns:
        return dict(parts_ns)
    return {**parts_ns, ENCODER: encoder_ns, IN_GRAPH: parts_ns[IN_GRAPH] - encoder_ns}
