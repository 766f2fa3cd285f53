"""Where decided parts are read from: the store for the shift, the `decisions` topic or a journal for longer."""

from __future__ import annotations

from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from alerting.trends.parts import Parts, SlimDecision, parts_of
from shared.bus.base import Bus
from shared.errors import ConfigError, WireError
from shared.ledger.journal import files_of, read
from shared.ledger.message import from_body, from_message
from shared.partition_plan import PartitionPlan
from shared.policy_record import PolicyChange
from shared.settings import LineSettings
from shared.store.base import LineCounters, Store
from shared.topics import Topics
from shared.wire import kind_of

_SLIM: Final = msgspec.msgpack.Decoder(SlimDecision)
_BROKEN: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_MOST: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Read:
    """Parts, where they are from, and the counters of the shift where that was asked for.

    `whole` says whether all of the time that was asked for is there: a store keeps its newest decisions alone.
    """

    parts: Parts
    source: str
    whole: bool
    shift: str = ""
    counters: LineCounters | None = None


async def read_shift(store: Store, line: LineSettings, at_ns: int) -> Read:
    """Return the parts of the shift at an instant that the store still holds, and the counts of all of them."""
    shift = line.shift_times().at(at_ns)
    counters = await store.shift_counters(line.name, shift.name)
    decisions = await store.decisions(line.name, newest=_MOST)
    parts = parts_of(one for one in decisions if shift.start_ns <= one.captured_at_ns < shift.end_ns)
    return Read(parts, "store", len(parts) >= counters.settled, shift.name, counters)


async def read_topic(bus: Bus, topics: Topics, plan: PartitionPlan, line: str, *, since_ns: int) -> Read:
    """Return a line's parts since an instant from the `decisions` topic; `whole` unless older ones are gone from it."""
    found: list[SlimDecision] = []
    first_offset, oldest_ns = 0, None
    async with aclosing(bus.history(topics.decisions, plan.of_line(line))) as messages:
        async for message in messages:
            if oldest_ns is None:
                first_offset = message.offset
            if kind_of(message.value) is PolicyChange:
                continue
            with suppress(WireError):
                decision = _slim(from_message(message.value).decision)
                oldest_ns = min(decision.captured_at_ns, decision.captured_at_ns if oldest_ns is None else oldest_ns)
                if decision.captured_at_ns >= since_ns:
                    found.append(decision)
    whole = first_offset == 0 or (oldest_ns is not None and oldest_ns < since_ns)
    return Read(parts_of(found), "decisions topic", whole)


def read_journal(folder: Path, line: str, *, since_ns: int) -> Read:
    """Return a line's parts since an instant from a journal; ConfigError where it holds none of the line."""
    files = files_of(folder / line) if (folder / line).is_dir() else []
    if not files:
        raise ConfigError(f"{str(folder)!r} holds no journal of line {line!r}", "Give what alerting.journal names.")
    found: list[SlimDecision] = []
    older = int(files[0].stem) == 1
    for path in files:
        for piece in read(path):
            with suppress(WireError):
                if piece.body is not None:
                    decision = _slim(from_body(piece.body).decision)
                    older = older or decision.captured_at_ns < since_ns
                    found += [decision] if decision.captured_at_ns >= since_ns else []
    return Read(parts_of(found), "journal", older)


def _slim(decision: bytes) -> SlimDecision:
    try:
        return _SLIM.decode(decision)
    except _BROKEN as error:
        raise WireError(f"a ledger record holds no decision: {error}") from error
