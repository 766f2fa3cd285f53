"""Which patches stand for all: what a bank keeps of the good pictures."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_PROJECTED_SIZE = 64
_CANDIDATES_PER_MEMBER = 6


def choose_rows(patches: NDArray[np.float32], size: int, seed: int) -> NDArray[np.int64]:
    """Return the sorted indices, (<= size,) int64, of the patches (M, D) that stand for all of them.

    Greedy k-centre selection (Sener & Savarese, ICLR 2018; as in PatchCore): each step takes the patch that is the
    farthest from all that were taken. It runs on a random subset and on a random projection (Johnson & Lindenstrauss,
    1984), so that it takes seconds, not minutes.
    """
    generator = torch.Generator().manual_seed(seed)
    count = patches.shape[0]
    if count <= size:
        return np.arange(count)
    drawn = torch.randperm(count, generator=generator)[: size * _CANDIDATES_PER_MEMBER]
    width = min(_PROJECTED_SIZE, patches.shape[1])
    projection = torch.randn(patches.shape[1], width, generator=generator) / width**0.5
    points = torch.from_numpy(patches[drawn.numpy()]) @ projection
    with _one_thread():
        chosen: NDArray[np.int64] = drawn[_k_centre(points, size)].sort().values.numpy()
    return chosen


def _k_centre(points: torch.Tensor, size: int) -> torch.Tensor:
    """Return the indices (size,) int64 of greedily chosen centres among points (M, d) float32."""
    squares = (points * points).sum(dim=1)
    chosen = torch.empty(size, dtype=torch.int64)
    # The first centre is the one nearest the middle: no luck of the draw decides it.
    latest = int((points - points.mean(dim=0)).square().sum(dim=1).argmin())
    gaps = torch.full((points.shape[0],), torch.inf)
    for step in range(size):
        chosen[step] = latest
        # |p - c|^2 = |p|^2 + |c|^2 - 2 p.c, as one matrix-vector product
        away = torch.addmv(squares + squares[latest], points, points[latest], alpha=-2.0)
        torch.minimum(gaps, away, out=gaps)
        gaps[latest] = -1.0
        latest = int(gaps.argmax())
    return chosen


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run thousands of small operations on one core: on a busy machine, threads would spend them waiting."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
