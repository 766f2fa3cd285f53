"""The review at the console: words on parts, what engineers make of them, and who did what."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Final

from alerting.console.context import Context
from alerting.console.rights import Permission, Principal
from alerting.console.views import LETTERS, WORDS, clock_text
from shared.errors import ConfigError, ReviewFullError
from shared.review import Case, Said, Standing, Step
from shared.review_desk import ReviewDesk, Reviewed
from shared.settings import LineSettings
from shared.shifts import zone_of
from shared.store.base import Exhibit

STANDINGS: Final = {
    Standing.NEW: "new",
    Standing.GOOD: "confirmed as good: proposed for the bank",
    Standing.ESCAPE: "confirmed as an escape: an evaluation case",
    Standing.DISMISSED: "dismissed",
}
_SETTLED: Final = {
    Standing.GOOD: "confirmed as good",
    Standing.ESCAPE: "confirmed as an escape",
    Standing.DISMISSED: "dismissed",
}
_ORDER: Final = {standing: place for place, standing in enumerate(Standing)}
KEPT: Final = {
    Exhibit.KEPT: "Its evidence is kept.",
    Exhibit.NONE: "No evidence is kept of it.",
    Exhibit.NO_ROOM: "There is no room to keep its evidence (store.review_mib): it expires.",
}


class ReviewWork:
    """One line's. Whatever is said is in the audit, too."""

    def __init__(self, context: Context, line: LineSettings) -> None:
        self._context = context
        self._line = line
        self._desk = ReviewDesk(context.store, line.name, context.clock)

    async def say(
        self, part_id: str, said: Said, *, by: Principal, why: str, cameras: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Keep a word on a part."""
        done = await self._full(self._desk.say(part_id, said, who=by.name, why=why, cameras=cameras))
        return await self._done(done, by, f"said {said}", why)

    async def take_back(self, part_id: str, step: str, *, by: Principal) -> dict[str, Any]:
        """Take back one's own newest step; without the right to confirm only a word."""
        words_only = not by.may(Permission.CONFIRM, self._line.name)
        done = await self._desk.take_back(part_id, who=by.name, step_ns=int(step), words_only=words_only)
        return await self._done(done, by, f"took back {done.case.steps[-1].takes_back}", "")

    async def settle(
        self, part_id: str, standing: Standing, *, by: Principal, why: str, cameras: Sequence[str] | None
    ) -> dict[str, Any]:
        """Confirm or dismiss a case."""
        done = await self._desk.settle(part_id, standing, who=by.name, why=why, cameras=cameras)
        return await self._done(done, by, _SETTLED[standing], why)

    async def cases(self, standing: Standing | None = None) -> list[dict[str, Any]]:
        """Return the line's cases: those that are new first, then by their newest step."""
        found = [case for case in await self._desk.told_apart() if standing is None or case.standing is standing]
        kept = set(await self._context.store.exhibits(self._line.name))
        ordered = sorted(found, key=lambda case: _ORDER[case.standing])
        return [case_json(case, self._line, kept=case.name in kept) for case in ordered]

    async def case(self, part_id: str) -> dict[str, Any] | None:
        """Return a part's case."""
        found = await self._desk.case(part_id)
        if found is None:
            return None
        kept = part_id in await self._context.store.exhibits(self._line.name)
        return case_json(found, self._line, kept=kept)

    async def history(self, *, newest: int) -> list[dict[str, Any]]:
        """Return who did what, the newest first."""
        return [step_json(step, self._line) for step in await self._desk.history(newest=newest)]

    async def _full(self, saying: Awaitable[Reviewed]) -> Reviewed:
        try:
            return await saying
        except ReviewFullError as error:
            raise ConfigError(error.problem, error.remedy) from None

    async def _done(self, done: Reviewed, by: Principal, what: str, why: str) -> dict[str, Any]:
        subject = f"{self._line.name} part {done.case.name}"
        at_ns = self._context.clock.utc_ns()
        await self._context.audit.note(by.name, f"review: {what}", subject, at_ns=at_ns, why=why)
        kept = done.exhibit is Exhibit.KEPT
        return {**case_json(done.case, self._line, kept=kept), "evidence_said": KEPT[done.exhibit]}


def case_json(case: Case, line: LineSettings, *, kept: bool) -> dict[str, Any]:
    """Return a case with its history, oldest first; `takes_back` is the step that its author may take back."""
    word, standing = case.word, case.in_force
    decision = case.decision
    return {
        "line": line.name,
        "part_id": case.name,
        "outcome": decision.outcome.value,
        "outcome_text": WORDS[decision.outcome],
        "letter": LETTERS[decision.outcome],
        "captured": clock_text(decision.captured_at_ns, zone_of(line.time_zone)),
        "standing": case.standing.value,
        "standing_text": STANDINGS[case.standing],
        "said": None if word is None or word.said is None else word.said.value,
        "cameras": list(case.cameras),
        "evidence_kept": kept,
        "newest": None if not standing else step_json(standing[-1], line),
        "steps": [step_json(step, line) for step in case.steps],
    }


def step_json(step: Step, line: LineSettings) -> dict[str, Any]:
    """Return who said what, when and why; `step` names it for taking it back."""
    if step.takes_back:
        what = f"took back: {step.takes_back}"
    else:
        what = _SETTLED.get(step.standing, "new") if step.said is None else f"said {step.said}"
    return {
        "line": line.name,
        "part_id": step.part_id,
        "what": what,
        "word": step.said is not None,
        "standing": step.standing.value,
        "who": step.who,
        "why": step.why,
        "at": clock_text(step.at_ns, zone_of(line.time_zone)),
        "at_ns": step.at_ns,
        "step": str(step.at_ns),
        "cameras": list(step.cameras),
    }
