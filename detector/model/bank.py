"""A bank of patches from good pictures: a patch is as anomalous as its nearest neighbour in the bank is far."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROJECTED_SIZE = 64
_CANDIDATES_PER_MEMBER = 6


class Bank:
    """Unit rows of good patches, (K, D) float32, and which picture each comes from, (K,) int32; -1 is none to show."""

    def __init__(self, rows: torch.Tensor, sources: torch.Tensor | None = None) -> None:
        self.rows = rows.contiguous()
        self.sources = sources

    def nearest(self, patches: torch.Tensor) -> tuple[int, float] | None:
        """Return the picture that most of a few patches (n, D) are nearest to, and the least of their distances to it.

        Of two pictures with as many the nearer one; None where no row's picture is known.
        """
        if self.sources is None or not bool((self.sources >= 0).any()):
            return None
        alike = (patches @ self.rows.T).masked_fill_(self.sources < 0, -torch.inf)
        best = alike.max(dim=1)
        votes: dict[int, tuple[int, float]] = {}
        for picture, similarity in zip(self.sources[best.indices].tolist(), best.values.tolist(), strict=True):
            count, highest = votes.get(picture, (0, -1.0))
            votes[picture] = (count + 1, max(highest, similarity))
        chosen = max(votes, key=lambda picture: (*votes[picture], -picture))
        return chosen, max(0.0, 1.0 - votes[chosen][1])

    def distances(self, patches: torch.Tensor) -> torch.Tensor:
        """Return 1 - cosine to the nearest row, (...) float32 in [0, 2], for unit patches (..., D) float32."""
        flat = patches.reshape(-1, patches.shape[-1])
        nearest = (flat @ self.rows.T).amax(dim=1)
        return (1.0 - nearest).clamp_min_(0.0).reshape(patches.shape[:-1])

    def differences(self, patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return `distances`, (...), and each patch less its nearest row, (..., D) float32."""
        flat = patches.reshape(-1, patches.shape[-1])
        nearest = (flat @ self.rows.T).max(dim=1)
        distances = (1.0 - nearest.values).clamp_min_(0.0).reshape(patches.shape[:-1])
        return distances, (flat - self.rows[nearest.indices]).reshape(patches.shape)


def choose_rows(patches: torch.Tensor, size: int, seed: int) -> torch.Tensor:
    """Return the sorted indices, (<= size,) int64, of the patches (M, D) that stand for all of them.

    Greedy k-centre selection (Sener & Savarese, ICLR 2018; as in PatchCore): each step takes the patch that is the
    farthest from all that were taken. It runs on a random subset and on a random projection (Johnson & Lindenstrauss,
    1984), so that it takes seconds, not minutes.
    """
    generator = torch.Generator().manual_seed(seed)
    count = patches.shape[0]
    if count <= size:
        return torch.arange(count)
    drawn = torch.randperm(count, generator=generator)[: size * _CANDIDATES_PER_MEMBER]
    width = min(_PROJECTED_SIZE, patches.shape[1])
    projection = torch.randn(patches.shape[1], width, generator=generator) / width**0.5
    points = patches[drawn] @ projection
    with _one_thread():
        return drawn[_k_centre(points, size)].sort().values


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
