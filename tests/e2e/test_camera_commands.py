"""The commands about cameras, as somebody types them who sets up a line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from ingest.quality.limits import read_limits


def linewarden(*words: str | Path, answers: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    command = [sys.executable, "-m", "deploy.cli", "cameras", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, input=answers)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write the settings of two cameras, one of which has a password."""
    path = tmp_path / "line.toml"
    path.write_text(
        "[[lines]]\nname = 'a'\nparts.identity = 'window'\n"
        "[[lines.cameras]]\nname = 'top'\nsource = 'rendered'\ngeometry.crop_px = [0, 0, 100, 50]\n"
        "[[lines.cameras]]\nname = 'side'\nsource = 'rtsp://user:hunter2@127.0.0.1:1/x'\n",
        encoding="utf-8",
    )
    return path


def test_cameras_are_listed_without_their_passwords(config: Path) -> None:
    """Those of the settings, and what was found on the network."""
    done = linewarden("list", "--config", config)
    assert done.returncode == 0, done.stderr
    assert "top" in done.stdout
    assert "rtsp://***@127.0.0.1:1/x" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
    assert "GigE" in done.stdout


def test_a_good_camera_is_told_what_it_sends(config: Path) -> None:
    """One sentence, exit code 0."""
    done = linewarden("check", "--config", config, "--camera", "top", "--seconds", "1")
    assert done.returncode == 0, done.stderr
    assert "All is well: 640x480 colour, 8 bits" in done.stdout


def test_a_dark_camera_is_told_what_to_do(tmp_path: Path) -> None:
    """One sentence, exit code 1."""
    rng = np.random.default_rng(0)
    for turn in range(5):
        cv2.imwrite(str(tmp_path / f"{turn}.png"), rng.normal(8, 5, (64, 64)).clip(0, 255).astype(np.uint8))
    done = linewarden("check", tmp_path, "--seconds", "1")
    assert done.returncode == 1, done.stderr
    assert "raise the exposure" in done.stdout


@pytest.mark.parametrize("command", ["check", "preview", "calibrate"])
def test_a_camera_that_does_not_answer_is_one_clear_line(command: str, config: Path) -> None:
    """With the address, without the password, and what to look at."""
    done = linewarden(command, "--config", config, "--camera", "a/side")
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "rtsp://***@127.0.0.1:1/x" in line
    assert "hunter2" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "no camera was given"),
        (["rendered", "--config", "line.toml"], "an address and --config"),
        (["gopher://x"], "no source is known"),
    ],
)
def test_a_camera_that_is_not_clear_is_refused(words: list[str], says: str) -> None:
    """With what to give instead."""
    done = linewarden("check", *words)
    assert done.returncode == 2
    assert says in done.stderr


def test_the_cameras_to_choose_from_are_named(config: Path) -> None:
    """Where there are several, and where there is none of that name."""
    for words in ((), ("--camera", "bottom")):
        done = linewarden("check", "--config", config, *words)
        assert done.returncode == 2
        assert "a/top, a/side" in done.stderr


def test_a_picture_is_shown_and_written(config: Path, tmp_path: Path) -> None:
    """In the terminal, and to a file; a file that is no picture's name is refused."""
    shown = linewarden("preview", "--config", config, "--camera", "top")
    assert shown.returncode == 0, shown.stderr
    assert "\u2580" in shown.stdout
    out = tmp_path / "picture.png"
    written = linewarden("preview", "--config", config, "--camera", "top", "--out", out)
    assert written.returncode == 0, written.stderr
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.shape == (480, 640, 3)
    refused = linewarden("preview", "rendered", "--out", tmp_path / "picture.txt")
    assert refused.returncode == 2
    assert "Give a .png or .jpg file" in refused.stderr


def test_pictures_are_stepped_through(tmp_path: Path) -> None:
    """Enter shows the next, the end of the input ends it."""
    for turn in range(3):
        cv2.imwrite(str(tmp_path / f"{turn}.png"), np.full((8, 8 + turn), 90, np.uint8))
    done = linewarden("preview", tmp_path, "--step", answers="\n\n")
    assert done.returncode == 0, done.stderr
    assert [f"{8 + turn}x8" in done.stdout for turn in range(3)] == [True, True, True]


def test_limits_are_learnt_and_written(config: Path, tmp_path: Path) -> None:
    """And the command says where to name them; too few pictures in time are told."""
    out = tmp_path / "limits.json"
    done = linewarden("calibrate", "--config", config, "--camera", "top", "--pictures", "10", "--out", out)
    assert done.returncode == 0, done.stderr
    assert f'limits = "{out}"' in done.stdout
    assert read_limits(out).pictures == 10
    few = linewarden("calibrate", "rendered", "--pictures", "500", "--seconds", "1", "--out", tmp_path / "few.json")
    assert few.returncode == 2
    assert "of 500 pictures came in 1 s" in few.stderr
    assert not (tmp_path / "few.json").exists()


def test_a_deep_picture_keeps_its_light_as_a_photograph(tmp_path: Path) -> None:
    """16 bits become 8 in a JPEG file, and stay 16 in a PNG file."""
    (tmp_path / "deep").mkdir()
    cv2.imwrite(str(tmp_path / "deep" / "1.png"), np.full((64, 64, 3), 30_000, np.uint16))
    for name, level in (("a.jpg", 116), ("a.png", 30_000)):
        assert linewarden("preview", tmp_path / "deep", "--out", tmp_path / name).returncode == 0
        picture = cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        assert abs(int(picture.mean()) - level) <= 1


def test_a_source_without_a_usable_picture_says_so(tmp_path: Path) -> None:
    """Exit code 2, and brackets in its name are no markup."""
    folder = tmp_path / "odd [/b] [red]"
    folder.mkdir(parents=True)
    (folder / "1.png").write_bytes(b"no picture")
    shown = linewarden("preview", folder)
    assert shown.returncode == 2
    assert "without a usable picture" in shown.stderr
    checked = linewarden("check", folder, "--seconds", "1")
    assert checked.returncode == 1
    assert "Not one picture could be used: 1 unreadable" in checked.stdout
    assert "[/b]" in checked.stdout
