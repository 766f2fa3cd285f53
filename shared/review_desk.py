"""The review of one line's parts in the store: words and what comes of them, by compare-and-set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.clock import Clock
from shared.domain import Decision
from shared.errors import ConfigError, ReviewFullError
from shared.review import Case, Said, Standing, Step, settled, taken_back, with_word
from shared.store.base import Exhibit, Store


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A case as it stands now, and whether its evidence is kept on."""

    case: Case
    exhibit: Exhibit


class ReviewDesk:
    """Says and settles for one line. Raises StoreError, and ConfigError for what cannot be said."""

    def __init__(self, store: Store, line: str, clock: Clock) -> None:
        self._store = store
        self._line = line
        self._clock = clock

    async def say(self, part_id: str, said: Said, *, who: str, why: str, cameras: Sequence[str] = ()) -> Reviewed:
        """Keep an operator's word on a part; said again by the same person, it changes nothing."""

        def change(case: Case | None, decision: Decision) -> Case:
            at_ns = self._clock.utc_ns()
            return with_word(case, decision, said, who=who, why=why, at_ns=at_ns, cameras=cameras)

        return await self._change(part_id, change)

    async def settle(
        self, part_id: str, standing: Standing, *, who: str, why: str, cameras: Sequence[str] | None = None
    ) -> Reviewed:
        """Confirm or dismiss a case; ConfigError where nobody said anything of the part."""
        if await self.case(part_id) is None:
            raise ConfigError(f"nobody said anything of part {part_id!r} of {self._line!r}", "Say a word on it first.")

        def change(case: Case | None, decision: Decision) -> Case:
            if case is None:
                # It had to make room since: nothing of what was said is left.
                raise ConfigError(f"the case of part {decision.part_id!r} is gone", "Say a word on it again.")
            return settled(case, standing, who=who, why=why, at_ns=self._clock.utc_ns(), cameras=cameras)

        return await self._change(part_id, change)

    async def take_back(self, part_id: str, *, who: str, step_ns: int, words_only: bool = False) -> Reviewed:
        """Take back one's own newest step, of `step_ns`; ConfigError where that is not what stands."""

        def change(case: Case | None, decision: Decision) -> Case:
            if case is None:
                raise ConfigError(
                    f"nobody said anything of part {decision.part_id!r}", "There is nothing to take back."
                )
            at_ns = max(self._clock.utc_ns(), case.steps[-1].at_ns)
            return taken_back(case, who=who, at_ns=at_ns, step_ns=step_ns, words_only=words_only)

        return await self._change(part_id, change)

    async def case(self, part_id: str) -> Case | None:
        """Return a part's case."""
        return await self._store.review_case(self._line, part_id)

    async def cases(self, standing: Standing | None = None) -> list[Case]:
        """Return the cases, or those that stand so, the newest step first."""
        found = await self._store.review_cases(self._line)
        wanted = [case for case in found if standing is None or case.standing is standing]
        return sorted(wanted, key=lambda case: (case.steps[-1].at_ns, case.part_id), reverse=True)

    async def history(self, *, newest: int) -> list[Step]:
        """Return who did what, the newest first."""
        return await self._store.review_steps(self._line, newest=newest)

    async def _change(self, part_id: str, change: Callable[[Case | None, Decision], Case]) -> Reviewed:
        while True:
            stood = await self._store.review_case(self._line, part_id)
            decision = await self._decision(part_id) if stood is None else stood.decision
            case = change(stood, decision)
            if case == stood:
                kept = part_id in await self._store.exhibits(self._line)
                return Reviewed(case, Exhibit.KEPT if kept else Exhibit.NONE)
            try:
                exhibit = await self._store.put_case(case, instead_of=stood)
            except ReviewFullError:
                await self._make_room()
                continue
            if exhibit is not None:
                return Reviewed(case, exhibit)

    async def _make_room(self) -> None:
        """Let the oldest dismissed case go; ReviewFullError where none is."""
        dismissed = await self.cases(Standing.DISMISSED)
        if not dismissed:
            raise ReviewFullError(
                f"the review of line {self._line!r} is full, and none of its cases is dismissed",
                "Export them (`linewarden review export`), and dismiss what is done.",
            )
        await self._store.drop_case(dismissed[-1])

    async def _decision(self, part_id: str) -> Decision:
        """Return how a part was decided, from its record or from its evidence, whichever is still there."""
        found = await self._store.decided(self._line, [part_id])
        if part_id in found:
            return found[part_id]
        evidence = await self._store.evidence(self._line, part_id)
        if evidence is not None:
            return evidence.decision
        raise ConfigError(
            f"part {part_id!r} of line {self._line!r} is not known, or not any more",
            "Parts are remembered for store.part_retention_s after they were decided.",
        )
