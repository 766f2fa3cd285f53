"""Where decided parts are read from: the store for the shift, the `decisions` topic or a journal for longer."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from alerting.trends.parts import Parts, SlimDecision, parts_of
from shared.bus.base import Bus
from shared.domain import Decision
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
_PAGE: Final = 1_000
MOST: Final = 1_000_000
"""Of more decisions than this the newest are read: about 500 MB."""
_UNITS_S: Final = {"m": 60, "h": 3_600, "d": 86_400}


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


def seconds_of(text: str) -> int:
    """Return a length of time; ConfigError for what is none."""
    found = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    if found is None:
        raise ConfigError(f"since {text!r} is no length of time", "Write 90m, 8h or 7d.")
    return int(found[1]) * _UNITS_S[found[2]]


async def read_shift(store: Store, line: LineSettings, at_ns: int) -> Read:
    """Return the parts of the shift at an instant that the store still holds, and the counts of all of them."""
    shift = line.shift_times().at(at_ns)
    counters = await store.shift_counters(line.name, shift.name)
    found: list[Decision] = []
    before = ""
    while True:
        # Page by page from the newest one: other work has its turn between them.
        entries = await store.decision_entries(line.name, before=before, most=_PAGE)
        found += [entry.value for entry in entries if shift.start_ns <= entry.value.captured_at_ns < shift.end_ns]
        if not entries or all(entry.value.captured_at_ns < shift.start_ns for entry in entries):
            break
        before = entries[0].id
    parts = await asyncio.to_thread(parts_of, found)
    return Read(parts, "store", len(parts) >= counters.settled, shift.name, counters)


async def read_topic(
    bus: Bus, topics: Topics, plan: PartitionPlan, line: str, *, since_ns: int, most: int = MOST
) -> Read:
    """Return a line's parts since an instant from the `decisions` topic, the newest `most` of them.

    It is `whole` unless older ones are gone from there, or were left out.
    """
    found: deque[SlimDecision] = deque(maxlen=most)
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
    return Read(await asyncio.to_thread(parts_of, found), "decisions topic", whole and len(found) < most)


def read_journal(folder: Path, line: str, *, since_ns: int, most: int = MOST) -> Read:
    """Return a line's parts since an instant from a journal, the newest `most`; ConfigError where it holds none."""
    files = files_of(folder / line) if (folder / line).is_dir() else []
    if not files:
        raise ConfigError(f"{str(folder)!r} holds no journal of line {line!r}", "Give what alerting.journal names.")
    found: deque[SlimDecision] = deque(maxlen=most)
    older = int(files[0].stem) == 1
    for path in files:
        for piece in read(path):
            with suppress(WireError):
                if piece.body is not None:
                    decision = _slim(from_body(piece.body).decision)
                    older = older or decision.captured_at_ns < since_ns
                    if decision.captured_at_ns >= since_ns:
                        found.append(decision)
    return Read(parts_of(found), "journal", older and len(found) < most)


def _slim(decision: bytes) -> SlimDecision:
    try:
        return _SLIM.decode(decision)
    except _BROKEN as error:
        raise WireError(f"a ledger record holds no decision: {error}") from error
