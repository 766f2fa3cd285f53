"""Reviews in the embedded store: what people said of parts, and evidence that stays because they did."""

from __future__ import annotations

import asyncio

from shared.evidence import stamp_of
from shared.review import Case, Standing, Step, decode_case, decode_step, encode_case, encode_step
from shared.store.base import Exhibit
from shared.store.memory.data import LineData
from shared.store.memory.evidence import MemoryEvidence, evidence_name
from shared.store.memory.room import is_of
from shared.store.reading import PIECE
from shared.store.refusals import name_taken, too_many_cases


class MemoryReviews(MemoryEvidence):
    """What `MemoryStore` does about reviews."""

    async def review_case(self, line: str, name: str) -> Case | None:
        """Return the case."""
        found = self._line(line).cases.get(name)
        return None if found is None else decode_case(found)

    async def review_cases(self, line: str) -> list[Case]:
        """Return all of them, read piece by piece: what shares the event loop has its turn in between."""
        found = []
        for number, value in enumerate(list(self._line(line).cases.values()), 1):
            found.append(decode_case(value))
            if number % PIECE == 0:
                await asyncio.sleep(0)
        return found

    async def put_case(self, case: Case, *, instead_of: Case | None) -> Exhibit | None:
        """Compare and set, note the step, and move the evidence."""
        record, name = self._line(case.line), case.name
        if record.cases.get(name) != (None if instead_of is None else encode_case(instead_of)):
            return None
        if instead_of is None and len(record.cases) >= self._settings.review_cases:
            raise too_many_cases(case.line, self._settings.review_cases)
        record.cases[name] = encode_case(case)
        self._append(record.case_steps, encode_step(case.steps[-1]))
        if case.standing is Standing.DISMISSED:
            return self._let_go(record, case)
        return self._keep_on(record, case)

    async def drop_case(self, case: Case) -> bool:
        """Compare and delete."""
        record = self._line(case.line)
        if record.cases.get(case.name) != encode_case(case):
            return False
        del record.cases[case.name]
        record.awaited.pop(case.name, None)
        return True

    async def move_case(self, case: Case, *, instead_of: Case) -> bool:
        """Compare and set, and let the exhibit have its name."""
        record, before, name = self._line(case.line), instead_of.name, case.name
        if record.cases.get(before) != encode_case(instead_of):
            return False
        if name != before and name in record.cases:
            raise name_taken(case.line, name)
        record.cases[name] = encode_case(case)
        if name == before:
            return True
        del record.cases[before]
        record.awaited.pop(before, None)
        exhibit = record.exhibits.get((before,))
        if exhibit is not None and is_of(exhibit, stamp_of(case.decision)):
            record.exhibits.leave((before,))
            record.exhibits.enter((name,), exhibit)
        return True

    async def review_steps(self, line: str, *, newest: int) -> list[Step]:
        """Return the newest steps."""
        return [decode_step(value) for value in self._line(line).case_steps.newest(newest)]

    async def exhibits(self, line: str) -> list[str]:
        """Return the order of what is kept on, from its end."""
        return [name for (name,) in self._line(line).exhibits.newest_first()]

    def _keep_on(self, record: LineData, case: Case) -> Exhibit:
        """Move evidence of the case's part to the room of exhibits; what has none yet awaits it."""
        name, stamp = case.name, stamp_of(case.decision)
        exhibit, expiring = record.exhibits.get((name,)), record.pictures.get(evidence_name(name))
        if not is_of(exhibit, stamp):
            record.awaited[name] = stamp
            if expiring is None or not is_of(expiring, stamp):
                return Exhibit.NONE
            if exhibit is not None or not self._has_room(record, expiring):
                return Exhibit.NO_ROOM
            record.pictures.leave(evidence_name(name))
            record.exhibits.enter((name,), expiring)
        record.awaited.pop(name, None)
        return Exhibit.KEPT

    def _let_go(self, record: LineData, case: Case) -> Exhibit:
        """Let evidence of the case's part take up its time again; beside a newer part's it goes."""
        record.awaited.pop(case.name, None)
        exhibit = record.exhibits.get((case.name,))
        if exhibit is not None and is_of(exhibit, stamp_of(case.decision)):
            record.exhibits.leave((case.name,))
            if record.pictures.get(evidence_name(case.name)) is None:
                self._enter(record, evidence_name(case.name), exhibit)
            else:
                record.tally.counts["pictures_dropped"] += 1
        return Exhibit.NONE
