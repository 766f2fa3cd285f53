"""Times anomalib's inferencers on JPEGs. Started by the interpreter of anomalib's own environment.

    python anomalib_speed.py FOLDER METHOD CORESET THREADS HEIGHT WIDTH

FOLDER holds train.npy and trunk.safetensors as for anomalib_runner.py, and the pictures to look at in pictures/*.jpg,
each HEIGHT x WIDTH. METHOD is `patchcore` or `padim`, trained on train.npy, exported by anomalib itself, and read by
both of its inferencers. Then each line of standard input is a turn of the next so many pictures, answered by a line of
JSON: under each inferencer's name the milliseconds that each picture took, from its file on. The first line says that
it is ready, with anomalib's version and the names. Answers go to the file descriptor ANSWERS.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from anomalib_runner import batches, fill_trunk, padim_options, patchcore_options
from safetensors.torch import load_file
from torchvision.transforms.v2 import Compose, Normalize, Resize

# What the trunk's weights were trained with, of channels in 0..1.
_MEAN, _STD = 127 / 255, 128 / 255


def main(folder: Path, method: str, coreset: int, threads: int, size: tuple[int, int]) -> None:
    """Train, export, and take turns until standard input ends."""
    torch.set_num_threads(threads)
    model = _trained(folder, method, coreset)
    inferencers = {
        f"{method} torch": _torch(model, folder),
        f"{method} openvino": _openvino(model, folder, threads, size),
    }
    pictures = sorted((folder / "pictures").glob("*.jpg"))
    for predict in inferencers.values():
        predict(pictures[0])
    _say({"anomalib": importlib.metadata.version("anomalib"), "inferencers": list(inferencers)})
    shown = itertools.cycle(pictures)
    for line in sys.stdin:
        chosen = list(itertools.islice(shown, int(line)))
        _say({name: [_timed(predict, path) for path in chosen] for name, predict in inferencers.items()})


def _trained(folder: Path, method: str, coreset: int) -> Any:
    from anomalib.models import Padim, Patchcore
    from anomalib.pre_processing import PreProcessor

    canvas = np.load(folder / "train.npy", mmap_mode="r").shape[2:]
    # As our own pictures are shrunk, without a filter against aliasing: it is the faster way for anomalib.
    transform = Compose([Resize(canvas, antialias=False), Normalize([_MEAN] * 3, [_STD] * 3)])
    options = {"pre_processor": PreProcessor(transform=transform), "evaluator": False, "visualizer": False}
    model: Any
    if method == "patchcore":
        model = Patchcore(**patchcore_options(), **options)
    else:
        model = Padim(**padim_options(), **options)
    fill_trunk(model.model, load_file(folder / "trunk.safetensors"))
    with torch.no_grad():
        model.model.train()
        for batch in batches(folder / "train.npy"):
            model.model(batch)
        if method == "patchcore":
            # Which patches it keeps changes no time: they are drawn, not chosen for minutes.
            patches = torch.cat(list(model.model.embedding_store))
            model.model.memory_bank = patches[torch.randperm(len(patches))[:coreset]]
            model.model.embedding_store = []
        else:
            model.model.fit()
    return model.eval()


def _torch(model: Any, folder: Path) -> Any:
    from anomalib.deploy import TorchInferencer

    os.environ["TRUST_REMOTE_CODE"] = "1"
    inferencer = TorchInferencer(model.to_torch(folder / "torch"), device="cpu")

    def predict(path: Path) -> None:
        with torch.inference_mode():
            inferencer.predict(path)

    return predict


def _openvino(model: Any, folder: Path, threads: int, size: tuple[int, int]) -> Any:
    from anomalib.deploy import OpenVINOInferencer

    config = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    # A picture at a time, as a line has them: a fixed size is the faster way.
    fixed: dict[str, Any] = {"dynamic_shapes": ({},)}
    path = model.to_openvino(folder / "openvino", input_size=size, onnx_kwargs=fixed)
    return OpenVINOInferencer(path, "CPU", config).predict


def _timed(predict: Any, path: Path) -> float:
    began = time.perf_counter()
    predict(path)
    return (time.perf_counter() - began) * 1_000


def _say(answer: dict[str, Any]) -> None:
    # Whatever the libraries print goes elsewhere.
    os.write(int(os.environ["ANSWERS"]), (json.dumps(answer) + "\n").encode())


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), (int(sys.argv[5]), int(sys.argv[6])))
