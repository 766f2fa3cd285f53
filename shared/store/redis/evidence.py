"""The evidence's part of the store on Redis: it shares the pictures' room, and stays where a review keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, Final

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
from shared.store.reading import DECISION, UNREADABLE, newest_cover
from shared.store.settings import StoreSettings

_NAME: Final = "evidence:"
_PLACES: Final = ("exhibit", "evidence")


class RedisEvidence:
    """What `RedisStore` does about evidence."""

    _client: Any
    _put_evidence: Any
    _settings: StoreSettings

    async def decided(self, line: str, part_ids: Sequence[str]) -> dict[str, Decision]:
        """Ask for all of them in one round trip."""
        if not part_ids:
            return {}
        with self._mapped():
            async with self._client.pipeline(transaction=False) as step:
                for part_id in part_ids:
                    step.hmget(self._key(line, "part", part_id), "settled", "claim")
                answers = await step.execute()
        found = {}
        for part_id, (settled, value) in zip(part_ids, answers, strict=True):
            if settled and value:
                with suppress(*UNREADABLE):
                    found[part_id] = DECISION.decode(value)
        return found

    async def put_evidence(
        self, decision: Decision, why: Why, camera: str, evidence: CameraEvidence, *, instead: bool = True
    ) -> bool:
        """Keep it, and let the line's oldest pictures and evidence go where it needs their room, in one step."""
        line, part_id = decision.line, decision.part_id
        keys = [
            *(self._key(line, name) for name in ("pictures", "picture_bytes", "counters")),
            self._key(line, "evidence", part_id),
            self._key(line, "exhibit", part_id),
            *(self._key(line, name) for name in ("exhibits", "exhibit_bytes", "review_awaits")),
        ]
        args: list[bytes | int | str] = [
            self._key(line, ""),
            part_id,
            self._settings.picture_ttl_s,
            self._settings.picture_bytes,
            encode_cover(Cover(why, decision)),
            camera,
            encode_camera(evidence),
            stamp_of(decision),
            self._settings.review_bytes,
            "1" if instead else "0",
        ]
        with self._mapped():
            kept = await self._put_evidence(keys=keys, args=args)
        return bool(kept)

    async def evidence(self, line: str, part_id: str) -> PartEvidence | None:
        """Look where reviews keep it and among what expires."""
        with self._mapped():
            async with self._client.pipeline(transaction=True) as step:
                for place in _PLACES:
                    step.hgetall(self._key(line, place, part_id))
                answers = await step.execute()
        which = newest_cover([found.get(b"") for found in answers])
        if which is None:
            return None
        fields = {name.decode(): value for name, value in answers[which].items()}
        return decode_evidence(fields, kept_on=_PLACES[which] == "exhibit")

    async def camera_evidence(self, line: str, part_id: str, camera: str) -> CameraEvidence | None:
        """Ask for its field and the cover alone, where reviews keep it and among what expires."""
        with self._mapped():
            async with self._client.pipeline(transaction=True) as step:
                for place in _PLACES:
                    step.hmget(self._key(line, place, part_id), "", camera)
                answers = await step.execute()
        which = newest_cover([cover for cover, _ in answers])
        found = None if which is None else answers[which][1]
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
        found: dict[str, Cover] = {}
        for part_id, exhibit, expiring in zip(part_ids, answers[::2], answers[1::2], strict=True):
            which = newest_cover([exhibit, expiring])
            if which is not None:
                found[part_id] = decode_cover((exhibit, expiring)[which])
        return found

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
