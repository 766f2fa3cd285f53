"""What holds for any frames of any cameras: nothing is lost, nothing is late by our own doing, nobody starves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from detector.batching import Batcher, CostModel
from shared.clock import NS_PER_MS
from shared.domain import Effort

COST_MS = 10
LINGER_MS = 30


@dataclass(frozen=True, eq=False)
class Waiting:
    """A frame that waits; times are nanoseconds."""

    camera: str
    due_ns: int
    arrived_ns: int
    size_bytes: int


def steady_cost() -> CostModel:
    """Return a cost model that has learned 10 ms a frame."""
    cost = CostModel()
    cost.observe(1, COST_MS * NS_PER_MS)
    return cost


cameras = st.sampled_from(["a", "b", "c"])
arrivals = st.lists(
    st.tuples(cameras, st.integers(0, 60), st.integers(1, 2_000), st.integers(1, 1_000)), min_size=1, max_size=60
)


@given(arrivals, st.integers(1, 8))
def test_every_frame_leaves_once_and_in_time(arriving: list[tuple[str, int, int, int]], max_batch: int) -> None:
    """An engine that keeps to its cost: each frame comes out in one batch or as expired.

    No frame that is inspected waits at a free engine past its slack or the linger, and none that was taken before its
    slack ran out is ready too late.
    """
    cost = steady_cost()
    queue: Batcher[Waiting] = Batcher(max_batch=max_batch, linger_ns=LINGER_MS * NS_PER_MS, cost=cost)
    frames, at_ms = [], 0
    latest_ms = dict.fromkeys("abc", 0)
    for camera, gap_ms, time_ms, size in arriving:
        at_ms += gap_ms
        # A camera's exposures come in order, and so do their deadlines.
        latest_ms[camera] = max(latest_ms[camera], at_ms + time_ms)
        frames.append(Waiting(camera, latest_ms[camera] * NS_PER_MS, at_ms * NS_PER_MS, size))
    pending, seen = list(frames), Counter[int]()
    now_ns = free_at_ns = 0
    while pending or len(queue):
        while pending and pending[0].arrived_ns <= now_ns:
            queue.add(pending.pop(0))
        for frame in queue.take_expired(now_ns):
            assert frame.due_ns < now_ns + COST_MS * NS_PER_MS
            seen[id(frame)] += 1
        wait_ns = queue.closes_in_ns(now_ns)
        if wait_ns == 0:
            batch = queue.take(now_ns)
            assert 1 <= len(batch) <= max_batch
            done_ns = now_ns + len(batch) * COST_MS * NS_PER_MS
            for frame in batch:
                seen[id(frame)] += 1
                if frame.due_ns >= now_ns + COST_MS * NS_PER_MS:
                    assert done_ns <= frame.due_ns
                # The engine was free or became free: the frame did not linger longer than it may.
                assert now_ns <= max(free_at_ns, frame.arrived_ns + LINGER_MS * NS_PER_MS)
            now_ns = free_at_ns = done_ns
        else:
            events = [pending[0].arrived_ns] if pending else []
            now_ns = min([*events, *([] if wait_ns is None else [now_ns + wait_ns])], default=now_ns)
    assert len(queue) == 0
    assert queue._bytes == 0
    assert seen == Counter({id(frame): 1 for frame in frames})


@given(st.lists(cameras, max_size=60), st.integers(1, 8))
def test_no_camera_gets_two_places_while_another_has_none(queued: list[str], max_batch: int) -> None:
    """Within a batch the cameras differ by at most one frame, unless the others have no more."""
    queue: Batcher[Waiting] = Batcher(max_batch=max_batch, linger_ns=0, cost=steady_cost())
    for number, camera in enumerate(queued):
        queue.add(Waiting(camera, 10**15 + number, 0, 1))
    left = Counter(queued)
    while len(queue):
        batch = Counter(frame.camera for frame in queue.take(0))
        left -= batch
        for camera in left:
            assert batch[camera] >= max(batch.values()) - 1


@given(st.lists(st.tuples(st.integers(1, 16), st.integers(0, 10**9)), max_size=60), st.integers(1, 16))
def test_a_cost_is_never_above_that_of_its_frames_alone(seen: list[tuple[int, int]], size: int) -> None:
    """Whatever was seen, a batch is not thought dearer than its frames in smaller batches."""
    cost = CostModel()
    for batch, took_ns in seen:
        cost.observe(batch, took_ns)
    assert cost.median_ns(size) <= cost.p99_ns(size)
    for smaller in {batch for batch, _ in seen if batch <= size}:
        highest = max(took_ns for batch, took_ns in seen if batch == smaller)
        assert cost.p99_ns(size) * smaller <= highest * size


@given(
    st.lists(st.tuples(cameras, st.integers(1, 2_000)), min_size=1, max_size=60),
    st.tuples(*[st.integers(1, 100)] * 3),
    st.integers(1, 8),
)
def test_a_step_is_left_out_only_where_something_would_be_late(
    waiting: list[tuple[str, int]], costs_ms: tuple[int, int, int], max_batch: int
) -> None:
    """Every fuller effort than the chosen one would, a third slower than learned, make some frame late."""
    falling_ms = sorted(costs_ms, reverse=True)
    cost = CostModel(tuple(Effort))
    for effort, cost_ms in zip(Effort, falling_ms, strict=True):
        cost.observe(1, cost_ms * NS_PER_MS, effort)
    queue: Batcher[Waiting] = Batcher(max_batch=max_batch, linger_ns=0, cost=cost)
    for camera, due_ms in waiting:
        queue.add(Waiting(camera, due_ms * NS_PER_MS, 0, 1))
    chosen = queue.effort(0)
    times_ms = sorted(due_ms for _, due_ms in waiting)
    groups = [times_ms[start : start + max_batch] for start in range(0, len(times_ms), max_batch)]
    for effort, cost_ms in zip(Effort, falling_ms, strict=True):
        ready_ms, in_time = 0, True
        for group in groups:
            ready_ms += len(group) * cost_ms
            in_time = in_time and 4 * ready_ms <= 3 * group[0]
        if effort is chosen:
            assert in_time or effort is Effort.COARSE
            break
        assert not in_time


def test_a_load_between_two_efforts_is_served_whole() -> None:
    """Cameras that ask for twice what the full look has time for: nothing is late, and what can be fully seen is."""
    cost = CostModel(tuple(Effort))
    took_ms = {Effort.FULL: 20, Effort.UNREFINED: 6, Effort.COARSE: 2}
    for effort, cost_ms in took_ms.items():
        cost.observe(1, cost_ms * NS_PER_MS, effort)
    queue: Batcher[Waiting] = Batcher(max_batch=8, linger_ns=0, cost=cost)
    coming = [Waiting("abcd"[at // 10 % 4], (at + 500) * NS_PER_MS, at * NS_PER_MS, 1) for at in range(0, 20_000, 10)]
    looks, now_ms, late = Counter[Effort](), 0, 0
    while coming or len(queue):
        while coming and coming[0].arrived_ns <= now_ms * NS_PER_MS:
            queue.add(coming.pop(0))
        assert not queue.take_expired(now_ms * NS_PER_MS)
        effort = queue.effort(now_ms * NS_PER_MS)
        batch = queue.take(now_ms * NS_PER_MS, effort)
        looks[effort] += len(batch)
        now_ms += took_ms[effort] * len(batch) if batch else 1
        late += sum(frame.due_ns < now_ms * NS_PER_MS for frame in batch)
    assert late == 0
    assert looks.total() == len("abcd") * 500
    assert min(looks[Effort.FULL], looks[Effort.UNREFINED] + looks[Effort.COARSE]) > 200
