"""Who did what at the console, when, and what it was before and after: kept in the store, and in the log."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Final

import msgspec

from shared.log import get_logger
from shared.store.base import Store

_DEEDS: Final = "console-audit"
_SIGN_INS: Final = "console-sign-ins"
_LONGEST: Final = 2_000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One deed. `subject` is a user, a token or a line; `number` only grows, of deeds and of sign-ins each."""

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
    """The record of deeds. It is written before the deed: nothing is done of which nobody would know.

    Sign-ins have a record of their own: many of them push no deed out of what is kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._log = get_logger("console")

    async def note(
        self, who: str, what: str, subject: str, *, at_ns: int, old: str = "", new: str = "", why: str = ""
    ) -> None:
        """Keep a deed; StoreError where that cannot be."""
        cut = [text[:_LONGEST] for text in (old, new, why)]
        await self._keep(_DEEDS, AuditEntry(0, at_ns, who, what, subject[:_LONGEST], *cut))

    async def note_sign_in(self, who: str, what: str, *, at_ns: int) -> None:
        """Keep that somebody signed in; raises like `note`."""
        await self._keep(_SIGN_INS, AuditEntry(0, at_ns, who, what, who))

    async def newest(self, most: int) -> list[AuditEntry]:
        """Return the newest `most` deeds and the newest `most` sign-ins, newest first.

        One that cannot be read is left out.
        """
        entries = []
        for name in (_DEEDS, _SIGN_INS):
            for note in await self._store.notes(name, newest=most):
                with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                    entries.append(_DECODER.decode(note))
        # Stable: within one instant each record keeps its order.
        return sorted(entries, key=lambda entry: -entry.at_ns)

    async def _keep(self, name: str, entry: AuditEntry) -> None:
        while True:
            before = await self._store.kept(name)
            entry = replace(entry, number=1 if before is None else _number(before) + 1)
            if await self._store.keep(name, msgspec.json.encode(entry), instead_of=before, noted=True):
                said = asdict(entry)
                del said["number"], said["at_ns"]
                self._log.info("console.audit", **said)
                return


def _number(value: bytes) -> int:
    try:
        return _DECODER.decode(value).number
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return 0
