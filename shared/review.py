"""What operators say of parts that were decided, and what comes of it. Pure.

A word stands for a part until another one does; every one stays in the part's case, with who, when and why. A case is
new until an engineer confirms it as good (its pictures may be proposed for the bank) or as an escape (they become
evaluation cases), or dismisses it. Another word opens it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from shared.clock import NS_PER_S
from shared.domain import Decision, Outcome
from shared.errors import ConfigError, StoreError

FORMAT: Final = 1
MOST_STEPS: Final = 50
"""How much of a case's history is kept with it; of more the oldest go, and stand in the line's record alone."""

LONGEST_NAME: Final = 100
LONGEST_REASON: Final = 500


class Said(StrEnum):
    """What an operator says of a decision."""

    OVERKILL = "overkill"
    ESCAPE = "escape"
    AGREED = "agreed"


class Standing(StrEnum):
    """Where a case stands."""

    NEW = "new"
    GOOD = "good"
    ESCAPE = "escape"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class Step:
    """Who said what of a part, or confirmed or dismissed its case, when (UTC ns) and why.

    A word has `said`; what an engineer makes of it has none, and another standing than new. `cameras` names those whose
    pictures it is about; none means all. A step with `takes_back` takes back the word or standing that it names, and
    what stood before stands again; where that is nothing, the case is dismissed.
    """

    part_id: str
    standing: Standing
    said: Said | None
    who: str
    why: str
    at_ns: int
    cameras: tuple[str, ...] = ()
    takes_back: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A part that somebody said something of: the decision that it is about, and its history, oldest first.

    `aside` is its name once a newer part of the same name was spoken of; `measured` says that an export gave it to be
    measured on, so that none trains on it ever after.
    """

    decision: Decision
    steps: tuple[Step, ...]
    format: int = FORMAT
    aside: str = ""
    measured: bool = False

    @property
    def line(self) -> str:
        """Return the line."""
        return self.decision.line

    @property
    def part_id(self) -> str:
        """Return the part."""
        return self.decision.part_id

    @property
    def name(self) -> str:
        """Return what it is called by: its part, or the name that it was set aside under."""
        return self.aside or self.part_id

    @property
    def standing(self) -> Standing:
        """Return where it stands."""
        return self.steps[-1].standing

    @property
    def in_force(self) -> tuple[Step, ...]:
        """Return the steps that nobody took back, oldest first."""
        found: list[Step] = []
        for step in self.steps:
            if not step.takes_back:
                found.append(step)
            elif found:
                found.pop()
        return tuple(found)

    @property
    def word(self) -> Step | None:
        """Return the newest word that stands, as far back as steps are kept."""
        return next((step for step in reversed(self.in_force) if step.said is not None), None)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Return whose pictures it is about: what was said of it last; none means all."""
        return next((step.cameras for step in reversed(self.in_force) if step.cameras), ())

    def to_json(self) -> dict[str, Any]:
        """Return it under stable names."""
        return {
            "line": self.line,
            "part_id": self.part_id,
            "name": self.name,
            "captured_at_ns": self.decision.captured_at_ns,
            "outcome": self.decision.outcome,
            "standing": self.standing,
            "said": None if self.word is None else self.word.said,
            "cameras": list(self.cameras),
            "steps": [asdict(step) for step in self.steps],
        }


_CASE: Final = msgspec.msgpack.Decoder(Case)
_STEP: Final = msgspec.msgpack.Decoder(Step)
_BROKEN: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def with_word(
    case: Case | None,
    decision: Decision,
    said: Said,
    *,
    who: str,
    why: str,
    at_ns: int,
    cameras: Sequence[str] = (),
) -> Case:
    """Return a part's case with an operator's word; the same case where the same person said just that last.

    ConfigError for a word that does not fit the decision: only what passed can be an escape, only what did not pass
    overkill.
    """
    passed = decision.outcome is Outcome.PASS
    if said is not Said.AGREED and passed != (said is Said.ESCAPE):
        other = Said.ESCAPE if passed else Said.OVERKILL
        raise ConfigError(
            f"part {decision.part_id!r} was decided {decision.outcome}: it cannot be called {said}",
            f"Say {other} or {Said.AGREED}.",
        )
    step = Step(decision.part_id, Standing.NEW, said, *_signed(who, why), at_ns, _named(decision, cameras))
    if case is None:
        return Case(decision, (step,))
    last = case.word
    if last is not None and replace(step, at_ns=last.at_ns) == last:
        return case
    return _with(case, step)


def settled(
    case: Case, standing: Standing, *, who: str, why: str, at_ns: int, cameras: Sequence[str] | None = None
) -> Case:
    """Return a case as an engineer leaves it; the same case where it stands so already.

    `cameras` changes whose pictures it is about. ConfigError for a standing that cannot be chosen.
    """
    if standing is Standing.NEW:
        raise ConfigError("a case is new until it is confirmed or dismissed", "Say a new word to open it again.")
    if standing is Standing.ESCAPE and case.decision.outcome is not Outcome.PASS:
        raise ConfigError(
            f"part {case.part_id!r} was decided {case.decision.outcome}: it did not escape", "Confirm it as good."
        )
    named = case.cameras if cameras is None else _named(case.decision, cameras)
    if case.standing is standing and named == case.cameras:
        return case
    return _with(case, Step(case.part_id, standing, None, *_signed(who, why), at_ns, named))


def taken_back(case: Case, *, who: str, at_ns: int, step_ns: int, words_only: bool = False) -> Case:
    """Return a case without the newest step that stands, which must be `who`'s own and be of `step_ns`.

    With `words_only` it must be a word. Nothing is lost: that it was taken back is a step of its own. ConfigError for
    what cannot be taken back.
    """
    standing = case.in_force
    if not standing or standing[-1].at_ns != step_ns:
        raise ConfigError(
            f"something else was said of part {case.part_id!r} meanwhile", "Load the page again, and look."
        )
    last = standing[-1]
    if last.who != who or (words_only and last.said is None):
        raise ConfigError(
            f"what stands of part {case.part_id!r} was said by {last.who}", "Say a word of your own on it."
        )
    before = standing[-2].standing if len(standing) > 1 else Standing.DISMISSED
    name = last.standing.value if last.said is None else last.said.value
    return _with(case, Step(case.part_id, before, None, *_signed(who, "taken back"), at_ns, takes_back=name))


def set_aside(case: Case) -> Case:
    """Return a case under a name of its own, with the time of its part's capture: `17@2026-01-31T06:00:00.000000000Z`.

    Part numbers come again, and what is said of a newer part stands under the number.
    """
    return replace(case, aside=aside_name(case.decision))


def aside_name(decision: Decision) -> str:
    """Return what the case of a part is called once a newer part of its name was spoken of."""
    at_s, rest_ns = divmod(decision.captured_at_ns, NS_PER_S)
    at = datetime.fromtimestamp(at_s, UTC).replace(tzinfo=None).isoformat()
    return f"{decision.part_id}@{at}.{rest_ns:09d}Z"


def encode_case(case: Case) -> bytes:
    """Return a case's bytes."""
    return msgspec.msgpack.encode(case)


def decode_case(value: bytes) -> Case:
    """Read what `encode_case` wrote; StoreError for anything else, and for what is newer."""
    try:
        case = _CASE.decode(value)
    except _BROKEN as error:
        raise StoreError(f"a review case cannot be read: {error}") from error
    if case.format > FORMAT or not case.steps:
        raise StoreError(f"a review case has format {case.format}, this reader knows {FORMAT}", "Update it first.")
    return case


def encode_step(step: Step) -> bytes:
    """Return a step's bytes."""
    return msgspec.msgpack.encode(step)


def decode_step(value: bytes) -> Step:
    """Read what `encode_step` wrote; StoreError for anything else."""
    try:
        return _STEP.decode(value)
    except _BROKEN as error:
        raise StoreError(f"a step of a review cannot be read: {error}") from error


def _with(case: Case, step: Step) -> Case:
    return replace(case, steps=(*case.steps, step)[-MOST_STEPS:])


def _signed(who: str, why: str) -> tuple[str, str]:
    who, why = who.strip(), why.strip()
    if not who or not why:
        raise ConfigError("a word needs who says it and why", "Both stay with the part.")
    if len(who) > LONGEST_NAME or len(why) > LONGEST_REASON:
        raise ConfigError(f"a name has up to {LONGEST_NAME} letters, a reason up to {LONGEST_REASON}", "Be brief.")
    return who, why


def _named(decision: Decision, cameras: Sequence[str]) -> tuple[str, ...]:
    known = {found.camera for found in decision.findings}
    strangers = sorted(set(cameras) - known)
    if strangers:
        raise ConfigError(
            f"camera {strangers[0]!r} did not have to see part {decision.part_id!r}",
            f"Those that had to: {', '.join(sorted(known))}.",
        )
    return tuple(sorted(set(cameras)))
