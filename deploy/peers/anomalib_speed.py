"""Times anomalib's inferencers on JPEGs. Started by the interpreter of anomalib's own environment.

    python anomalib_speed.py FOLDER METHOD CORESET THREADS HEIGHT WIDTH

FOLDER holds train.npy and trunk.safetensors as for anomalib_runner.py, and the pictures to look at in pictures/*.jpg,
each HEIGHT x WIDTH. METHOD is `patchcore` or `padim`, trained on train.npy, exported by anomalib itself, and read by
both of its inferencers. On OpenVINO there is one inferencer with all threads, and a crew of several with one thread
each, which look at several pictures side by side: one for each thread or twice as many, whichever is faster here.

Then each line of standard input, `PICTURES STREAM`, is a turn of the next so many pictures, and of so many in a stream
for the crew, answered by a line of JSON: under each inferencer's name the milliseconds that each picture took, from its
file on, and under the crew's the share of a picture. The first line says that it is ready, with anomalib's version and
the names. Answers go to the file descriptor ANSWERS.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from anomalib_runner import batches, fill_trunk, padim_options, patchcore_options
from safetensors.torch import load_file
from torchvision.transforms.v2 import Compose, Normalize, Resize

# What the trunk's weights were trained with, of channels in 0..1.
_MEAN, _STD = 127 / 255, 128 / 255
_TRIED = 8
_TURNS_TRIED = 8
Predict = Callable[[Path], Any]


def main(folder: Path, method: str, coreset: int, threads: int, size: tuple[int, int]) -> None:
    """Train, export, and take turns until standard input ends."""
    torch.set_num_threads(threads)
    model = _trained(folder, method, coreset)
    predict_with = {f"{method} torch": _torch(model, folder)}
    exported = _exported(model, folder, size)
    predict_with[f"{method} openvino"] = _openvino(exported, threads)
    pictures = sorted((folder / "pictures").glob("*.jpg"))
    crew = _faster([Crew(exported, threads), Crew(exported, 2 * threads)], pictures[:_TRIED])
    together = f"{method} openvino, {crew.count} side by side"
    for predict in predict_with.values():
        predict(pictures[0])
    _say({"anomalib": importlib.metadata.version("anomalib"), "inferencers": [*predict_with, together]})
    shown, shown_in_streams = itertools.cycle(pictures), itertools.cycle(pictures)
    for line in sys.stdin:
        count, stream = map(int, line.split())
        chosen = list(itertools.islice(shown, count))
        some = list(itertools.islice(shown_in_streams, stream))
        found = {name: _each(predict, chosen) for name, predict in predict_with.items()}
        crew.predict(some)
        _say({**found, together: [_timed(crew.predict, some) / stream]})


class Crew:
    """So many inferencers on OpenVINO with one thread each, fed by as many threads."""

    def __init__(self, exported: Path, count: int) -> None:
        self.count = count
        self._idle: SimpleQueue[Predict] = SimpleQueue()
        # Those with one thread each must not all be bound to the same core.
        for _ in range(count):
            self._idle.put(_openvino(exported, 1, ENABLE_CPU_PINNING=False))
        self._pool = ThreadPoolExecutor(count)

    def predict(self, paths: list[Path]) -> None:
        """Look at all of them."""
        list(self._pool.map(self._one, paths))

    def _one(self, path: Path) -> None:
        predict = self._idle.get()
        try:
            predict(path)
        finally:
            self._idle.put(predict)


def _faster(crews: list[Crew], pictures: list[Path]) -> Crew:
    """Return the crew that takes the least time for the pictures, of which each is first shown once for nothing."""
    taken: list[list[float]] = [[] for _ in crews]
    for turn in range(1 + _TURNS_TRIED):
        for times, crew in zip(taken, crews, strict=True):
            took = _timed(crew.predict, pictures)
            if turn:
                times.append(took)
    return crews[min(range(len(crews)), key=lambda index: float(np.median(taken[index])))]


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


def _torch(model: Any, folder: Path) -> Predict:
    from anomalib.deploy import TorchInferencer

    os.environ["TRUST_REMOTE_CODE"] = "1"
    inferencer = TorchInferencer(model.to_torch(folder / "torch"), device="cpu")

    def predict(path: Path) -> None:
        with torch.inference_mode():
            inferencer.predict(path)

    return predict


def _exported(model: Any, folder: Path, size: tuple[int, int]) -> Path:
    # A picture at a time, as a line has them: a fixed size is the faster way.
    fixed: dict[str, Any] = {"dynamic_shapes": ({},)}
    return Path(model.to_openvino(folder / "openvino", input_size=size, onnx_kwargs=fixed))


def _openvino(exported: Path, threads: int, **options: Any) -> Predict:
    from anomalib.deploy import OpenVINOInferencer

    config = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", **options}
    predict: Predict = OpenVINOInferencer(exported, "CPU", config).predict
    return predict


def _each(predict: Predict, paths: list[Path]) -> list[float]:
    """Return what each takes, once the inferencer is awake: the others' threads still spin, and its own sleep."""
    predict(paths[-1])
    return [_timed(predict, path) for path in paths]


def _timed(predict: Callable[[Any], Any], shown: Path | list[Path]) -> float:
    began = time.perf_counter()
    predict(shown)
    return (time.perf_counter() - began) * 1_000


def _say(answer: dict[str, Any]) -> None:
    # Whatever the libraries print goes elsewhere.
    os.write(int(os.environ["ANSWERS"]), (json.dumps(answer) + "\n").encode())


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), (int(sys.argv[5]), int(sys.argv[6])))
