"""`linewarden review` and `trends` on a real Redis: from a word to pictures that are trained and evaluated on."""

from __future__ import annotations

import asyncio
import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from deploy.adapters import make_store
from deploy.cli import app
from shared.clock import NS_PER_MS, SystemClock
from shared.domain import CameraFinding, Decision, Outcome, VerdictStatus
from shared.errors import ConfigError
from shared.evidence import CameraEvidence, Thresholds, Why
from shared.settings import Settings, load
from shared.store.base import Store
from tests.lines import CAMERA, LINE, decided, inspected
from tests.plates import plate

pytestmark = pytest.mark.redis

GOODS = 20
ESCAPES = 3


@pytest.fixture
def config(redis_url: str, tmp_path: Path) -> Path:
    """Give the settings of a line some of whose parts have evidence."""
    path = tmp_path / "line.toml"
    prefix = f"review-{uuid4().hex}"
    path.write_text(f'[store]\nurl = "{redis_url}"\nkey_prefix = "{prefix}"\n[[lines]]\nname = "{LINE}"\n')
    asyncio.run(fill(load(path)))
    return path


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """Return a picture (H, W, 3) RGB as a JPEG."""
    done, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done
    return encoded.tobytes()


async def fill(settings: Settings) -> None:
    """Decide good plates that were rejected, and plates with a hole that passed."""
    store = make_store(settings)
    for number in range(GOODS):
        await decide(store, f"good-{number}", Outcome.REJECT, plate(number))
    for number in range(ESCAPES):
        await decide(store, f"bad-{number}", Outcome.PASS, plate(200 + number, hole=True))
    await store.close()


async def decide(store: Store, part_id: str, outcome: Outcome, picture: NDArray[np.uint8]) -> Decision:
    """Let a part be settled now, with evidence of its camera."""
    now_ns = SystemClock().utc_ns()
    found = CameraFinding(CAMERA, VerdictStatus.INSPECTED, None, 1.0, 2.5, "m", "c", place=(0.1, 0.9))
    stamps = {"signalled": now_ns + 30 * NS_PER_MS}
    decision = replace(decided(part_id, outcome, at_ns=now_ns), findings=(found,), stamps_ns=stamps)
    await store.settle(decision, latency_ms=30.0)
    seen = CameraEvidence(inspected(2.5, part_id, at_ns=now_ns), Thresholds(2.0), picture=jpeg(picture), exact=True)
    await store.put_evidence(decision, Why.REJECTED, CAMERA, seen)
    return decision


def run(config: Path, *arguments: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, [*map(str, arguments), "--config", str(config)], catch_exceptions=False)


def said(config: Path, part_id: str, word: str, *arguments: str) -> str:
    """Say a word, and return what the command says."""
    done = run(config, "review", "say", part_id, word, "--reason", "seen", "--who", "anna", *arguments)
    assert done.exit_code == 0, done.output
    return done.output


def confirmed(config: Path, part_id: str, standing: str) -> None:
    """Confirm a case."""
    done = run(config, "review", "confirm", part_id, "--as", standing, "--reason", "looked", "--who", "eve")
    assert done.exit_code == 0, done.output


def listed(config: Path, *arguments: str) -> dict[str, str]:
    """Return each listed part's standing."""
    out = config.with_suffix(".json")
    assert run(config, "review", "list", "--json", out, *arguments).exit_code == 0
    return {row["part_id"]: row["standing"] for row in json.loads(out.read_text())}


def test_a_word_is_said_listed_and_confirmed(config: Path) -> None:
    """With its evidence kept, and a second word that opens the case again."""
    assert "evidence is kept" in said(config, "good-1", "overkill")
    said(config, "good-2", "agreed")
    confirmed(config, "good-1", "good")
    assert listed(config) == {"good-1": "good", "good-2": "new"}
    assert listed(config, "--standing", "new") == {"good-2": "new"}
    confirmed(config, "good-2", "dismissed")
    said(config, "good-1", "agreed")
    assert listed(config) == {"good-1": "new", "good-2": "dismissed"}
    rows = json.loads(config.with_suffix(".json").read_text())
    steps = {row["part_id"]: [(step["who"], step["said"]) for step in row["steps"]] for row in rows}
    assert steps["good-1"] == [("anna", "overkill"), ("eve", None), ("anna", "agreed")]


@pytest.mark.timeout(120)
def test_an_export_trains_and_is_evaluated_as_it_is(config: Path, tmp_path: Path) -> None:
    """From words to a model that finds what escaped."""
    for number in range(GOODS):
        said(config, f"good-{number}", "overkill")
        confirmed(config, f"good-{number}", "good")
    for number in range(ESCAPES):
        said(config, f"bad-{number}", "escape", "--camera", CAMERA)
        confirmed(config, f"bad-{number}", "escape")
    folder = tmp_path / "set"
    done = run(config, "review", "export", folder)
    assert done.exit_code == 0, done.output
    assert f"{GOODS + ESCAPES} pictures written, 0 left out" in done.output
    model, figures = tmp_path / "model", tmp_path / "figures.json"
    trained = CliRunner().invoke(app, ["train", str(folder / CAMERA), "--out", str(model)], catch_exceptions=False)
    assert trained.exit_code == 0, trained.output
    arguments = ["evaluate", str(folder / CAMERA), "--model", str(model), "--json", str(figures)]
    evaluated = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert evaluated.exit_code == 0, evaluated.output
    assert json.loads(figures.read_text())["image_auroc"] > 0.9
    with pytest.raises(ConfigError, match="not an empty folder"):
        run(config, "review", "export", folder)


def test_what_is_left_out_is_printed(config: Path, tmp_path: Path) -> None:
    """And that evaluation lacks something."""
    said(config, "good-1", "overkill")
    confirmed(config, "good-1", "good")
    said(config, "good-2", "overkill")
    done = run(config, "review", "export", tmp_path / "set")
    assert "left out good-2: it is new" in done.output
    assert "`evaluate` also wants" in done.output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("say", "good-1", "escape", "--reason", "x"), "cannot be called escape"),
        (("say", "nobody", "overkill", "--reason", "x"), "not known"),
        (("say", "good-1", "overkill", "--reason", " "), "needs who"),
        (("say", "good-1", "overkill", "--reason", "x", "--line", "other"), "no line 'other'"),
        (("confirm", "good-1", "--as", "good", "--reason", "x"), "nobody said"),
    ],
)
def test_what_cannot_be_done_is_refused(config: Path, arguments: tuple[str, ...], text: str) -> None:
    """With what can."""
    with pytest.raises(ConfigError, match=text):
        run(config, "review", *arguments)


def test_a_part_is_packed_with_all_that_is_known_of_it(config: Path, tmp_path: Path) -> None:
    """Its picture byte for byte, and what was said; a file that is there stays, and none is begun for nothing."""
    said(config, "good-3", "overkill")
    target = tmp_path / "pack.zip"
    assert run(config, "review", "pack", "good-3", target).exit_code == 0
    with zipfile.ZipFile(target) as archive:
        told = json.loads(archive.read(f"{LINE}_good-3/evidence.json"))
        picture = archive.read(f"{LINE}_good-3/{CAMERA}/picture.jpg")
    assert picture == jpeg(plate(3))
    assert told["sha256"] == {f"{CAMERA}/picture.jpg": hashlib.sha256(picture).hexdigest()}
    assert (told["review"]["said"], told["kept_on"], told["decision"]["outcome"]) == ("overkill", True, "REJECT")
    assert told["timings_ms"]["signalled"] == pytest.approx(30.0)
    for part_id, file, says in (("good-3", target, "there already"), ("nobody", tmp_path / "none.zip", "no evidence")):
        with pytest.raises(ConfigError, match=says):
            run(config, "review", "pack", part_id, file)
    assert not (tmp_path / "none.zip").exists()


def test_a_store_in_another_process_has_no_review(tmp_path: Path) -> None:
    """It says what to use."""
    path = tmp_path / "line.toml"
    path.write_text(f'[[lines]]\nname = "{LINE}"\n')
    with pytest.raises(ConfigError, match="memory://"):
        run(path, "review", "list")


def test_the_shifts_trends_are_read_from_the_store(config: Path) -> None:
    """All of its parts, and where the rejects lie."""
    out = config.with_suffix(".trends")
    done = run(config, "trends", LINE, "--shift", "--json", out)
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    assert (found["source"], found["parts"], found["rejected"]) == ("store", GOODS + ESCAPES, GOODS)
    assert found["by_place"][0]["name"] == f"{CAMERA}: bottom left"
    assert found["delays"]["p99_ms"] == pytest.approx(30.0)
