"""Pictures and evidence in the embedded store: they share a room, and what a review keeps has one of its own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

from shared.domain import Decision
from shared.evidence import (
    CameraEvidence,
    Cover,
    PartEvidence,
    Why,
    decode_camera,
    decode_cover,
    decode_evidence,
    encode_camera,
    encode_cover,
    stamp_of,
)
from shared.store.memory.core import MemoryCore
from shared.store.memory.data import LineData
from shared.store.memory.room import Name, Thing, is_of, size_of
from shared.store.reading import newest_cover

_EVIDENCE: Final = "evidence"
_PICTURE: Final = "picture"


def evidence_name(part_id: str) -> Name:
    """Return what a part's evidence goes by in the room of what ends."""
    return _EVIDENCE, part_id


class MemoryEvidence(MemoryCore):
    """What `MemoryStore` does about pictures and evidence."""

    async def put_picture(self, line: str, part_id: str, camera: str, jpeg: bytes) -> None:
        """Keep the picture, and let the line's oldest go where it needs their room."""
        record, name = self._line(line), (_PICTURE, part_id, camera)
        record.pictures.leave(name)
        self._enter(record, name, {"": bytes(jpeg)})

    async def picture(self, line: str, part_id: str, camera: str) -> bytes | None:
        """Return the picture, or None once it expired or had to go."""
        found = self._line(line).pictures.get((_PICTURE, part_id, camera))
        return None if found is None else found[""]

    async def put_evidence(
        self, decision: Decision, why: Why, camera: str, evidence: CameraEvidence, *, instead: bool = True
    ) -> bool:
        """Keep it, and let the line's oldest pictures and evidence go where it needs their room.

        What a review has kept grows where it lies, beyond its room if need be. What is there of an older part of that
        name makes way where it expires, and is not touched where it is kept.
        """
        part_id, stamp, record = decision.part_id, stamp_of(decision), self._line(decision.line)
        name, exhibit = evidence_name(part_id), record.exhibits.get((part_id,))
        exhibited = is_of(exhibit, stamp)
        there = exhibit if exhibited else record.pictures.get(name)
        if there is None or not is_of(there, stamp):
            there = {}
        if camera in there and not instead:
            return True
        made = {**there, "": encode_cover(Cover(why, decision)), camera: encode_camera(evidence)}
        if exhibited:
            record.exhibits.grow((part_id,), made)
            return True
        if exhibit is None and record.awaited.get(part_id) == stamp and self._has_room(record, made):
            if there:
                record.pictures.leave(name)
            record.exhibits.enter((part_id,), made)
            del record.awaited[part_id]
            return True
        return self._enter(record, name, made)

    async def evidence(self, line: str, part_id: str) -> PartEvidence | None:
        """Look where reviews keep it and among what expires."""
        found, kept_on = self._evidence(line, part_id)
        return None if found is None else decode_evidence(found, kept_on=kept_on)

    async def camera_evidence(self, line: str, part_id: str, camera: str) -> CameraEvidence | None:
        """Read that alone."""
        found, _ = self._evidence(line, part_id)
        value = None if found is None or not camera else found.get(camera)
        return None if value is None else decode_camera(value)

    async def evidence_covers(self, line: str, part_ids: Sequence[str]) -> dict[str, Cover]:
        """Look for each of them."""
        there = {part_id: self._evidence(line, part_id)[0] for part_id in part_ids}
        return {part_id: decode_cover(found[""]) for part_id, found in there.items() if found is not None}

    async def evidence_parts(self, line: str, *, newest: int) -> list[str]:
        """Read the room's order from its end."""
        names = (name[1] for name in self._line(line).pictures.newest_first() if name[0] == _EVIDENCE)
        return list(islice(names, max(0, newest)))

    def _evidence(self, line: str, part_id: str) -> tuple[Thing | None, bool]:
        """Return what is kept of the newest part of that name, and whether a review keeps it."""
        record = self._line(line)
        places = (record.exhibits.get((part_id,)), record.pictures.get(evidence_name(part_id)))
        which = newest_cover([None if found is None else found[""] for found in places])
        return (None, False) if which is None else (places[which], which == 0)

    def _has_room(self, record: LineData, thing: Thing) -> bool:
        return record.exhibits.held_bytes + size_of(thing) <= self._settings.review_bytes

    def _enter(self, record: LineData, name: Name, thing: Thing) -> bool:
        """Put something into the room of what ends, if that can hold it, and count what had to go; return whether."""
        size, room_bytes = size_of(thing), self._settings.picture_bytes
        fits, dropped = size <= room_bytes, 1
        if fits:
            record.pictures.leave(name)
            dropped = record.pictures.make_way(size, room_bytes)
            record.pictures.enter(name, thing, self._settings.picture_ttl_s)
        if dropped:
            record.tally.counts["pictures_dropped"] += dropped
        return fits
