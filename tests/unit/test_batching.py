from dataclasses import dataclass

import pytest

from detector.batching import Batcher, CostModel
from shared.clock import NS_PER_MS, NS_PER_S
from shared.domain import Effort


@dataclass(frozen=True, eq=False)
class Waiting:
    """A frame that waits: its camera, its deadline and its arrival in milliseconds."""

    camera: str
    due_ms: float
    arrived_ms: float = 0.0
    size_bytes: int = 100

    @property
    def due_ns(self) -> int:
        """By when the verdict must be out."""
        return round(self.due_ms * NS_PER_MS)

    @property
    def arrived_ns(self) -> int:
        """When the frame came."""
        return round(self.arrived_ms * NS_PER_MS)


def costs(**known_ms: float) -> CostModel:
    """Return a cost model that has seen one batch of each given size: `b4=10` is 10 ms for four."""
    model = CostModel()
    for size, cost_ms in known_ms.items():
        model.observe(int(size[1:]), round(cost_ms * NS_PER_MS))
    return model


def batcher(cost: CostModel | None = None, *, max_batch: int = 4, linger_ms: float = 0) -> Batcher[Waiting]:
    """Return an empty batcher."""
    return Batcher(max_batch=max_batch, linger_ns=round(linger_ms * NS_PER_MS), cost=cost or costs(b1=10))


def test_an_unknown_size_costs_in_proportion() -> None:
    """Before a size was seen it is scaled from a smaller one; before any was seen it is 50 ms a frame."""
    assert CostModel().p99_ns(3) == 150 * NS_PER_MS
    assert costs(b2=10).p99_ns(6) == 30 * NS_PER_MS
    assert costs(b4=10).p99_ns(1) == 10 * NS_PER_MS


def test_the_99th_percentile_is_the_nearest_rank() -> None:
    """Of 200 costs the third highest binds; the median does not move for one pause."""
    model = CostModel()
    for cost_ns in (*([10] * 197), 300, 400, 500):
        model.observe(1, cost_ns)
    assert model.p99_ns(1) == 300
    assert model.median_ns(1) == 10


def test_a_size_that_was_once_slow_costs_no_more_than_its_frames_alone() -> None:
    """One long pause in a batch of four would otherwise keep batches of four from ever being tried again."""
    model = costs(b4=60_000)
    for _ in range(200):
        model.observe(1, 10 * NS_PER_MS)
    assert model.p99_ns(4) == 40 * NS_PER_MS


def test_a_free_engine_takes_what_is_there() -> None:
    """Without linger the first frame goes at once."""
    queue = batcher()
    assert queue.closes_in_ns(0) is None
    queue.add(Waiting("a", 1_000))
    assert queue.closes_in_ns(0) == 0


def test_a_lingering_batch_closes_when_it_is_full() -> None:
    """There is nothing more to wait for."""
    queue = batcher(linger_ms=500)
    for _ in range(3):
        queue.add(Waiting("a", 1_000))
    assert queue.closes_in_ns(0) == 500 * NS_PER_MS
    queue.add(Waiting("a", 1_000))
    assert queue.closes_in_ns(0) == 0


def test_a_lingering_batch_closes_when_the_most_urgent_frame_must_go() -> None:
    """The slack is the time to the deadline less what this batch takes."""
    queue = batcher(costs(b1=10), linger_ms=500)
    queue.add(Waiting("a", 1_000))
    queue.add(Waiting("b", 100))
    assert queue.closes_in_ns(0) == (100 - 20) * NS_PER_MS
    assert queue.closes_in_ns(90 * NS_PER_MS) == 0


def test_cameras_take_turns() -> None:
    """A camera with many frames does not fill a batch while another one waits; the most urgent camera begins."""
    queue = batcher(max_batch=4)
    for number in range(10):
        queue.add(Waiting("flood", 1_000 + number))
    queue.add(Waiting("b", 2_000))
    queue.add(Waiting("c", 900))
    assert [frame.camera for frame in queue.take(0)] == ["c", "flood", "b", "flood"]
    assert len(queue) == 8


def test_a_batch_is_no_larger_than_its_most_urgent_frame_has_time_for() -> None:
    """A frame with 25 ms left goes with one neighbour at 10 ms a frame, not with three."""
    queue = batcher(costs(b1=10), max_batch=4)
    queue.add(Waiting("a", 25))
    for _ in range(3):
        queue.add(Waiting("b", 1_000))
    assert len(queue.take(0)) == 2


def test_frames_without_time_come_out_at_once() -> None:
    """A frame whose deadline is nearer than one inference is expired; the others stay."""
    queue = batcher(costs(b1=10))
    late, good = Waiting("a", 9), Waiting("a", 11)
    queue.add(late)
    queue.add(good)
    assert queue.take_expired(0) == [late]
    assert queue.take(0) == [good]


def test_a_cost_that_was_once_far_too_high_is_corrected() -> None:
    """With every frame beyond hope by the learned cost, the last one is tried: the model learns that it is fast."""
    cost = costs(b1=10_000)
    queue = batcher(cost)
    queue.add(Waiting("a", 500))
    queue.add(Waiting("a", 600))
    assert [frame.due_ms for frame in queue.take_expired(0)] == [500]
    assert [frame.due_ms for frame in queue.take(0)] == [600]
    cost.observe(1, 10 * NS_PER_MS)
    queue.add(Waiting("a", 700))
    assert queue.take_expired(0) == []


def test_a_frame_past_its_deadline_is_no_probe() -> None:
    """Nothing is gained by inspecting what nobody waits for."""
    queue = batcher(costs(b1=10_000))
    queue.add(Waiting("a", 5))
    assert len(queue.take_expired(6 * NS_PER_MS)) == 1
    assert len(queue) == 0


def test_the_queue_knows_what_it_holds() -> None:
    """By that intake pauses, and goes on once a batch was taken."""
    queue = batcher()
    held = []
    for _ in range(4):
        queue.add(Waiting("a", 1_000))
        held.append(queue.held_bytes)
    queue.take(0)
    assert [*held, queue.held_bytes] == [100, 200, 300, 400, 0]
    assert len(queue) == 0


@pytest.mark.parametrize("max_batch", [1, 4])
def test_an_empty_queue_gives_an_empty_batch(max_batch: int) -> None:
    """Nothing waits, nothing closes, nothing is taken."""
    queue = batcher(max_batch=max_batch)
    assert queue.take(0) == []
    assert queue.take_expired(0) == []
    assert queue.closes_in_ns(0) is None


@pytest.mark.parametrize("good", [1, 2, 5])
@pytest.mark.parametrize("phase_ms", [0, 7, 19])
def test_a_camera_that_floods_makes_only_its_own_frames_expire(phase_ms: int, good: int) -> None:
    """Up to five cameras of 4 fps and one of 60 at an engine of 20 ms a frame: too much, and they feel little of it."""
    cost_ms, deadline_ms, end_ms = 20, 770, 20_000
    coming = [
        Waiting(f"good-{camera}", at_ms + deadline_ms, at_ms)
        for camera in range(good)
        for at_ms in range(camera * 50 + phase_ms, end_ms, 250)
    ]
    coming += [Waiting("flood", at_ms + deadline_ms, at_ms) for at_ms in range(0, end_ms, 16)]
    coming.sort(key=lambda frame: frame.arrived_ms)
    queue, now_ms = batcher(costs(b1=cost_ms), max_batch=8), 0.0
    waits_ms: list[float] = []
    expired: list[str] = []
    while coming or len(queue):
        while coming and coming[0].arrived_ms <= now_ms:
            queue.add(coming.pop(0))
        expired += [frame.camera for frame in queue.take_expired(round(now_ms * NS_PER_MS))]
        batch = queue.take(round(now_ms * NS_PER_MS))
        now_ms += cost_ms * len(batch) if batch else 1
        waits_ms += [now_ms - frame.arrived_ms for frame in batch if frame.camera != "flood"]
    assert set(expired) == {"flood"}
    assert len(waits_ms) == good * 80
    assert sorted(waits_ms)[round(len(waits_ms) * 0.99)] < 400


def graded(*, full_ms: float, unrefined_ms: float, coarse_ms: float) -> CostModel:
    """Return a cost model that has seen three frames at each effort, one by one."""
    model = CostModel(tuple(Effort))
    for effort, cost_ms in zip(Effort, (full_ms, unrefined_ms, coarse_ms), strict=True):
        for _ in range(3):
            model.observe(1, round(cost_ms * NS_PER_MS), effort)
    return model


@pytest.mark.parametrize(
    ("waiting", "wanted"), [(1, Effort.FULL), (7, Effort.FULL), (8, Effort.UNREFINED), (16, Effort.COARSE)]
)
def test_no_more_is_left_out_than_what_waits_needs(waiting: int, wanted: Effort) -> None:
    """Frames with 100 ms at 10, 5 and 1 ms each: with a third to spare 7 are in time at full effort, 15 unrefined."""
    queue = batcher(graded(full_ms=10, unrefined_ms=5, coarse_ms=1), max_batch=1)
    for _ in range(waiting):
        queue.add(Waiting("a", 100))
    assert queue.effort(0) is wanted


def test_what_is_too_late_for_the_least_effort_expires() -> None:
    """The coarse look is tried before a frame is given up."""
    queue = batcher(graded(full_ms=50, unrefined_ms=30, coarse_ms=10))
    hopeless, possible = Waiting("a", 9), Waiting("a", 20)
    queue.add(hopeless)
    queue.add(possible)
    assert queue.take_expired(0) == [hopeless]
    assert queue.effort(0) is Effort.COARSE
    assert queue.take(0, Effort.COARSE) == [possible]


def test_less_effort_is_not_thought_to_cost_more() -> None:
    """What was never tried costs at most what the next fuller look does."""
    model = CostModel(tuple(Effort))
    model.observe(1, 10 * NS_PER_MS)
    assert model.median_ns(1, Effort.COARSE) == 10 * NS_PER_MS
    model.observe(1, 4 * NS_PER_MS, Effort.UNREFINED)
    model.observe(1, 6 * NS_PER_MS, Effort.COARSE)
    assert model.p99_ns(2, Effort.COARSE) == 8 * NS_PER_MS
    assert model.p99_ns(2) == 20 * NS_PER_MS


@pytest.mark.parametrize("together", [1, 3])
@pytest.mark.parametrize("slow_until_s", [30, 300])
def test_a_look_that_was_too_slow_for_a_while_comes_back(together: int, slow_until_s: int) -> None:
    """Cameras on one trigger, and an engine eight times as slow for a while: ten minutes later all is as before."""
    took_ms = {Effort.FULL: 30, Effort.UNREFINED: 15, Effort.COARSE: 5}
    cost = CostModel(tuple(Effort))
    queue = batcher(cost, max_batch=8)
    now_ms, looks = 0.0, []
    for exposed_ms in range(0, (slow_until_s + 600) * 1_000, 200):
        now_ms = max(now_ms, exposed_ms)
        for camera in range(together):
            queue.add(Waiting(f"camera-{camera}", exposed_ms + 180, exposed_ms))
        queue.take_expired(round(now_ms * NS_PER_MS))
        while len(queue):
            effort = queue.effort(round(now_ms * NS_PER_MS))
            batch = queue.take(round(now_ms * NS_PER_MS), effort)
            slower = 8 if 10_000 < now_ms < slow_until_s * 1_000 else 1
            cost.observe(len(batch), took_ms[effort] * len(batch) * slower * NS_PER_MS, effort)
            now_ms += took_ms[effort] * len(batch) * slower
            looks.append(effort)
            queue.take_expired(round(now_ms * NS_PER_MS))
    assert set(looks[:50]) == {Effort.FULL}
    assert Effort.COARSE in looks
    assert set(looks[-50:]) == {Effort.FULL}


def test_a_retry_costs_one_frame_and_comes_ever_later() -> None:
    """A full look that stays too slow is tried after one minute, then two, then four more."""
    cost = graded(full_ms=500, unrefined_ms=500, coarse_ms=1)
    queue = batcher(cost)
    tried_s = []
    for now_s in range(600):
        for _ in range(2):
            queue.add(Waiting("a", now_s * 1_000 + 100, now_s * 1_000))
        effort = queue.effort(now_s * NS_PER_S)
        batch = queue.take(now_s * NS_PER_S, effort)
        assert len(batch) == (2 if effort is Effort.COARSE else 1)
        if effort is not Effort.COARSE:
            tried_s.append((now_s, effort))
            cost.observe(1, 500 * NS_PER_MS, effort)
            queue.take(now_s * NS_PER_S, Effort.COARSE)
    assert tried_s == [(at_s, Effort.UNREFINED) for at_s in (60, 180, 420)]


def test_a_flood_takes_no_effort_from_other_cameras() -> None:
    """A camera that asks for more than the engine has time for is seen with less; the others go whole, without it."""
    took_ms = {Effort.FULL: 20, Effort.UNREFINED: 10, Effort.COARSE: 4}
    cost = graded(full_ms=20, unrefined_ms=10, coarse_ms=4)
    queue, now_ms = batcher(cost, max_batch=8), 0.0
    coming = [Waiting("flood", at_ms + 500, at_ms) for at_ms in range(0, 20_000, 6)]
    coming += [
        Waiting(f"good-{camera}", at_ms + 500, at_ms) for camera in range(3) for at_ms in range(7 * camera, 20_000, 200)
    ]
    coming.sort(key=lambda frame: frame.arrived_ms)
    looks: dict[bool, list[Effort]] = {True: [], False: []}
    while coming or len(queue):
        while coming and coming[0].arrived_ms <= now_ms:
            queue.add(coming.pop(0))
        assert {frame.camera for frame in queue.take_expired(round(now_ms * NS_PER_MS))} <= {"flood"}
        effort = queue.effort(round(now_ms * NS_PER_MS))
        batch = queue.take(round(now_ms * NS_PER_MS), effort)
        now_ms += took_ms[effort] * len(batch) if batch else 1
        for frame in batch:
            looks[frame.camera == "flood"].append(effort)
    assert looks[False].count(Effort.FULL) > 0.95 * len(looks[False])
    assert looks[True].count(Effort.FULL) < 0.5 * len(looks[True])


def test_a_model_that_knows_one_way_to_look_is_never_asked_for_another() -> None:
    """However much waits."""
    queue = batcher(costs(b1=10))
    for _ in range(100):
        queue.add(Waiting("a", 100))
    assert queue.effort(0) is Effort.FULL
