"""Who did what at the console, when, and what it was before and after: kept in the store, and in the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from shared.log import get_logger
from shared.store.base import Store

_NAME: Final = "console-audit"
_LONGEST: Final = 2_000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One deed. `subject` is a user, a token or a line; `number` only grows."""

    number: int
    at_ns: int
    who: str
    what: str
    subject: str
    old: str = ""
    new: str = ""
    why: str = ""


_DECODER: Final = msgspec.json.Decoder(AuditEntry)


class Audit:
    """The record of deeds. It is written before the deed: nothing is done of which nobody would know."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._log = get_logger("console")

    async def note(
        self, who: str, what: str, subject: str, *, at_ns: int, old: str = "", new: str = "", why: str = ""
    ) -> None:
        """Keep a deed; StoreError where that cannot be."""
        while True:
            before = await self._store.kept(_NAME)
            number = 1 if before is None else _number(before) + 1
            cut = [text[:_LONGEST] for text in (old, new, why)]
            entry = AuditEntry(number, at_ns, who, what, subject[:_LONGEST], *cut)
            if await self._store.keep(_NAME, msgspec.json.encode(entry), instead_of=before, noted=True):
                self._log.info("console.audit", who=who, what=what, subject=subject, old=old, new=new, why=why)
                return

    async def newest(self, most: int) -> list[AuditEntry]:
        """Return the newest deeds, newest first; one that cannot be read is left out."""
        entries = []
        for note in await self._store.notes(_NAME, newest=most):
            try:
                entries.append(_DECODER.decode(note))
            except msgspec.MsgspecError:
                continue
        return entries


def _number(value: bytes) -> int:
    try:
        return _DECODER.decode(value).number
    except msgspec.MsgspecError:
        return 0
