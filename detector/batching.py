"""Frames to micro-batches. Pure: time is passed in.

A batch closes when it is full, when the oldest frame's slack is used up (the time to its deadline less what a batch of
that size takes at the 99th percentile), or when a frame has waited for `linger` at a free engine. Cameras take turns,
so that none fills a batch alone while others wait, and one that floods makes only its own frames expire.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Final, Generic, Protocol, TypeVar

PUBLISH_MARGIN_NS: Final = 30_000_000
"""What is left of a frame's time for its verdict to be published, decided on and signalled."""
_WINDOW: Final = 200
_GREEDY: Final = 1.5
_UNKNOWN_NS: Final = 50_000_000


class Queued(Protocol):
    """What the batcher needs to know of a frame: its camera, its size, and two monotonic instants."""

    @property
    def camera(self) -> str:
        """The camera, as a key for taking turns."""
        ...

    @property
    def size_bytes(self) -> int:
        """What the frame holds in memory while it waits."""
        ...

    @property
    def due_ns(self) -> int:
        """By when the verdict must be out."""
        ...

    @property
    def arrived_ns(self) -> int:
        """When the frame came."""
        ...


Q = TypeVar("Q", bound=Queued)


class CostModel:
    """What a batch of each size costs, learned from the last 200 batches of that size."""

    def __init__(self) -> None:
        self._seen: dict[int, deque[int]] = {}

    def observe(self, size: int, cost_ns: int) -> None:
        """Note what a batch of `size` frames took."""
        self._seen.setdefault(size, deque(maxlen=_WINDOW)).append(cost_ns)

    def p99_ns(self, size: int) -> int:
        """Return the nearest-rank 99th percentile of a batch of `size`."""
        return self._percentile_ns(size, 0.99)

    def median_ns(self, size: int) -> int:
        """Return the median of a batch of `size`: one long pause does not move it."""
        return self._percentile_ns(size, 0.5)

    def _percentile_ns(self, size: int, share: float) -> int:
        """Unknown sizes are scaled up from a smaller known one.

        Known ones cost no more than that either: a size that once was far too slow would never be tried again.
        """
        bounds = [
            self._seen_ns(known, share) * size // known if known < size else self._seen_ns(known, share)
            for known in self._seen
            if known <= size
        ]
        if bounds:
            return min(bounds)
        larger = min(self._seen, default=None)
        return _UNKNOWN_NS * size if larger is None else self._seen_ns(larger, share)

    def _seen_ns(self, size: int, share: float) -> int:
        costs = sorted(self._seen[size])
        return costs[math.ceil(len(costs) * share) - 1]


class Batcher(Generic[Q]):
    """The frames that wait for the engine, bounded by bytes."""

    def __init__(self, *, max_batch: int, max_bytes: int, linger_ns: int, cost: CostModel) -> None:
        self._max_batch = max_batch
        self._max_bytes = max_bytes
        self._linger_ns = linger_ns
        self._cost = cost
        self._lanes: dict[str, deque[Q]] = {}
        self._count = 0
        self._bytes = 0
        self._served: deque[str] = deque(maxlen=_WINDOW)

    def __len__(self) -> int:
        return self._count

    @property
    def held_bytes(self) -> int:
        """Return what the waiting frames hold."""
        return self._bytes

    @property
    def full(self) -> bool:
        """Return whether intake must pause: one more frame could go above the bound."""
        return self._bytes >= self._max_bytes

    def add(self, frame: Q) -> None:
        """Queue a frame."""
        self._lanes.setdefault(frame.camera, deque()).append(frame)
        self._count += 1
        self._bytes += frame.size_bytes

    def take_expired(self, now_ns: int) -> list[Q]:
        """Remove and return the frames whose verdict cannot be out in time any more, even alone.

        Where that would leave nothing, the last frame that is not due yet stays: without a batch now and then, a cost
        that was once learned too high would never be corrected.
        """
        frames = [frame for lane in self._lanes.values() for frame in lane]
        latest_ns = now_ns + self._cost.median_ns(1)
        expired = [frame for frame in frames if frame.due_ns < latest_ns]
        if expired and len(expired) == len(frames):
            probe = max(expired, key=lambda frame: frame.due_ns)
            if probe.due_ns > now_ns:
                expired.remove(probe)
        gone = {id(frame) for frame in expired}
        for camera, lane in self._lanes.items():
            self._lanes[camera] = deque(frame for frame in lane if id(frame) not in gone)
        self._forget(expired)
        return expired

    def closes_in_ns(self, now_ns: int) -> int | None:
        """Return how long a free engine still waits for more frames: 0 is now, None that there is no frame."""
        if not self._count:
            return None
        if self._count >= self._max_batch:
            return 0
        frames = [frame for lane in self._lanes.values() for frame in lane]
        slack_ns = min(frame.due_ns for frame in frames) - now_ns - self._cost.p99_ns(self._count)
        linger_ns = min(frame.arrived_ns for frame in frames) + self._linger_ns - now_ns
        return max(0, min(slack_ns, linger_ns))

    def take(self, now_ns: int) -> list[Q]:
        """Remove and return the next batch: one frame of each camera in turn, the most urgent camera first.

        It is no larger than what its most urgent frame has time for. Cameras that had more than 1.5 equal shares of
        late come after all others: the frames of one that floods are always old, and would always be the most urgent.
        """
        greedy = self._greedy()
        waiting = sorted(self._lanes.items(), key=lambda item: (item[0] in greedy, item[1][0].due_ns))
        batch: list[Q] = []
        while waiting and len(batch) < self._max_batch:
            camera, lane = waiting.pop(0)
            if batch and now_ns + self._cost.p99_ns(len(batch) + 1) > min(frame.due_ns for frame in (*batch, lane[0])):
                continue
            batch.append(lane.popleft())
            self._served.append(camera)
            if lane:
                waiting.append((camera, lane))
        self._forget(batch)
        return batch

    def _greedy(self) -> set[str]:
        shares = Counter(self._served)
        cameras = len(shares.keys() | self._lanes.keys())
        return {camera for camera, count in shares.items() if count * cameras > _GREEDY * len(self._served)}

    def _forget(self, frames: list[Q]) -> None:
        self._count -= len(frames)
        self._bytes -= sum(frame.size_bytes for frame in frames)
        for camera in [camera for camera, lane in self._lanes.items() if not lane]:
            del self._lanes[camera]
