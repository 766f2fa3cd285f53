"""A graph of OpenVINO's compiled for inputs of any size, and again for each size that comes often.

A graph of its own size runs a quarter faster. It is compiled beside the pictures, which go through the other one
meanwhile.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from detector.runtime.often import Often
from shared.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from detector.runtime.lanes import Lanes
    from detector.runtime.openvino_silent import openvino

DEVICE: Final = "CPU"
Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Compiler:
    """Compiles graphs for one picture on all of `threads`, or for one in each of the lanes."""

    core: openvino.Core
    threads: int
    lanes: Lanes
    precision: str = "f32"

    @property
    def alone(self) -> bool:
        """Say whether the caller has all threads to itself."""
        return self.lanes.count == 1 or not self.lanes.inside

    def compiled(self, model: openvino.Model, *, alone: bool) -> Compiled:
        """Return the model compiled; EngineError if it cannot be."""
        options = {
            "INFERENCE_NUM_THREADS": self.threads if alone else self.lanes.count,
            "NUM_STREAMS": 1 if alone else self.lanes.count,
            "INFERENCE_PRECISION_HINT": self.precision,
            # Another process beside this one may have the cores that it would pin itself to.
            "ENABLE_CPU_PINNING": False,
        }
        with failing_as("OpenVINO cannot compile the graph"):
            return Compiled(self.core.compile_model(model, DEVICE, options))


class Compiled:
    """A compiled graph of one input, and its idle requests."""

    def __init__(self, model: openvino.CompiledModel) -> None:
        self._model = model
        self._idle: SimpleQueue[openvino.InferRequest] = SimpleQueue()

    def infer(self, values: NDArray[Any]) -> list[NDArray[np.float32]]:
        """Return the outputs, which are the caller's own; EngineError if the graph fails."""
        with failing_as(f"OpenVINO failed on an input of {values.shape}"):
            try:
                request = self._idle.get_nowait()
            except Empty:
                request = self._model.create_infer_request()
            try:
                outputs = request.infer({0: values}, share_inputs=True)
                return [outputs[index] for index in range(len(outputs))]
            finally:
                self._idle.put(request)


class Graphs:
    """A model compiled for inputs of any size, and again for each size that comes often."""

    def __init__(self, compiler: Compiler, model: openvino.Model) -> None:
        """Compile it for any size; EngineError if that fails."""
        self._compiler = compiler
        self._model = model
        self._any_size = {True: compiler.compiled(model, alone=True)}
        self._lock = threading.Lock()
        self.sized: Often[tuple[Shape, bool], Compiled] = Often(self._made)

    def infer(self, values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the model's outputs, float32; the caller's lane says on how many threads."""
        alone = self._compiler.alone
        return (self.sized.get((values.shape, alone)) or self._of_any_size(alone)).infer(values)

    def _of_any_size(self, alone: bool) -> Compiled:
        with self._lock:
            if alone not in self._any_size:
                self._any_size[alone] = self._compiler.compiled(self._model, alone=alone)
            return self._any_size[alone]

    def _made(self, key: tuple[Shape, bool]) -> Compiled:
        shape, alone = key
        model = self._model.clone()
        model.reshape(list(shape))
        return self._compiler.compiled(model, alone=alone)


@contextmanager
def failing_as(what: str, remedy: str = "") -> Iterator[None]:
    """Raise OpenVINO's errors as EngineError; of several lines the last one says what it was."""
    try:
        yield
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise EngineError(f"{what}: {lines[-1] if lines else type(error).__name__}", remedy) from error
