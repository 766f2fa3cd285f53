"""OpenVINO on the CPU: the graph in float32 or bfloat16, or quantised to int8.

What is common runs as one graph from the shrunk picture to its distances; what is rare, as a picture of a new size or
heads, by a graph of the tower and one of the search.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from detector.runtime.base import OPENVINO, OPENVINO_BF16, OPENVINO_INT8, Seen
from detector.runtime.checks import check_canvas, finite
from detector.runtime.lanes import Lanes
from detector.runtime.openvino_graphs import DEVICE, Compiler, Graphs, failing_as
from detector.runtime.openvino_mixed import has_bf16
from detector.runtime.openvino_search import OpenvinoSearch, search_graph
from detector.runtime.openvino_sight import OpenvinoSight
from detector.runtime.openvino_silent import the_core
from shared.errors import EngineError
from shared.processor import has_int8_dot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from detector.model.profiles import Profile
    from detector.model.view import View
    from detector.runtime.often import Often
    from detector.runtime.openvino_silent import openvino

NAMES: Final = (OPENVINO, OPENVINO_BF16, OPENVINO_INT8)
GRAPH: Final = "graph.xml"
WEIGHTS: Final = "graph.bin"
_BF16 = "BF16"
_INT8 = "INT8"
_WHOLE = "f32"
_LANES_A_THREAD = 2


class OpenvinoEngine:
    """A graph that `linewarden export` wrote, on so many threads.

    One picture has all the threads to itself. Of several, twice as many as there are threads go side by side, each on
    one: where one of them waits for Python, another computes.
    """

    def __init__(self, folder: Path, *, name: str, threads: int) -> None:
        """Open the graph in `folder`; EngineError if it cannot be, or if this processor lacks what `name` needs."""
        self.name = name
        self.lanes = Lanes(_LANES_A_THREAD * threads if threads > 1 else 1)
        core = the_core()
        check_processor(core, name)
        with failing_as(f"OpenVINO cannot open the graph in {folder}", "Export the model again."):
            self._tower = core.read_model(folder / GRAPH)
        # A graph that does not say itself which of its layers are in bfloat16 is so as a whole.
        precision = "bf16" if name == OPENVINO_BF16 and not has_bf16(self._tower) else _WHOLE
        self._compiler = Compiler(core, threads, self.lanes, precision)
        self._graphs = Graphs(self._compiler, self._tower)
        self._made: list[Often[Any, Any]] = [self._graphs.sized]

    def see(self, canvases: Sequence[NDArray[np.float32]]) -> list[Seen]:
        """Return what the tower sees of each; see the port."""
        return self.lanes.each(self._see, canvases)

    def search(self, rows: NDArray[np.float32]) -> OpenvinoSearch:
        """Return the search by int8, which is about exact, or by float32 where the processor has nothing for int8."""
        exact = not has_int8_dot()
        graphs = Graphs(replace(self._compiler, precision=_WHOLE), search_graph(rows, exact=exact))
        self._made.append(graphs.sized)
        return OpenvinoSearch(graphs, exact=exact)

    def sight(self, view: View, settings: Profile) -> OpenvinoSight | None:
        """Return the whole look as one graph; None where the tower is lowered as a whole: light and search are not."""
        if self._compiler.precision != _WHOLE:
            return None
        sight = OpenvinoSight(self.name, self._compiler, self._tower, view, settings, exact=not has_int8_dot())
        self._made.append(sight.sized)
        return sight

    def settle(self) -> None:
        """Wait for the graphs that are being compiled."""
        for one in self._made:
            one.settle()

    def _see(self, canvas: NDArray[np.float32]) -> Seen:
        check_canvas(canvas)
        *levels, patches = self._graphs.infer(canvas[None])
        return Seen(tuple(level[0] for level in levels), finite(patches[0], self.name))


def check_processor(core: openvino.Core, name: str) -> None:
    """Raise EngineError where the processor would only emulate what the engine's name promises."""
    able = set(core.get_property(DEVICE, "OPTIMIZATION_CAPABILITIES"))
    if not has_int8_dot():
        # OpenVINO computes in it all the same, with products that overflow: what a gate measured on another
        # processor does not hold here.
        able.discard(_INT8)
    needed = {OPENVINO_BF16: _BF16, OPENVINO_INT8: _INT8}.get(name)
    if needed is not None and needed not in able:
        raise EngineError(
            f"this processor has no instructions for {needed}, which the engine {name} is for",
            f'Set detector.engine = "{OPENVINO}", or "auto".',
        )
