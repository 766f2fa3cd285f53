"""The reviews' part of the store on Redis: what people said of parts, and evidence that stays because they did."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Final

from shared.evidence import stamp_of
from shared.review import Case, Standing, Step, decode_case, decode_step, encode_case, encode_step
from shared.store.base import Exhibit
from shared.store.refusals import name_taken, too_many_cases
from shared.store.settings import StoreSettings

_MOVED: Final = -1
_TAKEN: Final = -1
_FULL: Final = -2
_EXHIBITS: Final = {0: Exhibit.NONE, 1: Exhibit.KEPT, 2: Exhibit.NO_ROOM}


class RedisReviews:
    """What `RedisStore` does about reviews."""

    _client: Any
    _put_case: Any
    _drop_case: Any
    _move_case: Any
    _settings: StoreSettings

    async def review_case(self, line: str, name: str) -> Case | None:
        """Return the case."""
        with self._mapped():
            found = await self._client.hget(self._key(line, "review"), name)
        return None if found is None else decode_case(found)

    async def review_cases(self, line: str) -> list[Case]:
        """Return all of them, in no order."""
        with self._mapped():
            found = await self._client.hvals(self._key(line, "review"))
        return [decode_case(value) for value in found]

    async def put_case(self, case: Case, *, instead_of: Case | None) -> Exhibit | None:
        """Compare and set, note the step, and move the evidence, in one script."""
        line, name = case.line, case.name
        keys = [
            self._key(line, "review"),
            self._key(line, "review_steps"),
            self._key(line, "evidence", name),
            self._key(line, "exhibit", name),
            *(self._key(line, room) for room in ("pictures", "picture_bytes", "exhibits", "exhibit_bytes")),
            self._key(line, "counters"),
            self._key(line, "review_awaits"),
        ]
        args: list[bytes | int | str] = [
            name,
            encode_case(case),
            b"" if instead_of is None else encode_case(instead_of),
            encode_step(case.steps[-1]),
            self._settings.stream_length,
            self._settings.review_cases,
            "0" if case.standing is Standing.DISMISSED else "1",
            self._settings.review_bytes,
            self._key(line, ""),
            self._settings.picture_ttl_s,
            self._settings.picture_bytes,
            stamp_of(case.decision),
        ]
        with self._mapped():
            done = int(await self._put_case(keys=keys, args=args))
        if done == _FULL:
            raise too_many_cases(line, self._settings.review_cases)
        return None if done == _MOVED else _EXHIBITS[done]

    async def drop_case(self, case: Case) -> bool:
        """Compare and delete."""
        with self._mapped():
            keys = [self._key(case.line, "review"), self._key(case.line, "review_awaits")]
            return bool(await self._drop_case(keys=keys, args=[case.name, encode_case(case)]))

    async def move_case(self, case: Case, *, instead_of: Case) -> bool:
        """Compare and set, and let the exhibit have its name, in one script."""
        line, before, name = case.line, instead_of.name, case.name
        keys = [
            self._key(line, "review"),
            self._key(line, "exhibit", before),
            self._key(line, "exhibit", name),
            *(self._key(line, room) for room in ("exhibits", "exhibit_bytes", "review_awaits")),
        ]
        args = [before, name, encode_case(instead_of), encode_case(case), stamp_of(case.decision)]
        with self._mapped():
            done = int(await self._move_case(keys=keys, args=args))
        if done == _TAKEN:
            raise name_taken(line, name)
        return bool(done)

    async def review_steps(self, line: str, *, newest: int) -> list[Step]:
        """Return the newest steps."""
        with self._mapped():
            entries = await self._client.xrevrange(self._key(line, "review_steps"), count=newest)
        return [decode_step(entry[b"step"]) for _, entry in entries]

    async def exhibits(self, line: str) -> list[str]:
        """Return the order of what is kept on, from its end."""
        with self._mapped():
            found = await self._client.zrange(self._key(line, "exhibits"), 0, -1, desc=True)
        return [part_id.decode() for part_id in found]

    def _mapped(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _key(self, line: str, *parts: str) -> str:
        raise NotImplementedError
