"""torch.compile: on a GPU in bfloat16 with CUDA graphs, pictures of one size together; on a CPU in float32."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from detector.runtime.base import COMPILED, Seen
from detector.runtime.checks import check_canvas, finite
from detector.runtime.graph import Graph
from detector.runtime.lanes import Lanes
from detector.runtime.torch_search import TorchSearch
from shared.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from detector.model.backbone.tower import Tower
    from detector.model.profiles import Profile
    from detector.model.view import View


class CompiledEngine:
    """A tower that torch compiled, for each batch size and canvas size the first time that it comes.

    On a CPU that takes most of a minute, and brought `lite` a tenth: it is for GPUs. There it computes in bfloat16, and
    the bank's search runs there too, in float32.
    """

    name = COMPILED

    def __init__(
        self,
        tower: Tower,
        settings: Profile,
        *,
        device: str | None = None,
        compile_with: Callable[..., Any] | None = None,
    ) -> None:
        """Compile for `device`, by default a GPU if there is one; `compile_with` stands in for torch.compile."""
        self.lanes = Lanes()
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._on_gpu = self._device.type == "cuda"
        # On a CPU the feature maps of one picture stay in the cache, those of several do not.
        self._batches = self._on_gpu
        # CUDA graphs belong to the thread that recorded them: warm-up and work come from different ones.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="compiled")
        graph = Graph(tower, settings).eval().to(self._device)
        mode = "max-autotune" if self._on_gpu else "default"
        self._run = cast(
            "Callable[[torch.Tensor], tuple[torch.Tensor, ...]]",
            (compile_with or torch.compile)(graph, mode=mode, dynamic=False),
        )

    def see(self, canvases: Sequence[NDArray[np.float32]]) -> list[Seen]:
        """Return what the tower sees of each; see the port. On a GPU those of one size go as one batch."""
        for canvas in canvases:
            check_canvas(canvas)
        if not self._batches:
            return [self._run_in_thread([canvas])[0] for canvas in canvases]
        by_size: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, canvas in enumerate(canvases):
            by_size[canvas.shape].append(index)
        found: dict[int, Seen] = {}
        for indices in by_size.values():
            found |= dict(zip(indices, self._run_in_thread([canvases[index] for index in indices]), strict=True))
        return [found[index] for index in range(len(canvases))]

    def search(self, rows: NDArray[np.float32]) -> TorchSearch:
        """Return the search on the same device."""
        return TorchSearch(torch.from_numpy(rows).to(self._device))

    def sight(self, view: View, settings: Profile) -> None:
        """Do each step by itself."""

    def settle(self) -> None:
        """Make nothing beside."""

    def _run_in_thread(self, canvases: Sequence[NDArray[np.float32]]) -> list[Seen]:
        return self._thread.submit(self._see, canvases).result()

    def _see(self, canvases: Sequence[NDArray[np.float32]]) -> list[Seen]:
        # Each batch size is compiled by itself, for the better part of a minute: only powers of two come.
        room = 1 << (len(canvases) - 1).bit_length()
        batch = torch.from_numpy(np.stack([*canvases, *[canvases[-1]] * (room - len(canvases))]))
        if self._on_gpu:
            # From pinned memory the copy runs beside what the device still computes.
            batch = batch.pin_memory().to(self._device, non_blocking=True)
        try:
            with torch.inference_mode(), torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._on_gpu):
                outputs = self._run(batch)
                *levels, patches = (values.float().cpu().numpy() for values in outputs)
        except RuntimeError as error:
            raise EngineError(f"the compiled tower failed: {error}", 'Set detector.engine = "torch".') from error
        return [
            Seen(tuple(level[index] for level in levels), finite(patches[index], self.name))
            for index in range(len(canvases))
        ]
