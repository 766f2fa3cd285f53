"""OpenVINO on the CPU: the graph in float32 or bfloat16, or quantised to int8.

A graph is compiled for canvases of any size, and once more for each size that comes often, which runs a quarter faster.
The search in a bank is a graph of its own: in one with the tower it took as long. It quantises the rows and the patches
to int8, in an eighth of the bytes and two fifths of the time; what matters of the answer is searched for again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.runtime.base import OPENVINO, OPENVINO_BF16, OPENVINO_INT8, Seen
from detector.runtime.checks import check_canvas, finite
from detector.runtime.lanes import Lanes
from detector.runtime.openvino_mixed import has_bf16
from detector.runtime.openvino_silent import openvino, ops, the_core
from shared.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

NAMES: Final = (OPENVINO, OPENVINO_BF16, OPENVINO_INT8)
GRAPH: Final = "graph.xml"
WEIGHTS: Final = "graph.bin"
_DEVICE = "CPU"
_BF16 = "BF16"
_INT8 = "INT8"
# From so often on a size gets a graph of its own, and so many sizes have one at a time.
_OFTEN = 3
_SIZES_KEPT = 4
_LANES_A_THREAD = 2
# A piece's similarities to 1024 patches fit into a core's second-level cache, and are read while they do.
_ROWS_AT_ONCE = 256
_LEVELS = 256
_HIGHEST = 127


class OpenvinoEngine:
    """A graph that `linewarden export` wrote, on so many threads.

    One picture has all the threads to itself. Of several, twice as many as there are threads go side by side, each on
    one: where one of them waits for Python, another computes.
    """

    def __init__(self, folder: Path, *, name: str, threads: int) -> None:
        """Open the graph in `folder`; EngineError if it cannot be, or if this processor lacks what `name` needs."""
        self.name = name
        self.lanes = Lanes(_LANES_A_THREAD * threads if threads > 1 else 1)
        self._threads = threads
        self._core = the_core()
        _check_processor(self._core, name)
        try:
            model = self._core.read_model(folder / GRAPH)
            # A graph that does not say itself which of its layers are in bfloat16 is so as a whole.
            precision = "bf16" if name == OPENVINO_BF16 and not has_bf16(model) else "f32"
            self._graphs = _Graphs(self._core, model, precision=precision, threads=threads, lanes=self.lanes)
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO cannot open the graph in {folder}: {_first_line(error)}", "Export the model again."
            ) from error

    def see(self, canvases: Sequence[NDArray[np.float32]]) -> list[Seen]:
        """Return what the tower sees of each; see the port."""
        return self.lanes.each(self._see, canvases)

    def search(self, rows: NDArray[np.float32]) -> OpenvinoSearch:
        """Return the search by int8, which is about exact."""
        return OpenvinoSearch(
            _Graphs(self._core, _search_graph(rows), precision="f32", threads=self._threads, lanes=self.lanes)
        )

    def _see(self, canvas: NDArray[np.float32]) -> Seen:
        check_canvas(canvas)
        try:
            *levels, patches = self._graphs.infer(canvas[None])
        except RuntimeError as error:
            raise EngineError(f"OpenVINO failed on a canvas of {canvas.shape}: {_first_line(error)}") from error
        return Seen(tuple(level[0] for level in levels), finite(patches[0], self.name))


class OpenvinoSearch:
    """The search in one bank."""

    exact = False

    def __init__(self, graphs: _Graphs) -> None:
        self._graphs = graphs

    def __call__(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the highest cosine, (n,) float32, of each of the patches (n, D), right to about 0.003."""
        (found,) = self._graphs.infer(patches)
        return found


class _Graphs:
    """A model compiled for inputs of any size, and again for each size that comes often."""

    def __init__(
        self, core: openvino.Core, model: openvino.Model, *, precision: str, threads: int, lanes: Lanes
    ) -> None:
        self._core = core
        self._model = model
        self._precision = precision
        self._threads = threads
        self._lanes = lanes
        self._any_size = self._compiled(model)
        self._seen_sizes: dict[tuple[int, ...], int] = {}
        self._sized: OrderedDict[tuple[int, ...], _Graph] = OrderedDict()
        self._lock = threading.Lock()

    def infer(self, values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the model's outputs, float32; the caller's lane says on how many threads."""
        with self._graph_for(values.shape).request(alone=not self._lanes.inside) as request:
            outputs = request.infer({0: values}, share_inputs=True)
            return [outputs[index] for index in range(len(outputs))]

    def _graph_for(self, shape: tuple[int, ...]) -> _Graph:
        with self._lock:
            if shape in self._sized:
                self._sized.move_to_end(shape)
                return self._sized[shape]
            self._seen_sizes[shape] = self._seen_sizes.get(shape, 0) + 1
            if self._seen_sizes[shape] < _OFTEN:
                return self._any_size
            model = self._model.clone()
            model.reshape(list(shape))
            self._sized[shape] = self._compiled(model)
            if len(self._sized) > _SIZES_KEPT:
                gone, _ = self._sized.popitem(last=False)
                self._seen_sizes[gone] = 0
            return self._sized[shape]

    def _compiled(self, model: openvino.Model) -> _Graph:
        return _Graph(self._core, model, precision=self._precision, threads=self._threads, lanes=self._lanes.count)


class _Graph:
    """A compiled graph and its idle requests, for one picture on all threads, and if asked, for one in each lane."""

    def __init__(self, core: openvino.Core, model: openvino.Model, *, precision: str, threads: int, lanes: int) -> None:
        self._core = core
        self._model = model
        self._precision = precision
        self._lanes = lanes
        self._lock = threading.Lock()
        self._alone = self._compile(streams=1, threads=threads)
        self._beside: openvino.CompiledModel | None = None
        self._idle: dict[bool, SimpleQueue[openvino.InferRequest]] = {True: SimpleQueue(), False: SimpleQueue()}

    @contextmanager
    def request(self, *, alone: bool) -> Iterator[openvino.InferRequest]:
        """Lend a request; what it gives must be used or copied before it is given back."""
        alone = alone or self._lanes == 1
        idle = self._idle[alone]
        try:
            request = idle.get_nowait()
        except Empty:
            request = self._compiled(alone=alone).create_infer_request()
        try:
            yield request
        finally:
            idle.put(request)

    def _compiled(self, *, alone: bool) -> openvino.CompiledModel:
        if alone:
            return self._alone
        with self._lock:
            if self._beside is None:
                self._beside = self._compile(streams=self._lanes, threads=self._lanes)
            return self._beside

    def _compile(self, *, streams: int, threads: int) -> openvino.CompiledModel:
        return self._core.compile_model(
            self._model,
            _DEVICE,
            {
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": streams,
                "INFERENCE_PRECISION_HINT": self._precision,
                # Another process beside this one may have the cores that it would pin itself to.
                "ENABLE_CPU_PINNING": False,
            },
        )


def _check_processor(core: openvino.Core, name: str) -> None:
    """Raise EngineError where the processor would only emulate what the engine's name promises."""
    able = core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
    needed = {OPENVINO_BF16: _BF16, OPENVINO_INT8: _INT8}.get(name)
    if needed is not None and needed not in able:
        raise EngineError(
            f"this processor has no instructions for {needed}, which the engine {name} is for",
            f'Set detector.engine = "{OPENVINO}", or "auto".',
        )


def _search_graph(rows: NDArray[np.float32]) -> openvino.Model:
    """Return the graph from patches (n, D) to the highest cosine with the rows (K, D), (n,), both quantised to int8.

    A row has a scale of its own. The patches have one for all, from the rows' largest value: good patches are as large
    as the rows, and of others the excess is cut off, which makes their distance larger.
    """
    patches = ops.parameter([-1, rows.shape[1]], np.float32, name="patches")
    largest = max(float(np.abs(rows).max()), 1e-6)
    low, high = np.float32(-largest * (_HIGHEST + 1) / _HIGHEST), np.float32(largest)
    coarse = ops.fake_quantize(patches, low, high, low, high, _LEVELS)
    best = None
    for start in range(0, rows.shape[0], _ROWS_AT_ONCE):
        some = rows[start : start + _ROWS_AT_ONCE]
        scale = np.maximum(np.abs(some).max(axis=1, keepdims=True), 1e-6) / _HIGHEST
        steps = ops.constant(np.rint(some / scale).astype(np.int8))
        weights = ops.multiply(ops.convert(steps, np.float32), ops.constant(scale.astype(np.float32)))
        found = ops.reduce_max(ops.matmul(coarse, weights, False, True), np.array([1]), False)
        best = found if best is None else ops.maximum(best, found)
    return openvino.Model([best], [patches], "search")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
