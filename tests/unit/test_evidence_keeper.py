"""A detector keeps evidence of decided parts, beside its verdicts and never in their way."""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import partial

import pytest
from prometheus_client import REGISTRY

from detector.evidence import keeper
from detector.evidence.shelf import Held
from detector.model.base import Inspection
from shared.clock import ManualClock
from shared.domain import CameraFinding, Capture, Decision, NotInspected, Outcome, Picture, Verdict, VerdictStatus
from shared.evidence import CameraEvidence, PartEvidence, Thresholds, Why
from shared.policy import LinePolicy
from shared.policy_keeper import PolicyKeeper
from shared.settings import from_dict
from shared.wire import encode
from tests.at_once import AtOnce
from tests.detector_bench import Bench, HeldModel, SteadyModel, bench
from tests.lines import CAMERA, LINE, decided, eventually, inspected
from tests.stores import embedded_store


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "ThreadPoolExecutor", AtOnce)


class ModelWithoutMap(SteadyModel):
    """Gives a map that nothing can be made of."""

    def answer(self, picture: Picture) -> Inspection:
        """Answer with a map of no pixels."""
        found = super().answer(picture)
        return replace(found, anomaly_map=replace(found.anomaly_map, values=found.anomaly_map.values[:0]))


def decision(capture: Capture, outcome: Outcome, *, score: float = 0.5, version: int = 0) -> Decision:
    """Decide a part."""
    found = CameraFinding(capture.id.camera, VerdictStatus.INSPECTED, None, 0.4, score, "steady", "steady-1")
    made = decided(capture.part_id, outcome, at_ns=capture.captured_at_ns)
    return replace(made, findings=(found,), policy_version=version)


def _changed(policy: LinePolicy, _old: LinePolicy) -> LinePolicy:
    return policy


async def settle(line: Bench, *decisions: Decision) -> None:
    """Settle parts, as alerting would, and give the detector the time to see it."""
    for one in decisions:
        await line.store.settle(one, latency_ms=None)
    await asked(line)


async def asked(line: Bench) -> None:
    """Let the detector ask, and make what is to be made."""
    for _ in range(40):
        await line.clock.advance(0.05)


async def kept(line: Bench, capture: Capture) -> PartEvidence | None:
    """Return what is kept of a part."""
    return await line.store.evidence(LINE, capture.part_id)


def missed(reason: str) -> float:
    """Return how many parts were missed, for a reason, in this process."""
    return REGISTRY.get_sample_value("linewarden_evidence_missed_total", {"reason": reason}) or 0.0


async def test_what_was_rejected_or_defaulted_is_kept_and_what_passed_is_not() -> None:
    """With the frame's own JPEG, the map, and the thresholds of the line."""
    async with bench(keeps=True, evidence={"sample_every": 0}) as line:
        captures = [await line.send() for _ in range(3)]
        await line.answers(3)
        outcomes = (Outcome.REJECT, Outcome.DEFAULT_REJECT, Outcome.PASS)
        await settle(line, *(decision(one, outcome) for one, outcome in zip(captures, outcomes, strict=True)))
        rejected, defaulted, passed = [await kept(line, capture) for capture in captures]
        assert passed is None
        assert rejected is not None
        assert defaulted is not None
        assert (rejected.why, defaulted.why) == (Why.REJECTED, Why.DEFAULTED)
        assert rejected.decision == decision(captures[0], Outcome.REJECT)
        (seen,) = rejected.cameras.values()
        assert seen.picture == line.frame(captures[0])[1]
        assert seen.heat_map.startswith(b"\x89PNG")
        assert seen.verdict.capture == captures[0]
        assert seen.thresholds == Thresholds(3.0, None, None, 0.3)
        await line.stop()


async def test_nothing_is_kept_of_a_part_that_is_not_settled() -> None:
    """A decision that was only claimed may become another one at the gate."""
    async with bench(keeps=True) as line:
        capture = await line.send()
        await line.answers(1)
        await line.store.claim(decision(capture, Outcome.REJECT))
        await asked(line)
        assert await kept(line, capture) is None
        await settle(line, decision(capture, Outcome.REJECT))
        assert await kept(line, capture) is not None


async def test_a_frame_that_comes_after_its_part_was_decided_is_kept_too() -> None:
    """A late verdict is what a default is mostly about."""
    async with bench(keeps=True) as line:
        late = line.capture()
        await settle(line, decision(late, Outcome.DEFAULT_REJECT))
        await line.put(encode(*line.frame(late)), late)
        await line.answers(1)
        await asked(line)
        found = await kept(line, late)
        assert found is not None
        assert found.why is Why.DEFAULTED


async def test_samples_are_kept_of_what_passed() -> None:
    """All of them, where it says one in one."""
    async with bench(keeps=True, evidence={"sample_every": 1}) as line:
        capture = await line.send()
        await line.answers(1)
        await settle(line, decision(capture, Outcome.PASS))
        found = await kept(line, capture)
        assert found is not None
        assert found.why is Why.SAMPLED


async def test_the_band_and_the_thresholds_are_those_of_the_decisions_own_policy() -> None:
    """Two versions: by the first the part was borderline, whatever the second says by now."""
    async with bench(keeps=True, evidence={"sample_every": 0}) as line:
        policies = PolicyKeeper(line.store, line.topics, LINE)
        for policy in (LinePolicy(reject_at=4.0, borderline_from=0.4), LinePolicy(reject_at=5.0)):
            await policies.change(partial(_changed, policy), first=LinePolicy(), by="anna", at_ns=1, why="x")
        captures = [await line.send() for _ in range(2)]
        await line.answers(2)
        await settle(line, *(decision(one, Outcome.PASS, version=1 + at) for at, one in enumerate(captures)))
        found = await kept(line, captures[0])
        assert found is not None
        assert found.why is Why.BORDERLINE
        assert found.cameras[CAMERA].thresholds == Thresholds(4.0, 0.4, None, 0.4)
        assert await kept(line, captures[1]) is None


async def test_a_decision_of_long_ago_under_the_same_name_is_not_taken() -> None:
    """Numbers begin anew: the part waits for its own."""
    async with bench(keeps=True) as line:
        capture = await line.send()
        old = replace(decision(capture, Outcome.REJECT), captured_at_ns=capture.captured_at_ns - 10**13)
        await line.answers(1)
        await settle(line, old)
        assert await kept(line, capture) is None
        line.store.data.line(LINE).parts.pop(capture.part_id)
        await settle(line, decision(capture, Outcome.REJECT))
        found = await kept(line, capture)
        assert found is not None
        assert found.decision.captured_at_ns == capture.captured_at_ns


async def test_of_a_policy_that_the_store_has_lost_the_decisions_threshold_is_known() -> None:
    """And nothing is made up of the rest."""
    async with bench(keeps=True) as line:
        capture = await line.send()
        await line.answers(1)
        await settle(line, replace(decision(capture, Outcome.REJECT, version=7), reject_at=2.5))
        found = await kept(line, capture)
        assert found is not None
        assert found.cameras[CAMERA].thresholds == Thresholds(2.5, None, None, 0.25)


async def test_a_picture_that_could_not_be_decoded_is_kept_as_a_note() -> None:
    """What there is: the verdict, and why there is no picture."""
    async with bench(keeps=True) as line:
        cut = line.capture()
        message, payload = line.frame(cut)
        await line.put(encode(message, payload[:-10]), cut)
        await line.answers(1)
        await settle(line, decision(cut, Outcome.DEFAULT_REJECT))
        found = await kept(line, cut)
        assert found is not None
        seen = found.cameras[CAMERA]
        assert (seen.picture, seen.heat_map) == (b"", b"")
        assert any("Premature end" in note for note in seen.notes)


async def test_a_store_that_is_away_delays_evidence_and_no_verdict() -> None:
    """It is kept once the store is back."""
    async with bench(keeps=True) as line:
        capture = await line.send()
        await line.store.settle(decision(capture, Outcome.REJECT), latency_ms=None)
        line.store.away = True
        assert await line.answers(1)
        await asked(line)
        line.store.away = False
        await asked(line)
        assert await kept(line, capture) is not None


async def test_what_cannot_be_put_is_put_later() -> None:
    """Every camera of the part, each once the store takes it."""
    async with bench(keeps=True) as line:
        capture = await line.send()
        await line.answers(1)
        line.store.fails_once.add("put_evidence")
        await settle(line, decision(capture, Outcome.REJECT))
        assert line.store.refused == 1
        assert await kept(line, capture) is not None


async def test_a_map_that_nothing_can_be_made_of_costs_its_own_evidence_alone() -> None:
    """It is counted; the detector and the evidence of others go on."""
    before = missed("failed")
    async with bench(ModelWithoutMap(), keeps=True) as line:
        first = await line.send()
        await line.answers(1)
        await settle(line, decision(first, Outcome.REJECT))
        assert await kept(line, first) is None
        assert missed("failed") == before + 1
        assert await line.send()
        assert await line.answers(1)


async def test_frames_wait_within_their_bytes_and_their_time() -> None:
    """The oldest are given up for want of room, and those whose part is never decided after a while."""
    pushed, undecided = missed("no_room"), missed("undecided")
    async with bench(keeps=True, evidence={"shelf_mib": 1}) as line:
        holder = keeper.EvidenceKeeper(line.settings, store=line.store, clock=line.clock)
        for _ in range(3):
            capture = line.capture()
            verdict = Verdict(capture, VerdictStatus.NOT_INSPECTED)
            message, _ = line.frame(capture)
            until_ns = holder.until_ns(capture.decide_by_ns)
            holder.offer(Held(message, bytes(600_000), verdict, line.model, None, b"", until_ns))
        assert missed("no_room") == pushed + 2
        await line.send()
        await line.answers(1)
        for _ in range(40):
            await line.clock.advance(1.0)
        assert missed("undecided") == undecided + 1


async def test_frames_without_a_payload_take_room_too() -> None:
    """What came too late is let go, and still is told of: its records are not without bound."""
    pushed = missed("no_room")
    async with bench(keeps=True, evidence={"shelf_mib": 1}) as line:
        holder = keeper.EvidenceKeeper(line.settings, store=line.store, clock=line.clock)
        for _ in range(600):
            capture = line.capture()
            verdict = Verdict(capture, VerdictStatus.NOT_INSPECTED, NotInspected.EXPIRED)
            message, _ = line.frame(capture)
            holder.offer(Held(message, b"", verdict, line.model, None, b"", holder.until_ns(capture.decide_by_ns)))
        assert missed("no_room") == pushed + 600 - 512


async def test_a_detector_that_stops_waits_for_the_decisions_that_are_about_to_come() -> None:
    """For a moment: the last parts of a shift have evidence, too."""
    model = HeldModel()
    async with bench(model, keeps=True) as line:
        capture = await line.send()
        await eventually(model.entered.is_set)
        model.go.set()
        await line.answers(1)
        line._stop.set()
        await line.clock.advance(0.5)
        await line.store.settle(decision(capture, Outcome.REJECT), latency_ms=None)
        await line.stop()
        assert await kept(line, capture) is not None


async def test_evidence_of_a_frame_that_is_answered_twice_is_there_once() -> None:
    """As after a crash, when it comes again."""
    async with bench(keeps=True) as line:
        capture = await line.send()
        await line.answers(1)
        await settle(line, decision(capture, Outcome.REJECT))
        first = await kept(line, capture)
        await line.put(encode(*line.frame(capture)), capture)
        await line.answers(1)
        await asked(line)
        again = await kept(line, capture)
        assert first is not None
        assert again is not None
        assert isinstance(again.cameras[CAMERA], CameraEvidence)
        assert again.cameras.keys() == first.cameras.keys()


async def test_a_frame_that_comes_again_too_late_takes_no_better_ones_place() -> None:
    """What the part was decided by stays: its score and its map."""
    async with bench(keeps=True) as line:
        capture = await line.send()
        await line.answers(1)
        await settle(line, decision(capture, Outcome.REJECT))
        first = await kept(line, capture)
        await line.clock.advance(30.0)
        await line.put(encode(*line.frame(capture)), capture)
        await line.answers(1)
        await asked(line)
        assert first is not None
        assert first.cameras[CAMERA].heat_map
        assert await kept(line, capture) == first


async def test_what_a_part_was_decided_by_takes_the_place_of_what_it_was_not() -> None:
    """Whichever comes first."""
    async with bench(keeps=True) as line:
        capture = await line.send()
        await line.answers(1)
        decided_by = decision(capture, Outcome.REJECT)
        other = replace(inspected(9.0, capture.part_id), capture=capture, raw_score=9.0)
        await line.store.put_evidence(decided_by, Why.REJECTED, CAMERA, CameraEvidence(other, Thresholds(2.0)))
        await settle(line, decided_by)
        found = await kept(line, capture)
        assert found is not None
        assert found.cameras[CAMERA].verdict.raw_score == 0.4


@pytest.mark.parametrize(
    ("bus", "store", "shelf_mib", "keeps"),
    [
        ("memory://", "memory://", 64, True),
        ("kafka://k:9092", "redis://r:6379/0", 64, True),
        ("kafka://k:9092", "memory://", 64, False),
        ("memory://", "memory://", 0, False),
    ],
)
async def test_a_detector_keeps_evidence_where_it_can_learn_of_decisions(
    bus: str, store: str, shelf_mib: int, keeps: bool
) -> None:
    """Not where its store is its own and decisions are made elsewhere, and not where nobody wants any."""
    settings = from_dict(
        {"bus": {"url": bus}, "store": {"url": store}, "detector": {"evidence": {"shelf_mib": shelf_mib}}}
    )
    # With torch, which no other test here needs.
    role = importlib.import_module("deploy.roles.detector")
    made = role.make_keeper(settings, embedded_store(), ManualClock())
    assert (made is not None) == keeps
