"""Confirmed parts as sets of pictures: what is written, what is left out and why, and that nothing is lost."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.pictures.mvtec import list_good, list_test
from detector.pictures.sets import read_test
from shared.clock import ManualClock
from shared.domain import CameraFinding, Outcome, VerdictStatus
from shared.errors import ConfigError
from shared.evidence import CameraEvidence, Thresholds, Why
from shared.review import Case, Said, Standing, Step
from shared.review_desk import ReviewDesk
from shared.review_export import Exported, export_review, measured_on
from tests.lines import LINE, decided, inspected
from tests.stores import embedded_store


def jpeg(level: int) -> bytes:
    """Return a small picture."""
    done, encoded = cv2.imencode(".jpg", np.full((32, 48, 3), level, dtype=np.uint8))
    assert done
    return encoded.tobytes()


def names_in(folder: Path) -> set[str]:
    """Return what lies in a folder."""
    return {path.name for path in folder.iterdir()}


class Hall:
    """A store with cases in it."""

    def __init__(self) -> None:
        self.store = embedded_store()
        self.desk = ReviewDesk(self.store, LINE, ManualClock())

    async def part(
        self, part_id: str, outcome: Outcome, standing: Standing | None, *, cameras: tuple[str, ...] = ("top",)
    ) -> None:
        """Let a part be decided, seen by cameras, spoken of and settled."""
        findings = tuple(
            CameraFinding(one, VerdictStatus.INSPECTED, None, 1.0, 1.0, "m", "c") for one in ("side", "top")
        )
        decision = replace(decided(part_id, outcome), findings=findings)
        await self.store.settle(decision, latency_ms=None)
        for number, camera in enumerate(cameras):
            seen = CameraEvidence(inspected(1.0, part_id), Thresholds(2.0), picture=jpeg(100 + number), exact=True)
            await self.store.put_evidence(decision, Why.REJECTED, camera, seen)
        said = Said.ESCAPE if outcome is Outcome.PASS else Said.OVERKILL
        await self.desk.say(part_id, said, who="anna", why="seen", cameras=())
        if standing is not None:
            await self.desk.settle(part_id, standing, who="eve", why="looked")

    async def export(self, folder: Path, test_share: float = 0.2) -> Exported:
        """Export what is confirmed."""
        return await export_review(self.store, self.desk, LINE, folder, test_share=test_share)


@pytest.fixture
async def hall() -> AsyncIterator[Hall]:
    """Serve a store in this process."""
    made = Hall()
    yield made
    await made.store.close()


async def test_the_sets_are_read_by_training_and_evaluation(hall: Hall, tmp_path: Path) -> None:
    """As they are: good ones to train on and to measure on, escapes to measure on, one set for each camera."""
    for number in range(20):
        await hall.part(f"g{number}", Outcome.REJECT, Standing.GOOD, cameras=("top", "side"))
    for number in range(3):
        await hall.part(f"e/{number}", Outcome.PASS, Standing.ESCAPE)
    done = await hall.export(tmp_path / "new" / "set")
    folder = tmp_path / "new" / "set"
    trained, tested = list_good(folder / "top"), list_test(folder / "top")
    measured = [file for file in tested if file.defect == "good"]
    assert len(trained) + len(measured) == 20
    assert measured
    assert [file.defect for file in tested if file.defect != "good"] == ["escape"] * 3
    assert len(list(read_test(folder / "top"))) == len(tested)
    assert not {path.name for path in trained} & {file.path.name for file in measured}
    assert len(list_good(folder / "side")) == len(trained)
    assert done.sets["top"]["test/escape"] == 3
    assert {path.name for path in folder.iterdir()} == {"top", "side", "export.json"}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["set"]


def confirmed(*part_ids: str) -> list[Case]:
    """Return cases that are confirmed as good."""
    step = Step("", Standing.GOOD, None, "eve", "looked", 1)
    return [Case(decided(part_id, Outcome.REJECT), (step,)) for part_id in part_ids]


def apart(low: int, high: int) -> list[str]:
    """Return names whose place among 10,000 lies between two."""
    names = (f"p{number}" for number in range(1_000))
    return [name for name in names if low <= zlib.crc32(name.encode()) % 10_000 < high]


@pytest.mark.parametrize("shares", [(0.2, 0.2, 0.2), (0.5, 0.2, 0.0)])
async def test_what_was_measured_on_is_never_trained_on(hall: Hall, tmp_path: Path, shares: tuple[float, ...]) -> None:
    """Whatever comes between two exports, by name a better choice too, and whatever share they are asked for."""
    measured: set[str] = set()
    late, early = apart(2_000, 10_000)[:4], apart(0, 2_000)[:3]
    for number, (share, names) in enumerate(zip(shares, (late[:2], late[2:], early), strict=True)):
        for name in names:
            await hall.part(name, Outcome.REJECT, Standing.GOOD)
        done = await hall.export(tmp_path / str(number), share)
        trained = {one.part_id for one in done.items if "/train/" in one.path}
        assert not trained & measured
        measured |= {one.part_id for one in done.items if "/test/" in one.path}
        assert measured
    assert {case.name for case in await hall.desk.cases() if case.measured} == measured


def test_of_two_good_parts_one_is_measured_on_where_none_was_before() -> None:
    """Of one alone none is, nor without a share; once one was, no other takes its place."""
    names = apart(2_000, 10_000)[:3]
    (first,) = measured_on(confirmed(*names), 0.2)
    assert measured_on(confirmed(*names), 0.0) == measured_on(confirmed(names[0]), 0.2) == []
    one = replace(confirmed(names[0])[0], measured=True)
    assert measured_on([one, *confirmed(*names[1:])], 0.2) == [one]
    assert first.name in names


async def test_what_is_left_out_is_told(hall: Hall, tmp_path: Path) -> None:
    """New and dismissed cases, evidence that is gone, and cameras of which there is no picture."""
    await hall.part("kept", Outcome.REJECT, Standing.GOOD)
    await hall.part("new", Outcome.REJECT, None)
    await hall.part("done", Outcome.REJECT, Standing.DISMISSED)
    await hall.part("gone", Outcome.REJECT, Standing.GOOD, cameras=())
    done = await hall.export(tmp_path / "set", test_share=0.0)
    assert [(item.part_id, item.camera, item.path) for item in done.items] == [
        ("kept", "top", "top/train/good/kept.jpg")
    ]
    whys = {(one.part_id, one.camera): one.why for one in done.left_out}
    assert whys.keys() == {("new", ""), ("done", ""), ("gone", ""), ("kept", "side")}
    assert "dismissed" in whys["done", ""]
    assert "expired" in whys["gone", ""]
    said = json.loads((tmp_path / "set" / "export.json").read_text(encoding="utf-8"))
    assert said == done.to_json()
    assert said["cases"] == {"dismissed": 1, "good": 2, "new": 1}


async def test_only_the_named_cameras_are_written(hall: Hall, tmp_path: Path) -> None:
    """An escape that one camera shows is no escape of the others' pictures."""
    await hall.part("e", Outcome.PASS, None, cameras=("top", "side"))
    await hall.desk.settle("e", Standing.ESCAPE, who="eve", why="crack", cameras=("side",))
    done = await hall.export(tmp_path / "set")
    assert [item.path for item in done.items] == ["side/test/escape/e.jpg"]
    assert done.left_out == ()


@pytest.mark.parametrize("kind", ["full", "file", "under a file"])
async def test_nothing_is_overwritten(hall: Hall, tmp_path: Path, kind: str) -> None:
    """What is there stays as it is, and nothing half done lies beside it."""
    await hall.part("kept", Outcome.REJECT, Standing.GOOD)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("precious")
    (tmp_path / "plain").write_text("precious")
    folder = {"full": "there", "file": "plain", "under a file": "plain/set"}[kind]
    with pytest.raises(ConfigError, match=r"not an empty folder|cannot write"):
        await hall.export(tmp_path / folder)
    assert names_in(tmp_path) == {"there", "plain"}
    assert (tmp_path / "there" / "mine.txt").read_text() == "precious"


async def test_an_export_that_fails_leaves_nothing(hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a part of it."""
    await hall.part("kept", Outcome.REJECT, Standing.GOOD)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ConfigError, match="No space left"):
        await hall.export(tmp_path / "set")
    assert names_in(tmp_path) == set()


async def test_an_empty_folder_will_do(hall: Hall, tmp_path: Path) -> None:
    """As one that was just made."""
    (tmp_path / "set").mkdir()
    done = await hall.export(tmp_path / "set")
    assert done.items == ()
    assert (tmp_path / "set" / "export.json").is_file()
