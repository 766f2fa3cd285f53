"""Runs anomalib's PatchCore and PaDiM on prepared tensors. Started by the interpreter of anomalib's own environment.

    python anomalib_runner.py FOLDER METHOD SEED CORESET

FOLDER holds train.npy and test.npy, (N, 3, H, W) float32 as the trunk wants them, and trunk.safetensors, the trunk's
tensors under timm's names. METHOD is `patchcore` or `padim`; PatchCore keeps CORESET patches. Written to FOLDER:
METHOD-maps.npy (N, H, W) float32 and METHOD-scores.npy (N,) float32.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_TRUNK = "tf_efficientnet_lite0"
_BATCH = 4
# The stages of 8 and 16 px a cell, as anomalib's own default takes of a ResNet; PaDiM adds those of 4 px.
_PATCHCORE_LAYERS = ["blocks.2", "blocks.4"]
# It is chosen from so many times as many patches, as ours is: from all of them it takes ten minutes a set.
_CANDIDATES_PER_MEMBER = 6
_PADIM_LAYERS = ["blocks.1", "blocks.2", "blocks.4"]
_PADIM_FEATURES = 100


def main(folder: Path, method: str, seed: int, coreset: int) -> None:
    """Train on train.npy, and write the maps and scores of test.npy."""
    torch.set_num_threads(1)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - anomalib draws from the global state
    torch.manual_seed(seed)
    model = {"patchcore": _patchcore, "padim": _padim}[method]()
    fill_trunk(model, load_file(folder / "trunk.safetensors"))
    with torch.no_grad():
        model.train()
        for batch in batches(folder / "train.npy"):
            model(batch)
        if method == "patchcore":
            keep_coreset(model, coreset)
        else:
            model.fit()
        model.eval()
        found = [model(batch) for batch in batches(folder / "test.npy")]
    np.save(folder / f"{method}-maps.npy", torch.cat([out.anomaly_map[:, 0] for out in found]).numpy())
    np.save(folder / f"{method}-scores.npy", torch.cat([out.pred_score.flatten() for out in found]).numpy())


def _patchcore() -> Any:
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    return PatchcoreModel(**patchcore_options())


def _padim() -> Any:
    from anomalib.models.image.padim.torch_model import PadimModel

    return PadimModel(**padim_options())


def patchcore_options() -> dict[str, Any]:
    """Return what PatchCore is built with."""
    return {"layers": _PATCHCORE_LAYERS, "backbone": _TRUNK, "pre_trained": False}


def padim_options() -> dict[str, Any]:
    """Return what PaDiM is built with."""
    return {"layers": _PADIM_LAYERS, "backbone": _TRUNK, "pre_trained": False, "n_features": _PADIM_FEATURES}


def keep_coreset(model: Any, coreset: int) -> None:
    """Let PatchCore choose `coreset` of the patches that it has seen."""
    patches = torch.cat(list(model.embedding_store))
    drawn = patches[torch.randperm(len(patches))[: coreset * _CANDIDATES_PER_MEMBER]]
    model.embedding_store = [drawn]
    # It keeps the whole part of share x patches: half a patch more, and rounding costs none.
    model.subsample_embedding(min(1.0, (coreset + 0.5) / len(drawn)))


def fill_trunk(model: Any, tensors: dict[str, torch.Tensor]) -> None:
    """Give the trunk the same weights; every tensor that it has must be among them."""
    trunk = model.feature_extractor.feature_extractor
    wanted = trunk.state_dict()
    missing = sorted(set(wanted) - set(tensors))
    if missing:
        raise SystemExit(f"trunk.safetensors lacks {missing[0]}")
    trunk.load_state_dict({name: tensors[name] for name in wanted})


def batches(pictures: Path) -> Iterator[torch.Tensor]:
    """Yield the pictures of an array file, a few at a time."""
    array: NDArray[np.float32] = np.load(pictures, mmap_mode="r")
    for start in range(0, len(array), _BATCH):
        yield torch.from_numpy(np.array(array[start : start + _BATCH]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
