"""The store port: the live state of lines, and the one place where a part's decision is settled.

Each effect is idempotent on the part's identity: announcing, claiming or settling a part twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from shared.alerts import Deed, Handling, StandingAlert
from shared.domain import CaptureId, Decision, PartAnnouncement
from shared.ledger.chain import LedgerRecord, Link
from shared.review import Case, Step
from shared.store.evidence_base import EvidenceStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PartRecord:
    """What the store knows of a part: the decision that was claimed for it, and whether it is settled and published."""

    claimed: Decision | None = None
    settled: bool = False
    published: bool = False


@dataclass(frozen=True, slots=True)
class LineCounters:
    """Counts of a line since its counters began. `announced = passed + rejected + defaulted` once all are settled.

    `not_carried_out` counts those of the rejected and defaulted ones that a gate that rests open may have let go. The
    four counts about defects come from labelled sources alone. `latency_buckets` counts settled PASS and REJECT
    parts by the time from capture to acknowledged signal: see `shared.latency`. `pictures_dropped` went before their
    time, for want of room. Counts of a shift hold what belongs to parts alone.
    """

    announced: int = 0
    passed: int = 0
    rejected: int = 0
    defaulted: int = 0
    not_carried_out: int = 0
    defects: int = 0
    caught: int = 0
    missed: int = 0
    false_rejects: int = 0
    late_verdicts: int = 0
    unconfirmed: int = 0
    pictures_dropped: int = 0
    latency_buckets: Mapping[int, int] = field(default_factory=dict)

    @property
    def settled(self) -> int:
        """Return how many parts have their final decision."""
        return self.passed + self.rejected + self.defaulted


@dataclass(frozen=True, slots=True)
class Alert:
    """Something an operator should see: a rejected part, or a line that is not being inspected.

    `subject` is what it is about, such as a camera; without one it is about the line.
    """

    line: str
    kind: str
    text: str
    part_id: str = ""
    at_ns: int = 0
    subject: str = ""
    severity: str = ""


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """Who may signal to a line's gate. Each holder has a higher `token` than the one before, each renewal a new `beat`.

    No holder means that the last one let go. It never expires in the store: whoever wants it watches its beat
    (`alerting.lease`).
    """

    holder: str
    token: int
    beat: int = 0


class Feed(StrEnum):
    """A stream of a line that groups of readers follow."""

    DECISIONS = "decisions"
    ALERTS = "alerts"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: each group is given every entry, once, to one of its members. Names stay the same over restarts."""

    group: str
    member: str = "reader"


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """What stands in a feed, and the name by which it is finished."""

    id: str
    value: T


@dataclass(frozen=True, slots=True)
class Lag:
    """`waiting` entries were given to nobody of the group, `unfinished` ones were given and are not done with.

    `lost` says that the feed was trimmed up to where the group had read, and most likely beyond: what it has not seen
    stands on the `decisions` topic alone. Reading on takes it back.
    """

    waiting: int = 0
    unfinished: int = 0
    lost: bool = False


class Exhibit(StrEnum):
    """Whether a case's evidence is kept on: there may be none to keep, or no room for it."""

    KEPT = "kept"
    NONE = "none"
    NO_ROOM = "no_room"


class PayloadStore(Protocol):
    """Where the payloads of large frames lie while their references travel on the bus.

    Both methods raise `StoreUnavailableError` when the store is away, and `StoreError` when it refuses.
    """

    async def put_payload(self, capture: CaptureId, payload: bytes, *, ttl_s: int) -> None:
        """Keep a frame's payload for `ttl_s` seconds; doing so again begins them anew."""
        ...

    async def payload(self, capture: CaptureId) -> bytes | memoryview | None:
        """Return a frame's payload and leave it there, since its message may come again; None once it is gone."""
        ...

    async def close(self) -> None:
        """Let go of what the adapter holds."""
        ...


class ReviewStore(Protocol):
    """What people said of a line's parts. Evidence of a part with a case stays, within a room of its own.

    A case has a name, which is its part's unless a newer part of that name is spoken of (`shared.review.Case.name`).
    """

    async def review_case(self, line: str, name: str) -> Case | None:
        """Return the case of a name; it may be an older part's than the one that has the name by now."""
        ...

    async def review_cases(self, line: str) -> list[Case]:
        """Return all cases of a line, in no order."""
        ...

    async def put_case(self, case: Case, *, instead_of: Case | None) -> Exhibit | None:
        """Let a case stand if `instead_of` does (None: there is none), and note its newest step, in one step.

        Its evidence is kept on, also where it comes later, or takes up its time again where the case is dismissed: not
        so beside evidence of a newer part of that name, which stays. Returns whether it is kept on,
        and None where another case stands: then nothing was done. Raises `ReviewFullError` where no case fits any more.
        """
        ...

    async def move_case(self, case: Case, *, instead_of: Case) -> bool:
        """Let a case stand in the place of `instead_of`, with its evidence, under another name perhaps; note no step.

        Returns whether `instead_of` stood. Raises `StoreError` where the other name is taken.
        """
        ...

    async def drop_case(self, case: Case) -> bool:
        """Forget a case, if it stands as it is given; return whether it did."""
        ...

    async def review_steps(self, line: str, *, newest: int) -> list[Step]:
        """Return what was said and settled, newest first."""
        ...

    async def exhibits(self, line: str) -> list[str]:
        """Return the names of the cases whose evidence is kept on, newest first."""
        ...


class Store(PayloadStore, EvidenceStore, ReviewStore, Protocol):
    """Every method raises `StoreUnavailableError` when the store is away."""

    async def ping(self) -> None:
        """Return if the store answers."""
        ...

    async def announce(self, part: PartAnnouncement) -> PartRecord:
        """Count the part once, and return what is known of it."""
        ...

    async def claim(self, decision: Decision, *, token: int | None = None) -> Decision:
        """Fix the decision for a part before it is signalled; return the one that was first.

        With a `token` nothing is done, and `LeaseLostError` raised, unless it is the one of the line's lease.
        """
        ...

    async def settle(
        self,
        decision: Decision,
        *,
        latency_ms: float | None,
        unconfirmed: bool = False,
        link: Link | None = None,
        instead_of: Link | None = None,
        token: int | None = None,
    ) -> bool:
        """Record the final decision: counters, the line's stream and its state, in one step; return False if it was.

        With a `link` the line's chain moves to it in the same step, if `instead_of` is the newest one (None: there is
        none); else nothing is done, and `ChainMovedError` raised. A `token` is as with `claim`.
        """
        ...

    async def restore(self, records: Sequence[LedgerRecord], *, token: int | None = None) -> int:
        """Take in settled and published parts of one line that the store has lost, oldest first; return how many.

        Each is counted as if it had been announced and settled here; one that is settled here stays as it is. The
        line's chain does not move. A `token` is as with `claim`.
        """
        ...

    async def lease(self, line: str) -> LeaseRecord | None:
        """Return how the line's lease stands; None where nobody ever took it, or the store was emptied."""
        ...

    async def move_lease(self, line: str, to: LeaseRecord, *, instead_of: LeaseRecord | None) -> bool:
        """Let the lease stand as `to` if it stands as `instead_of`; return whether it did."""
        ...

    async def ledger_head(self, line: str) -> LedgerRecord | None:
        """Return the newest record of the line's chain."""
        ...

    async def ledger_record(self, line: str, part_id: str) -> LedgerRecord | None:
        """Return what a part was settled as, byte for byte, where it is still kept."""
        ...

    async def published(self, line: str, part_id: str) -> None:
        """Remember that the decision stands on the bus."""
        ...

    async def count(self, line: str, **increments: int) -> None:
        """Add to counters that belong to no settled part, such as late verdicts."""
        ...

    async def counters(self, line: str) -> LineCounters:
        """Return the line's counters."""
        ...

    async def shift_counters(self, line: str, shift: str) -> LineCounters:
        """Return the counts of the parts that a shift of the line saw, by its name (`shared.shifts`)."""
        ...

    async def put_picture(self, line: str, part_id: str, camera: str, jpeg: bytes) -> None:
        """Keep a reject's picture with its overlay until its time to live ends, or the line's newer ones need its room.

        One that is larger than all the room is not kept.
        """
        ...

    async def picture(self, line: str, part_id: str, camera: str) -> bytes | None:
        """Return a kept picture."""
        ...

    async def alerts(self, line: str, *, newest: int) -> list[Alert]:
        """Return the newest alerts, newest first."""
        ...

    async def put_alert(self, standing: StandingAlert, *, told: Alert | None) -> None:
        """Write how an alert stands, and append what is told of it, in one step."""
        ...

    async def standing_alerts(self, line: str) -> dict[str, StandingAlert]:
        """Return the line's alerts by their keys, those that are over too."""
        ...

    async def handle_alert(self, line: str, deed: Deed) -> None:
        """Keep a deed, a shelf that is over in the record alone; of too many that count the oldest count no more."""
        ...

    async def alert_handling(self, line: str) -> Handling:
        """Return the newest acknowledgement and shelf of each alert."""
        ...

    async def alert_deeds(self, line: str, *, newest: int) -> list[Deed]:
        """Return what operators did, newest first."""
        ...

    async def decisions(self, line: str, *, newest: int) -> list[Decision]:
        """Return the newest decisions, newest first."""
        ...

    async def decision_entries(
        self, line: str, *, after: str = "", before: str = "", most: int
    ) -> list[Entry[Decision]]:
        """Return kept decisions with their entries' names, oldest first, for whoever looks on without a group.

        They are the first `most` behind the entry `after`; without one the last `most`, or the last before `before`.
        One that cannot be read, as of a newer version, is left out.
        """
        ...

    async def newest_entry(self, line: str) -> str:
        """Return the name of the newest decision that is kept, whether it can be read or not; "" for none."""
        ...

    async def next_decisions(self, line: str, reader: Reader, *, most: int) -> list[Entry[Decision]]:
        """Return the oldest decisions that the reader's group has not read, and those that this reader never finished.

        A group begins, the first time that it reads, with the oldest one that is kept.
        """
        ...

    async def next_alerts(self, line: str, reader: Reader, *, most: int) -> list[Entry[Alert]]:
        """Return alerts as `next_decisions` does decisions."""
        ...

    async def finished(self, line: str, feed: Feed, reader: Reader, ids: Iterable[str]) -> None:
        """Say that these entries are done with, so that they do not come again."""
        ...

    async def lag(self, line: str, feed: Feed, reader: Reader) -> Lag:
        """Return how far the reader's group is behind, and whether it was away for too long."""
        ...

    async def set_state(self, line: str, fields: Mapping[str, str]) -> None:
        """Merge fields into the line's state."""
        ...

    async def state(self, line: str) -> dict[str, str]:
        """Return the line's state."""
        ...

    async def kept(self, name: str) -> bytes | None:
        """Return what was kept for all lines under `name`."""
        ...

    async def keep(self, name: str, value: bytes, *, instead_of: bytes | None, noted: bool = False) -> bool:
        """Keep `value` for good if `instead_of` is what stands (None: nothing does); return whether it was.

        With `noted` it is in the same step appended to the notes under `name`, of which the oldest go at a bound.
        """
        ...

    async def notes(self, name: str, *, newest: int) -> list[bytes]:
        """Return the newest values that were noted under `name`, newest first."""
        ...

    async def hold(self, name: str, value: bytes, *, ttl_s: int, again: bool = False) -> bool:
        """Hold `value` for all lines under `name`, in the place of what was there, for `ttl_s` seconds.

        `again` does so only where something is held; return whether it was done.
        """
        ...

    async def held(self, name: str) -> bytes | None:
        """Return what is held under `name`; None once its time is over."""
        ...

    async def release(self, name: str) -> bool:
        """Let go of what is held; return whether anything was: of several who try, one is told so."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...
