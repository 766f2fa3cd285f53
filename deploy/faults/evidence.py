"""What a campaign left behind, read from the outside: the topics, the stores' counters and the PLCs' logs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from alerting.plc_sim.gate_log import GateOutcome
from shared.bus.base import Bus, Record
from shared.domain import CaptureId, Decision, PartAnnouncement, Verdict
from shared.envelope import capture_of
from shared.errors import WireError
from shared.ledger.message import entry_of, from_message
from shared.ledger.verifier import Verifier
from shared.policy_record import PolicyChange
from shared.settings import Settings
from shared.store.base import LineCounters, Store
from shared.wire import VerdictMessage, decode, kind_of

PartKey = tuple[str, str]
"""Line and part id."""
_QUIET_POLLS: Final = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was said about the parts; what cannot be decoded says nothing."""

    announced: dict[PartKey, PartAnnouncement] = field(default_factory=dict)
    frames: set[CaptureId] = field(default_factory=set)
    answered: set[CaptureId] = field(default_factory=set)
    verdicts: dict[PartKey, list[Verdict]] = field(default_factory=dict)
    decisions: dict[PartKey, list[Decision]] = field(default_factory=dict)
    gates: dict[str, list[GateOutcome]] = field(default_factory=dict)
    counters: dict[str, LineCounters] = field(default_factory=dict)
    thresholds: dict[str, float] = field(default_factory=dict)
    chains: Verifier = field(default_factory=Verifier)


async def collect(settings: Settings, bus: Bus, store: Store, gates: dict[str, list[GateOutcome]]) -> Evidence:
    """Read every topic from its beginning, and the counters as they stand."""
    found = Evidence(gates=gates)
    topics = settings.topics
    takers: dict[str, Callable[[Evidence, Record], None]] = {
        topics.captures: _take_announcement,
        topics.frames: _take_frame,
        topics.verdicts: _take_verdict,
        topics.decisions: _take_decision,
    }
    for topic, take in takers.items():
        async with aclosing(_records(bus, topic)) as records:
            async for record in records:
                try:
                    take(found, record)
                except WireError:
                    continue
    for line in settings.lines:
        found.counters[line.name] = await store.counters(line.name)
        found.thresholds[line.name] = line.policy.reject_at
    return found


async def _records(bus: Bus, topic: str) -> AsyncGenerator[Record, None]:
    reader = await bus.subscribe([topic], group=f"audit-{uuid4().hex}", member="audit")
    try:
        quiet = 0
        while quiet < _QUIET_POLLS:
            records = await reader.poll(max_records=200, timeout_s=1.0)
            quiet = 0 if records else quiet + 1
            for record in records:
                yield record
    finally:
        await reader.close()


def _take_announcement(found: Evidence, record: Record) -> None:
    part = decode(PartAnnouncement, record.value)[0]
    found.announced[part.line, part.part_id] = part


def _take_frame(found: Evidence, record: Record) -> None:
    capture = capture_of(record.headers)
    if capture is not None:
        found.frames.add(capture.id)


def _take_verdict(found: Evidence, record: Record) -> None:
    verdict = decode(VerdictMessage, record.value)[0].verdict
    capture = verdict.capture
    found.answered.add(capture.id)
    found.verdicts.setdefault((capture.id.line, capture.part_id), []).append(verdict)


def _take_decision(found: Evidence, record: Record) -> None:
    if kind_of(record.value) is PolicyChange:
        return
    decision = decode(Decision, record.value)[0]
    lying = from_message(record.value)
    found.chains.take(lying, entry_of(lying.decision), f"{record.topic}/{record.partition} at {record.offset}")
    found.decisions.setdefault((decision.line, decision.part_id), []).append(decision)
