"""The parts of one line on their way to the gate: what is due, and what came for it. Pure: time is passed in."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final
from weakref import WeakValueDictionary

from alerting.order import Place
from shared.bus.intake import Token
from shared.clock import NS_PER_MS
from shared.domain import Capture, CaptureId, Decision, PartAnnouncement, Verdict, VerdictStatus
from shared.settings import LineSettings

_REMEMBERED = 10_000


@dataclass(slots=True, eq=False, weakref_slot=True)
class OpenPart:
    """A part whose decision does not hold yet.

    `due_ns` is monotonic; `tokens` are the bus records that its decision settles; `counted` says that the store knows
    the part, and `counted_under` which token this process had then; `uncertain` that a signal for it was written and
    never answered. Until it is `recorded` its overlays go into its record, if it is to be `pictured` at all.
    """

    announcement: PartAnnouncement
    due_ns: int
    cameras: frozenset[str]
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    overlays: dict[str, bytes] = field(default_factory=dict)
    tokens: list[Token] = field(default_factory=list)
    counted: bool = False
    counted_under: int | None = None
    claimed: Decision | None = None
    uncertain: bool = False
    pictured: bool = True
    recorded: bool = False

    @property
    def complete(self) -> bool:
        """Return whether every camera that had to see the part has spoken, or the decision stands already."""
        return self.claimed is not None or self.cameras <= self.verdicts.keys()

    @property
    def place(self) -> Place:
        """Return where the part stands among those of its line; a claimed decision's stamp is the one that is kept."""
        known = self.announcement if self.claimed is None else self.claimed
        return known.captured_at_ns, known.part_id


class PartTable:
    """The open parts of a line, and the identities of those that were closed lately."""

    def __init__(self, line: LineSettings, *, margin_ms: float) -> None:
        self._line = line
        self.margin_ns: Final = round(margin_ms * NS_PER_MS)
        self._open: dict[str, OpenPart] = {}
        self._closed: OrderedDict[str, int] = OrderedDict()
        """When each was captured, UTC."""
        self._closing: WeakValueDictionary[str, OpenPart] = WeakValueDictionary()
        """Those with which somebody has still to do."""

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[OpenPart]:
        return iter(self._open.values())

    def announced(self, part: PartAnnouncement, *, utc_ns: int, now_ns: int) -> OpenPart | None:
        """Open the part, or complete what a verdict opened; return None for a part that was closed."""
        if part.part_id in self._closed:
            return None
        existing = self._open.get(part.part_id)
        if existing is None:
            opened = self._opened(part, utc_ns=utc_ns, now_ns=now_ns)
            _note_missing(opened, part)
            return opened
        _note_missing(existing, part)
        existing.cameras |= frozenset(part.cameras)
        # Cameras of a line may announce the part at different times: the earliest binds, whoever comes first.
        known = existing.announcement
        earliest = min(known, part, key=lambda announcement: announcement.decide_by_ns)
        place = part.place_counts if known.place_counts is None else known.place_counts
        existing.announcement = replace(earliest, label=known.label or part.label, place_counts=place)
        existing.due_ns = min(existing.due_ns, self._due_ns(part, utc_ns=utc_ns, now_ns=now_ns))
        return existing

    def verdict(self, verdict: Verdict, overlay: bytes, *, utc_ns: int, now_ns: int) -> OpenPart | None:
        """Note a verdict, opening its part where the announcement is still on its way; return None if it is late.

        Of several verdicts of one camera the most alarming inspected one counts, whatever order they came in, and where
        they differ no regions excuse its score.
        """
        capture = verdict.capture
        part = self._open.get(capture.part_id)
        if part is None:
            if capture.part_id in self._closed or capture.decide_by_ns <= utc_ns:
                return None
            announcement = PartAnnouncement(
                line=capture.id.line,
                part_id=capture.part_id,
                cameras=(capture.id.camera,),
                captured_at_ns=capture.captured_at_ns,
                decide_by_ns=capture.decide_by_ns,
            )
            part = self._opened(announcement, utc_ns=utc_ns, now_ns=now_ns)
        known = part.verdicts.get(capture.id.camera)
        if known is None or (overlay and _alarm(verdict) > _alarm(known)):
            part.overlays[capture.id.camera] = overlay
        part.verdicts[capture.id.camera] = verdict if known is None else worse_of(known, verdict)
        return part

    def overlaid(self, verdict: Verdict, overlay: bytes) -> OpenPart | None:
        """Note the overlay of a verdict that came before; return its part if that is not recorded yet.

        It is the part's picture unless a more alarming verdict of the same camera came meanwhile.
        """
        camera, part_id = verdict.capture.id.camera, verdict.capture.part_id
        part = self._open.get(part_id) or self._closing.get(part_id)
        if part is None or part.recorded:
            return None
        known = part.verdicts.get(camera)
        if part.pictured and known is not None and _alarm(verdict) >= _alarm(known):
            part.overlays[camera] = overlay
        return part

    def ready(self, now_ns: int, *, only_due: bool = False) -> list[OpenPart]:
        """Return the parts to decide now, the most urgent first: complete ones (unless `only_due`) and due ones."""
        ready = [
            part
            for part in self._open.values()
            if part.due_ns <= now_ns or (part.complete and part.counted and not only_due)
        ]
        return sorted(ready, key=lambda part: part.due_ns)

    def close(self, part: OpenPart) -> None:
        """Forget a part whose decision is made, but remember its name for late messages."""
        part_id = part.announcement.part_id
        self._open.pop(part_id, None)
        self._closing[part_id] = part
        self._closed[part_id] = part.announcement.captured_at_ns
        if len(self._closed) > _REMEMBERED:
            self._closed.popitem(last=False)

    def find(self, part_id: str) -> OpenPart | None:
        """Return the open part of this name."""
        return self._open.get(part_id)

    def reuses(self, part: PartAnnouncement) -> bool:
        """Return whether another part had this identity lately: cameras see one part within its way to the gate."""
        known_ns = self._closed.get(part.part_id)
        return known_ns is not None and is_another(part.captured_at_ns, known_ns, self._line)

    def knows(self, part_id: str) -> bool:
        """Return whether the part is open, or was closed lately."""
        return part_id in self._open or part_id in self._closed

    def next_due_ns(self) -> int | None:
        """Return when the next part falls due."""
        return min((part.due_ns for part in self._open.values()), default=None)

    def _opened(self, announcement: PartAnnouncement, *, utc_ns: int, now_ns: int) -> OpenPart:
        part = OpenPart(
            announcement=announcement,
            due_ns=self._due_ns(announcement, utc_ns=utc_ns, now_ns=now_ns),
            cameras=frozenset(announcement.cameras) | {camera.name for camera in self._line.cameras},
        )
        self._open[announcement.part_id] = part
        return part

    def _due_ns(self, announcement: PartAnnouncement, *, utc_ns: int, now_ns: int) -> int:
        left_ns = announcement.decide_by_ns - utc_ns
        # A clock step must not keep a part open past the line's own gate delay.
        return now_ns + min(left_ns, self._line.gate_delay_ns - self._line.actuation_lead_ns) - self.margin_ns


def is_another(captured_at_ns: int, known_ns: int, line: LineSettings) -> bool:
    """Return whether what was captured then is another part than the one of the same name that is known."""
    return abs(captured_at_ns - known_ns) > line.gate_delay_ns


def _note_missing(part: OpenPart, announcement: PartAnnouncement) -> None:
    """Let the cameras of which nothing can come have said so; a verdict that comes all the same outdoes it."""
    for camera, reason in announcement.missing.items():
        capture = Capture(
            id=CaptureId(announcement.line, camera, epoch=0, sequence=0),
            part_id=announcement.part_id,
            captured_at_ns=announcement.captured_at_ns,
            decide_by_ns=announcement.decide_by_ns,
        )
        part.verdicts.setdefault(camera, Verdict(capture, VerdictStatus.NOT_INSPECTED, reason))
        part.overlays.setdefault(camera, b"")


def worse_of(known: Verdict, other: Verdict) -> Verdict:
    """Return the more alarming verdict of one camera, at the higher raw score, and without regions if both looked."""
    if known == other:
        return known
    worse = other if _alarm(other) > _alarm(known) else known
    if not known.status is other.status is VerdictStatus.INSPECTED:
        return worse
    raw = [one.raw_score for one in (known, other)]
    highest = None if None in raw else max((one for one in raw if one is not None), key=_unless_nan)
    same = known.capture == other.capture and known.regions == other.regions
    return replace(worse, raw_score=highest, regions=known.regions if same else ())


def _unless_nan(score: float) -> float:
    return math.inf if math.isnan(score) else score


def _alarm(verdict: Verdict) -> float:
    if verdict.status is VerdictStatus.NOT_INSPECTED or verdict.score is None:
        return -math.inf
    # A score that is no number must not be outdone by one that passes.
    return verdict.score if math.isfinite(verdict.score) else math.inf
