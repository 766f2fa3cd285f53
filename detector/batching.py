"""Frames to micro-batches. Pure: time is passed in.

A batch closes when it is full, when the oldest frame's slack is used up (the time to its deadline less what a batch of
that size takes at the 99th percentile), or when a frame has waited for `linger` at a free engine. Cameras take turns,
so that none fills a batch alone while others wait, and one that floods makes only its own frames expire.

Where the frames that wait could not all be inspected in time, less of the model looks at the next batch: see
`Batcher.effort`. Only what is too late even for the least of it expires.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, Generic, Protocol, TypeVar

from shared.clock import NS_PER_S
from shared.domain import Effort

PUBLISH_MARGIN_NS: Final = 30_000_000
"""What is left of a frame's time for its verdict to be published, decided on and signalled."""
_WINDOW: Final = 200
_GREEDY: Final = 1.5
_UNKNOWN_NS: Final = 50_000_000
_SPARE: Final = 4 / 3
"""A queue counts as served in time if it were so at costs a third higher: more frames come meanwhile."""
_FIRST_RETRY_NS: Final = 60 * NS_PER_S
_LAST_RETRY_NS: Final = 3_600 * NS_PER_S


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
    """What a batch of each size costs at each effort, learned from the last 200 such batches.

    `efforts` are those that the model has, the whole first.
    """

    def __init__(self, efforts: Sequence[Effort] = (Effort.FULL,)) -> None:
        self.efforts = tuple(efforts)
        self._seen: dict[Effort, dict[int, deque[int]]] = {effort: {} for effort in efforts}
        self._told: dict[tuple[int, float, Effort], int] = {}

    def observe(self, size: int, cost_ns: int, effort: Effort = Effort.FULL) -> None:
        """Note what a batch of `size` frames took."""
        self._seen[effort].setdefault(size, deque(maxlen=_WINDOW)).append(cost_ns)
        self._told.clear()

    def knows(self, effort: Effort) -> bool:
        """Return whether anything was learned of an effort."""
        return bool(self._seen[effort])

    def forget(self, effort: Effort) -> None:
        """Let what was learned of an effort go, so that the next batch with it tells anew."""
        self._seen[effort].clear()
        self._told.clear()

    def p99_ns(self, size: int, effort: Effort = Effort.FULL) -> int:
        """Return the nearest-rank 99th percentile of a batch of `size`."""
        return self._percentile_ns(size, 0.99, effort)

    def median_ns(self, size: int, effort: Effort = Effort.FULL) -> int:
        """Return the median of a batch of `size`: one long pause does not move it."""
        return self._percentile_ns(size, 0.5, effort)

    def _percentile_ns(self, size: int, share: float, effort: Effort) -> int:
        asked = (size, share, effort)
        if asked not in self._told:
            self._told[asked] = self._computed_ns(size, share, effort)
        return self._told[asked]

    def _computed_ns(self, size: int, share: float, effort: Effort) -> int:
        """Unknown sizes are scaled up from a smaller known one, and less effort costs no more than more of it.

        Known ones cost no more than that either: a size that once was far too slow would never be tried again.
        """
        seen = [
            (known, _percentile_ns(costs, share))
            for fuller in self.efforts[: self.efforts.index(effort) + 1]
            for known, costs in self._seen[fuller].items()
        ]
        bounds = [cost_ns * size // known if known < size else cost_ns for known, cost_ns in seen if known <= size]
        if bounds:
            return min(bounds)
        return min(seen)[1] if seen else _UNKNOWN_NS * size


def _percentile_ns(costs: Collection[int], share: float) -> int:
    return sorted(costs)[math.ceil(len(costs) * share) - 1]


class Batcher(Generic[Q]):
    """The frames that wait for the engine. Whoever adds them bounds what they hold: see `held_bytes`."""

    def __init__(self, *, max_batch: int, linger_ns: int, cost: CostModel) -> None:
        self._max_batch = max_batch
        self._linger_ns = linger_ns
        self._cost = cost
        self._lanes: dict[str, deque[Q]] = {}
        self._count = 0
        self._bytes = 0
        self._served: deque[str] = deque(maxlen=_WINDOW)
        self._aside: AbstractSet[str] = frozenset()
        self._lone = False
        self._retry_ns: int | None = None
        self._pause_ns = _FIRST_RETRY_NS

    def __len__(self) -> int:
        return self._count

    @property
    def held_bytes(self) -> int:
        """Return what the waiting frames hold."""
        return self._bytes

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
        latest_ns = now_ns + self._cost.median_ns(1, self._cost.efforts[-1])
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

    def effort(self, now_ns: int) -> Effort:
        """Return how much of the model the next batch has time for: the most with which all that waits is in time.

        Cameras with more than their share are left aside for a batch where the others have time for more without them.

        A fuller look may only have been learned too slow, and is learned by nothing but a batch. So it is tried again
        with one frame a minute later, then after two, up to an hour, and what was learned of it before is forgotten.
        """
        efforts = self._cost.efforts
        if len(efforts) == 1:
            return efforts[0]
        greedy = self._greedy()
        index = self._fullest(now_ns, self._lanes.keys())
        if index and (others := self._lanes.keys() - greedy) and len(others) < len(self._lanes):
            without = self._fullest(now_ns, others)
            self._aside = greedy if without < index else frozenset()
            index = without
        if index == 0:
            self._retry_ns, self._pause_ns = None, _FIRST_RETRY_NS
        elif self._count <= self._max_batch and self._may_retry(now_ns):
            self._cost.forget(efforts[index - 1])
            self._lone = True
            return efforts[index - 1]
        return efforts[index]

    def _may_retry(self, now_ns: int) -> bool:
        if self._retry_ns is None:
            self._retry_ns = now_ns + self._pause_ns
        if now_ns < self._retry_ns:
            return False
        self._pause_ns = min(2 * self._pause_ns, _LAST_RETRY_NS)
        self._retry_ns = now_ns + self._pause_ns
        return True

    def _fullest(self, now_ns: int, cameras: Collection[str]) -> int:
        """Return the first of the efforts with which all that waits of some cameras is in time; the last if none is.

        One of which nothing is known is taken to be: only so is it learned.
        """
        efforts = self._cost.efforts
        due = sorted(frame.due_ns for camera in cameras for frame in self._lanes[camera])
        fitting = (
            index
            for index, effort in enumerate(efforts[:-1])
            if not self._cost.knows(effort) or self._in_time(now_ns, due, effort)
        )
        return next(fitting, len(efforts) - 1)

    def _in_time(self, now_ns: int, due: Sequence[int], effort: Effort) -> bool:
        """Return whether frames of these deadlines would be, in full batches with the most urgent first."""
        ready_ns = 0
        for start in range(0, len(due), self._max_batch):
            ready_ns += self._cost.median_ns(min(self._max_batch, len(due) - start), effort)
            if now_ns + round(_SPARE * ready_ns) > due[start]:
                return False
        return True

    def take(self, now_ns: int, effort: Effort = Effort.FULL) -> list[Q]:
        """Remove and return the next batch: one frame of each camera in turn, the most urgent camera first.

        It is no larger than what its most urgent frame has time for. Cameras that had more than 1.5 equal shares of
        late come after all others: the frames of one that floods are always old, and would always be the most urgent.
        """
        greedy = self._greedy()
        lanes = [item for item in self._lanes.items() if item[0] not in self._aside]
        waiting = sorted(lanes, key=lambda item: (item[0] in greedy, item[1][0].due_ns))
        most = 1 if self._lone else self._max_batch
        self._aside, self._lone = frozenset(), False
        batch: list[Q] = []
        while waiting and len(batch) < most:
            camera, lane = waiting.pop(0)
            ready_ns = now_ns + self._cost.p99_ns(len(batch) + 1, effort)
            if batch and ready_ns > min(frame.due_ns for frame in (*batch, lane[0])):
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
