"""The work behind `linewarden review`: the desk of a line in the store of its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.adapters import make_store
from deploy.policy_tools import line_of
from shared.clock import SystemClock
from shared.errors import ConfigError
from shared.evidence_pack import EvidencePack
from shared.review import Case, Said, Standing
from shared.review_desk import ReviewDesk, Reviewed
from shared.review_export import Exported, export_review, refuse_to_overwrite
from shared.settings import load
from shared.store.base import Store


@dataclass(frozen=True, slots=True)
class Row:
    """A case, and whether its evidence is kept on."""

    case: Case
    kept: bool


async def listed(config: Path, line: str | None, standing: Standing | None) -> list[Row]:
    """Return a line's cases, the newest first."""
    async with _desk(config, line) as (store, desk, name):
        cases = [case for case in await desk.told_apart() if standing in {None, case.standing}]
        kept = set(await store.exhibits(name))
        return [Row(case, case.name in kept) for case in cases]


async def say(
    config: Path, line: str | None, part_id: str, said: Said, *, who: str, why: str, cameras: list[str]
) -> Reviewed:
    """Keep a word on a part."""
    async with _desk(config, line) as (_, desk, _):
        return await desk.say(part_id, said, who=who, why=why, cameras=cameras)


async def settle(
    config: Path, line: str | None, part_id: str, standing: Standing, *, who: str, why: str, cameras: list[str] | None
) -> Reviewed:
    """Confirm or dismiss a case."""
    async with _desk(config, line) as (_, desk, _):
        return await desk.settle(part_id, standing, who=who, why=why, cameras=cameras)


async def export(config: Path, line: str | None, folder: Path, test_share: float) -> Exported:
    """Write the confirmed cases of a line into a new folder."""
    refuse_to_overwrite(folder)
    async with _desk(config, line) as (store, desk, name):
        return await export_review(store, desk, name, folder, test_share=test_share)


async def packed(config: Path, line: str | None, part_id: str) -> bytes:
    """Return the zip of a part's evidence; ConfigError where none is kept."""
    async with _desk(config, line) as (store, desk, name):
        kept = await store.evidence(name, part_id)
        if kept is None:
            raise ConfigError(
                f"no evidence of part {part_id!r} of line {name!r} is kept, or not any more",
                "It is kept for store.picture_ttl_s, and for good once somebody said a word on the part.",
            )
        return EvidencePack(kept, await desk.case(part_id), await store.ledger_record(name, part_id)).zip_bytes()


@asynccontextmanager
async def _desk(config: Path, line: str | None) -> AsyncIterator[tuple[Store, ReviewDesk, str]]:
    settings = load(config)
    name = line_of(settings, line).name
    if settings.store.embedded:
        raise ConfigError("the store memory:// lives in the process that runs the line", "Use redis:// for reviews.")
    store = make_store(settings)
    try:
        yield store, ReviewDesk(store, name, SystemClock()), name
    finally:
        await store.close()
