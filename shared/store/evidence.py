"""The evidence's part of the store on Redis: it shares the pictures' room, and stays where a review keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import msgspec

from shared.domain import Decision
from shared.errors import StoreError
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
)

_DECISION: Final = msgspec.msgpack.Decoder(Decision)
_NAME: Final = "evidence:"
_PLACES: Final = ("exhibit", "evidence")


class RedisEvidence:
    """What `RedisStore` does about evidence."""

    _client: Any
    _put_evidence: Any
    _picture_ttl_s: int
    _picture_bytes: int
    _sweeps: bool

    async def decided(self, line: str, part_ids: Sequence[str]) -> dict[str, Decision]:
        """Ask for all of them in one round trip."""
        if not part_ids:
            return {}
        with self._mapped():
            async with self._client.pipeline(transaction=False) as step:
                for part_id in part_ids:
                    step.hmget(self._key(line, "part", part_id), "settled", "claim")
                answers = await step.execute()
        found = zip(part_ids, answers, strict=True)
        try:
            return {part_id: _DECISION.decode(value) for part_id, (settled, value) in found if settled and value}
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise StoreError(f"a settled decision of line {line!r} cannot be read: {error}") from error

    async def put_evidence(self, decision: Decision, why: Why, camera: str, evidence: CameraEvidence) -> bool:
        """Keep it, and let the line's oldest pictures and evidence go where it needs their room, in one step."""
        line, part_id = decision.line, decision.part_id
        keys = [
            *(self._key(line, name) for name in ("pictures", "picture_bytes", "counters")),
            self._key(line, "evidence", part_id),
            self._key(line, "exhibit", part_id),
            self._key(line, "exhibit_bytes"),
        ]
        args: list[bytes | int | str] = [
            self._key(line, ""),
            part_id,
            self._picture_ttl_s,
            self._picture_bytes,
            encode_cover(Cover(why, decision)),
            camera,
            encode_camera(evidence),
        ]
        with self._mapped():
            kept = await self._put_evidence(keys=keys, args=args)
            if self._sweeps:
                await self._client.dbsize()
        return bool(kept)

    async def evidence(self, line: str, part_id: str) -> PartEvidence | None:
        """Look where reviews keep it first, then among what expires; it may move from there meanwhile."""
        for place, kept_on in (("exhibit", True), ("evidence", False), ("exhibit", True)):
            with self._mapped():
                found = await self._client.hgetall(self._key(line, place, part_id))
            if found:
                return decode_evidence({name.decode(): value for name, value in found.items()}, kept_on=kept_on)
        return None

    async def camera_evidence(self, line: str, part_id: str, camera: str) -> CameraEvidence | None:
        """Ask for its field alone, where reviews keep it and among what expires."""
        with self._mapped():
            async with self._client.pipeline(transaction=True) as step:
                for place in _PLACES:
                    step.hget(self._key(line, place, part_id), camera)
                answers = await step.execute()
        found = next((value for value in answers if value is not None), None)
        return None if found is None or not camera else decode_camera(found)

    async def evidence_covers(self, line: str, part_ids: Sequence[str]) -> dict[str, Cover]:
        """Ask for all of them in one round trip."""
        if not part_ids:
            return {}
        with self._mapped():
            async with self._client.pipeline(transaction=True) as step:
                for part_id in part_ids:
                    for place in _PLACES:
                        step.hget(self._key(line, place, part_id), "")
                answers = await step.execute()
        pairs = zip(answers[::2], answers[1::2], strict=True)
        found = {part_id: exhibit or value for part_id, (exhibit, value) in zip(part_ids, pairs, strict=True)}
        return {part_id: decode_cover(value) for part_id, value in found.items() if value is not None}

    async def evidence_parts(self, line: str, *, newest: int) -> list[str]:
        """Read the room's order from its end; what expired meanwhile is left out."""
        with self._mapped():
            names = await self._client.zrange(self._key(line, "pictures"), 0, -1, desc=True)
            parts = [name.decode().removeprefix(_NAME) for name in names if name.decode().startswith(_NAME)][:newest]
            async with self._client.pipeline(transaction=False) as step:
                for part_id in parts:
                    step.exists(self._key(line, "evidence", part_id))
                there = await step.execute() if parts else []
        return [part_id for part_id, is_there in zip(parts, there, strict=True) if is_there]

    def _mapped(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _key(self, line: str, *parts: str) -> str:
        raise NotImplementedError
