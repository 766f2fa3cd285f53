"""Lines' policies and halts in the store: versioned, changed by compare-and-set, each change noted for good."""

from __future__ import annotations

from collections.abc import Callable

from shared.errors import ConfigError
from shared.policy import LinePolicy, policy_from_json
from shared.policy_record import LineHalt, PolicyChange, R, decode_record, encode_record
from shared.store.base import Store
from shared.topics import Topics


class PolicyKeeper:
    """Reads and changes what one line of the topics under a prefix is told; raises StoreError, or ConfigError."""

    def __init__(self, store: Store, topics: Topics, line: str) -> None:
        self._store = store
        self._line = line
        self._policy = f"line-policy.{topics.prefix}.{line}"
        self._halt = f"line-halt.{topics.prefix}.{line}"
        self._published = f"line-policy-published.{topics.prefix}.{line}"

    async def stored(self) -> bytes | None:
        """Return the change that stands, as it is kept; None before the first."""
        return await self._store.kept(self._policy)

    async def put_back(self, value: bytes) -> None:
        """Keep and note a change again that a store has lost; one that stands by now stays."""
        await self._store.keep(self._policy, value, instead_of=None, noted=True)

    async def standing(self) -> PolicyChange | None:
        """Return the change that stands; None before the first."""
        value = await self.stored()
        return None if value is None else decode_record(PolicyChange, value)

    async def change(
        self, edit: Callable[[LinePolicy], LinePolicy], *, first: LinePolicy, by: str, at_ns: int, why: str
    ) -> PolicyChange:
        """Keep and note what `edit` makes of the policy that stands, or of `first` where none does."""
        while True:
            stood = await self.stored()
            version, old = 0, first
            if stood is not None:
                before = decode_record(PolicyChange, stood)
                version, old = before.version, policy_from_json(before.new, "the stored policy")
            new = edit(old)
            if new == old:
                raise ConfigError(f"the policy of {self._line!r} is so already: version {version}")
            change = PolicyChange(self._line, version + 1, by, at_ns, why, old.model_dump_json(), new.model_dump_json())
            if await self._store.keep(self._policy, encode_record(change), instead_of=stood, noted=True):
                return change

    async def changes(self, *, newest: int) -> list[PolicyChange]:
        """Return the newest changes, newest first; those that cannot be read are left out."""
        return _readable(PolicyChange, await self._store.notes(self._policy, newest=newest))

    async def halted(self) -> tuple[LineHalt | None, bytes | None]:
        """Return whether the line is halted, and that as it is kept."""
        value = await self._store.kept(self._halt)
        return (None if value is None else decode_record(LineHalt, value)), value

    async def halt(self, halt: LineHalt, *, instead_of: bytes | None) -> bool:
        """Keep and note that the line is halted or resumed, if nothing else was kept meanwhile."""
        return await self._store.keep(self._halt, encode_record(halt), instead_of=instead_of, noted=True)

    async def resume(self, *, by: str, at_ns: int, why: str) -> LineHalt | None:
        """Let a halted line go on; return the halt that was ended, None where there was none.

        A halt that cannot be read is ended, too. Its end is later than the halt, whatever the two hosts' clocks say.
        """
        while True:
            value = await self._store.kept(self._halt)
            if value is None:
                return None
            try:
                ended = decode_record(LineHalt, value)
            except ConfigError as error:
                ended = LineHalt(self._line, halted=True, by="", at_ns=0, why=str(error))
            if not ended.halted:
                return None
            later_ns = max(at_ns, ended.at_ns + 1)
            resumed = LineHalt(self._line, halted=False, by=by, at_ns=later_ns, why=why)
            if await self.halt(resumed, instead_of=value):
                return ended

    async def halts(self, *, newest: int) -> list[LineHalt]:
        """Return the newest halts and their ends, newest first; those that cannot be read are left out."""
        return _readable(LineHalt, await self._store.notes(self._halt, newest=newest))

    async def published(self) -> int:
        """Return up to which version the changes stand on the bus."""
        value = await self._store.kept(self._published)
        return int(value) if value is not None and value.isdigit() else 0

    async def mark_published(self, version: int) -> None:
        """Remember up to which version the changes stand on the bus; never less than before."""
        while True:
            value = await self._store.kept(self._published)
            if value is not None and value.isdigit() and int(value) >= version:
                return
            if await self._store.keep(self._published, str(version).encode(), instead_of=value):
                return


def _readable(kind: type[R], notes: list[bytes]) -> list[R]:
    found: list[R] = []
    for note in notes:
        try:
            found.append(decode_record(kind, note))
        except ConfigError:
            continue
    return found
