"""Roles with a bug planted in them, for a fault campaign that must catch it: python -m tests.faults.planted BUG ...

What follows the bug's name is what `deploy.faults.role` takes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

from alerting.parts import OpenPart, PartTable
from alerting.policy import Judgement, judge
from deploy.faults import role
from shared.bus.base import Record
from shared.bus.intake import Intake, token_of
from shared.domain import Decision, Outcome, PartAnnouncement, Verdict
from shared.policy import LinePolicy
from shared.store.base import PartRecord
from shared.store.redis import RedisStore


def forget_decisions() -> None:
    """Let alerting forget what it decided, in its memory and in the store: a part that comes again is decided again."""

    def close(self: PartTable, part: OpenPart) -> None:
        self._open.pop(part.announcement.part_id, None)

    announce = RedisStore.announce

    async def unclaimed(self: RedisStore, part: PartAnnouncement) -> PartRecord:
        await announce(self, part)
        return PartRecord()

    async def granted(_: RedisStore, decision: Decision, *, token: int | None = None) -> Decision:
        del token
        return decision

    settle = RedisStore.settle

    async def unsettled(self: RedisStore, decision: Decision, **kept: Any) -> bool:  # noqa: ANN401 - as it is called
        await self._client.hdel(self._part(decision.line, decision.part_id), "settled")
        return await settle(self, decision, **kept)

    patch.object(RedisStore, "settle", unsettled).start()
    patch.object(PartTable, "close", close).start()
    patch.object(RedisStore, "announce", unclaimed).start()
    patch.object(RedisStore, "claim", granted).start()


def trust_silence() -> None:
    """Let a part pass that no camera spoke of."""

    def lenient(cameras: Iterable[str], verdicts: Mapping[str, Verdict], policy: LinePolicy) -> Judgement:
        found = judge(cameras, verdicts, policy)
        return replace(found, outcome=Outcome.PASS) if found.outcome is Outcome.DEFAULT_REJECT else found

    patch("alerting.rules.judge", lenient).start()


def commit_first() -> None:
    """Commit what was polled before anything was done with it."""
    poll = Intake.poll

    async def forward(self: Intake, max_records: int) -> list[Record]:
        records = await poll(self, max_records)
        self.done(token_of(record) for record in records)
        await self.commit()
        return records

    patch.object(Intake, "poll", forward).start()


BUGS: Final[dict[str, Callable[[], None]]] = {
    "double-decision": forget_decisions,
    "pass-without-verdict": trust_silence,
    "commit-before-acknowledge": commit_first,
}


def main() -> None:
    """Plant it, and run the role."""
    BUGS[sys.argv.pop(1)]()
    role.main()


if __name__ == "__main__":
    main()
