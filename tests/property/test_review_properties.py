"""What holds for any words on a part, in any order, and for any names of parts."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from shared.domain import CameraFinding, Decision, Outcome, VerdictStatus
from shared.errors import ConfigError, StoreError
from shared.evidence import CameraEvidence, PartEvidence, Thresholds, Why
from shared.evidence_pack import EvidencePack, safe_name
from shared.review import (
    MOST_STEPS,
    Case,
    Said,
    Standing,
    decode_case,
    decode_step,
    encode_case,
    encode_step,
    settled,
    taken_back,
    with_word,
)
from shared.review_export import measured_on
from tests.lines import decided, inspected

people = st.sampled_from(["anna", "ben"])
reasons = st.sampled_from(["dust", "scratch", "I saw it"])
outcomes = st.sampled_from(Outcome)
words = st.tuples(st.sampled_from(Said), people, reasons)
ends = st.tuples(st.sampled_from([Standing.GOOD, Standing.ESCAPE, Standing.DISMISSED]), people, reasons)
odd_names = st.text(max_size=80)


def decision(outcome: Outcome, part_id: str = "p1") -> Decision:
    """Decide a part that one camera saw."""
    found = CameraFinding("top", VerdictStatus.INSPECTED, None, 1.0, 1.0, "m", "c")
    return replace(decided(part_id, outcome), findings=(found,))


def fits(said: Said, outcome: Outcome) -> bool:
    """Return whether a word can be said of a decision."""
    return said is Said.AGREED or (said is Said.ESCAPE) == (outcome is Outcome.PASS)


@given(outcomes, st.lists(words | ends, max_size=70))
def test_a_case_is_what_was_said_last_and_keeps_who_and_why(
    outcome: Outcome, steps: list[tuple[Said | Standing, str, str]]
) -> None:
    """Words open it, an engineer's end settles it; what does not fit changes nothing; it survives its bytes."""
    case: Case | None = None
    newest: tuple[str, str] | None = None
    expected, at_ns = Standing.NEW, 0
    for what, who, why in steps:
        at_ns += 1
        before = case
        try:
            if isinstance(what, Said):
                case = with_word(case, decision(outcome), what, who=who, why=why, at_ns=at_ns)
                assert fits(what, outcome)
                assert case.word is not None
                assert (case.word.said, case.word.who, case.word.why) == (what, who, why)
                expected = before.standing if before is not None and before == case else Standing.NEW
            elif case is not None:
                case = settled(case, what, who=who, why=why, at_ns=at_ns)
                expected = what
        except ConfigError:
            assert case is before
            impossible = what is Standing.ESCAPE and outcome is not Outcome.PASS
            assert impossible or (isinstance(what, Said) and not fits(what, outcome))
            continue
        if case is not None and case is not before:
            newest = who, why
            assert case.steps[-1].at_ns == at_ns
    if case is not None:
        assert case.standing is expected
        assert (case.steps[-1].who, case.steps[-1].why) == newest
        assert len(case.steps) <= MOST_STEPS
        assert decode_case(encode_case(case)) == case
        assert decode_step(encode_step(case.steps[-1])) == case.steps[-1]


@given(outcomes, words, st.integers(1, 5))
def test_a_word_said_again_changes_nothing(outcome: Outcome, word: tuple[Said, str, str], times: int) -> None:
    """Whatever the time: a button is pressed twice. After an end of the case it opens it no more."""
    said, who, why = word
    if not fits(said, outcome):
        return
    first = with_word(None, decision(outcome), said, who=who, why=why, at_ns=1)
    end = settled(first, Standing.DISMISSED, who="eve", why="done", at_ns=2)
    for case in (first, end):
        again = case
        for turn in range(times):
            again = with_word(again, decision(outcome), said, who=who, why=why, at_ns=10 + turn)
        assert again == case


def test_the_other_persons_same_word_is_another_one() -> None:
    """Two people who saw the same are more than one."""
    first = with_word(None, decision(Outcome.REJECT), Said.OVERKILL, who="anna", why="dust", at_ns=1)
    second = with_word(first, decision(Outcome.REJECT), Said.OVERKILL, who="ben", why="dust", at_ns=2)
    assert [step.who for step in second.steps] == ["anna", "ben"]


@pytest.mark.parametrize(
    ("who", "why", "cameras", "says"),
    [
        ("", "x", (), "needs who"),
        ("anna", "  ", (), "needs who"),
        ("a" * 101, "x", (), "up to"),
        ("anna", "x" * 501, (), "up to"),
        ("anna", "x", ("under",), "did not have to see"),
    ],
)
def test_what_cannot_be_said_is_refused(who: str, why: str, cameras: tuple[str, ...], says: str) -> None:
    """With what is wrong with it."""
    with pytest.raises(ConfigError, match=says):
        with_word(None, decision(Outcome.REJECT), Said.AGREED, who=who, why=why, at_ns=1, cameras=cameras)


def test_a_case_is_settled_to_an_end_only() -> None:
    """And its cameras can be corrected then."""
    case = with_word(None, decision(Outcome.PASS), Said.ESCAPE, who="anna", why="crack", at_ns=1)
    with pytest.raises(ConfigError, match="new until"):
        settled(case, Standing.NEW, who="eve", why="x", at_ns=2)
    named = settled(case, Standing.ESCAPE, who="eve", why="x", at_ns=2, cameras=("top",))
    assert named.cameras == ("top",)
    assert settled(named, Standing.ESCAPE, who="eve", why="x", at_ns=3) is named


@given(st.binary(max_size=60))
def test_bytes_that_are_no_case_are_refused(value: bytes) -> None:
    """With an error of ours."""
    for decode in (decode_case, decode_step):
        with pytest.raises(StoreError):
            decode(value)


@given(odd_names, odd_names)
@example("Top", "top")
@example("CON", "con")
def test_names_of_parts_are_safe_and_stay_apart(one: str, other: str) -> None:
    """No separator, no dot, no empty name; two parts never share one."""
    for text in (one, other):
        assert safe_name(text).isascii()
        assert 0 < len(safe_name(text)) <= 70
        assert not set(safe_name(text)) & set('./\\:*?"<>| \n\0')
    if one != other:
        assert safe_name(one).lower() != safe_name(other).lower()
    assert safe_name(safe_name(one)) != safe_name(one) or safe_name(one) == one


@pytest.mark.parametrize("name", ["con", "CON", "Nul", "aux", "prn", "com1", "lpt0"])
def test_no_part_lies_under_the_name_of_a_device(name: str) -> None:
    """Which some file systems refuse, or take for one."""
    assert safe_name(name).lower() != name.lower()


@given(odd_names, st.dictionaries(odd_names, st.binary(min_size=1, max_size=9), max_size=4), outcomes)
def test_a_pack_holds_every_picture_within_its_own_folder(
    part_id: str, cameras: dict[str, bytes], outcome: Outcome
) -> None:
    """Whatever parts and cameras are called; the same evidence gives the same bytes."""
    seen = {
        name: CameraEvidence(inspected(3.0), Thresholds(2.0), picture=data, heat_map=b"png")
        for name, data in cameras.items()
        if name
    }
    pack = EvidencePack(PartEvidence(Why.REJECTED, decision(outcome, part_id), seen))
    data = pack.zip_bytes()
    assert data == pack.zip_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(set(names)) == len(names) == 1 + 2 * len(seen)
        for name in names:
            path = PurePosixPath(name)
            assert not path.is_absolute()
            assert ".." not in path.parts
            assert path.parts[0] == pack.name
        said = pack.to_json()["cameras"]
        for camera, evidence in seen.items():
            assert archive.read(f"{pack.name}/{said[camera]['files']['picture']}") == evidence.picture


@given(st.sets(st.text(max_size=8), max_size=40), st.sets(st.text(max_size=8), max_size=10), st.floats(0.0, 0.9))
def test_what_is_measured_on_stays_so(names: set[str], later: set[str], share: float) -> None:
    """A later export trains on none of it, whatever came between."""

    def good(parts: set[str]) -> list[Case]:
        cases = [
            with_word(None, decision(Outcome.REJECT, one), Said.OVERKILL, who="a", why="b", at_ns=1) for one in parts
        ]
        return [settled(case, Standing.GOOD, who="a", why="b", at_ns=2) for case in cases]

    first = {case.name for case in measured_on(good(names), share)}
    then = [replace(case, measured=case.name in first) for case in good(names | later)]
    assert first <= names
    assert first <= {case.name for case in measured_on(then, share)}
    if len(names) > 1 and share > 0:
        assert first


@given(outcomes, st.lists(words | ends, min_size=1, max_size=20))
def test_what_is_taken_back_leaves_what_stood_before(
    outcome: Outcome, steps: list[tuple[Said | Standing, str, str]]
) -> None:
    """Step by step to the beginning; all of it stays in the history, and nobody takes back another's step."""
    stood: list[Case] = []
    case: Case | None = None
    for at_ns, (what, who, why) in enumerate(steps, 1):
        try:
            if isinstance(what, Said):
                after = with_word(case, decision(outcome), what, who=who, why=why, at_ns=at_ns)
            elif case is not None:
                after = settled(case, what, who=who, why=why, at_ns=at_ns)
            else:
                continue
        except ConfigError:
            continue
        if after != case:
            case = after
            stood.append(case)
    assume(case is not None)
    for number, before in enumerate(reversed([None, *stood[:-1]]), 1):
        assert case is not None
        last = case.in_force[-1]
        other = "ben" if last.who == "anna" else "anna"
        for who, step_ns in ((other, last.at_ns), (last.who, last.at_ns + 1_000)):
            with pytest.raises(ConfigError):
                taken_back(case, who=who, at_ns=100 + number, step_ns=step_ns)
        if last.said is None:
            with pytest.raises(ConfigError):
                taken_back(case, who=last.who, at_ns=100 + number, step_ns=last.at_ns, words_only=True)
        case = taken_back(case, who=last.who, at_ns=100 + number, step_ns=last.at_ns)
        expected = (Standing.DISMISSED, None, ()) if before is None else (before.standing, before.word, before.cameras)
        assert (case.standing, case.word, case.cameras) == expected
        assert decode_case(encode_case(case)) == case
        assert len(case.steps) == len(stood) + number
