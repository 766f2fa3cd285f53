"""What is wrong with one part's evidence, or its line's record, ends no detector and costs no other part's."""

from __future__ import annotations

from typing import Any

import pytest

from detector.evidence import keeper
from shared.domain import Decision, Outcome
from shared.errors import StoreError
from shared.policy_keeper import PolicyKeeper
from shared.store.memory.data import PartData
from tests.at_once import AtOnce
from tests.detector_bench import bench
from tests.lines import LINE
from tests.unit.test_evidence_keeper import decision, kept, settle


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "ThreadPoolExecutor", AtOnce)


async def _broken(*_: object, **__: object) -> None:
    raise KeyError("nobody foresaw it")


async def test_a_policys_record_that_cannot_be_read_ends_no_detector() -> None:
    """The threshold of the decision is known all the same."""
    async with bench(keeps=True) as line:
        capture = await line.send()
        await line.answers(1)
        policies = PolicyKeeper(line.store, line.topics, LINE)
        line.store.data.notes[policies._policy].append(b"\xff", at_ms=0, length=100)
        await settle(line, decision(capture, Outcome.REJECT, version=7))
        assert await kept(line, capture) is not None
        assert await line.send()
        assert await line.answers(1)


@pytest.mark.parametrize("failing", ["decided", "kept", "notes", "put_evidence"])
async def test_an_error_that_nobody_foresaw_costs_what_it_concerns_alone(
    monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """It ends no detector, and evidence of parts that come later is kept."""
    async with bench(keeps=True) as line:
        first = await line.send()
        await line.answers(1)
        with monkeypatch.context() as broken:
            broken.setattr(line.store, failing, _broken)
            await settle(line, decision(first, Outcome.REJECT, version=7))
        second = await line.send()
        assert await line.answers(1)
        await settle(line, decision(second, Outcome.REJECT))
        assert await kept(line, second) is not None


async def test_a_part_that_cannot_be_kept_keeps_up_no_other_of_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by a record that cannot be read nor by what stands in the place of its evidence."""
    async with bench(keeps=True) as line:
        captures = [await line.send() for _ in range(3)]
        await line.answers(3)
        record = line.store.data.line(LINE)
        record.parts.put(captures[0].part_id, PartData(settled=True, claim=b"\xff"), 60)
        put = line.store.put_evidence

        async def refused(decided: Decision, *args: Any, **kept: Any) -> bool:  # noqa: ANN401 - as it is called
            if decided.part_id == captures[1].part_id:
                raise StoreError("Redis refused a command (WRONGTYPE)")
            return await put(decided, *args, **kept)

        monkeypatch.setattr(line.store, "put_evidence", refused)
        await settle(line, *(decision(one, Outcome.REJECT) for one in captures[1:]))
        assert await kept(line, captures[2]) is not None
