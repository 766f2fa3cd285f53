"""`linewarden record`, as a user runs it, and its recordings played again."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deploy.camera_sources import make_source
from deploy.cameras.target import chosen
from ingest.recording.reading import measure
from ingest.rendering.conveyor import ConveyorSettings, write_dataset
from ingest.sources.base import Shot
from ingest.sources.pictures import find_pictures, read_picture
from shared.camera_settings import CameraSettings
from shared.clock import ManualClock
from shared.errors import ConfigError
from tests.lines import eventually
from tests.recordings import read

RATE_HZ = 200


def linewarden(*arguments: str | Path, limit_kib: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line, with files of at most `limit_kib` if it is given."""
    command = [sys.executable, "-m", "deploy.cli", *map(str, arguments)]
    if limit_kib is not None:
        command = ["bash", "-c", f'ulimit -f {limit_kib}; exec "$@"', "bash", *command]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small set of pictures, with a file among them that is none."""
    made = tmp_path_factory.mktemp("set") / "parts"
    settings = ConveyorSettings(width_px=160, height_px=120)
    write_dataset(made, settings, train_good=1, test_good=6, test_each_defect=1, on_progress=lambda _: None)
    (made / "test" / "good" / "zzz.png").write_bytes(b"no picture")
    return made


@pytest.fixture
def config(tmp_path: Path, folder: Path) -> Path:
    """Return settings with that folder as a camera."""
    return configured(tmp_path / "line.toml", str(folder))


def configured(path: Path, source: str, **more: float) -> Path:
    """Write settings with one camera."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in {"source": source, "rate_hz": RATE_HZ, **more}.items()]
    path.write_text("[[lines]]\n[[lines.cameras]]\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


class InstantClock(ManualClock):
    """A clock on which every sleep is over at once."""

    async def sleep(self, seconds: float) -> None:
        """Move time instead of waiting."""
        self._monotonic_ns += max(0, round(seconds * 1e9))


def played(path: Path) -> list[Shot]:
    """Return what a camera with this recording as its source gives."""

    async def play() -> list[Shot]:
        source = make_source(CameraSettings.model_validate({"source": str(path)}), InstantClock())
        assert source.numbers_parts
        await source.open()
        found = []
        while (shot := await source.read()) is not None:
            found.append(shot)
        await source.close()
        return found

    return asyncio.run(play())


def test_a_folder_is_recorded_and_played_as_it_was(tmp_path: Path, config: Path, folder: Path) -> None:
    """Pictures, labels, numbers, and the exposure that gave no picture."""
    done = linewarden("record", "--config", config, "--out", tmp_path / "new" / "a.mcap")
    assert done.returncode == 0, done.stderr
    files = find_pictures(folder)
    assert f"Recorded {len(files)} exposures of line-1/camera" in done.stdout
    assert "1 exposures gave no picture" in done.stdout
    found = played(tmp_path / "new" / "a.mcap")
    assert [shot.number for shot in found] == list(range(1, len(files) + 1))
    assert [shot.label for shot in found] == [file.label for file in files]
    for shot, file in zip(found, files, strict=True):
        if file.path.name == "zzz.png":
            assert shot.pixels is None
        else:
            assert np.array_equal(np.asarray(shot.pixels), read_picture(file.path))


def test_a_recording_runs_a_line(tmp_path: Path, config: Path) -> None:
    """It ends as it ends."""
    out = tmp_path / "a.mcap"
    assert linewarden("record", "--config", config, "--out", out, "--frames", "3").returncode == 0
    done = linewarden("run", "--role", "ingest", "--config", configured(tmp_path / "replay.toml", str(out), speed=10))
    assert done.returncode == 0, done.stderr
    assert "captures=3" in done.stderr + done.stdout


@pytest.mark.parametrize(("option", "value"), [("--frames", "4"), ("--seconds", "0.5")])
def test_a_recording_ends_where_it_is_told_to(tmp_path: Path, option: str, value: str) -> None:
    """After so many exposures, or after so long, of a camera that would go on."""
    out = tmp_path / "a.mcap"
    config = configured(tmp_path / "line.toml", "rendered")
    done = linewarden("record", "--config", config, "--out", out, option, value)
    assert done.returncode == 0, done.stderr
    extent = measure(out)
    assert extent.finished
    assert extent.shots == 4 if option == "--frames" else extent.shots > 0
    assert (extent.header.line, extent.header.camera) == ("line-1", "camera")


def test_a_killed_recording_is_played_up_to_its_last_whole_chunk(tmp_path: Path) -> None:
    """Kill -9 leaves all but the last second."""
    out = tmp_path / "a.mcap"
    config = configured(tmp_path / "line.toml", "rendered")
    command = [sys.executable, "-m", "deploy.cli", "record", "--config", str(config), "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as recorder:
        asyncio.run(eventually(lambda: out.exists() and out.stat().st_size > 5_000_000))
        recorder.kill()
    extent = measure(out)
    assert not extent.finished
    assert extent.shots == len(read(out)) > 3


def test_a_disk_that_takes_no_more_is_said_and_what_it_took_is_kept(tmp_path: Path) -> None:
    """The exit code is 1, the message says how much is missing, and the file is a recording."""
    out = tmp_path / "a.mcap"
    config = configured(tmp_path / "line.toml", "rendered")
    done = linewarden("record", "--config", config, "--out", out, "--frames", "60", limit_kib=10_000)
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stdout
    assert "exposures are missing" in done.stdout
    extent = measure(out)
    assert f"Recorded {extent.shots} exposures" in done.stdout
    assert 0 < extent.shots < 60


@pytest.mark.parametrize("missing", ["folder", "recording.mcap"])
def test_a_source_that_cannot_be_opened_leaves_no_file(tmp_path: Path, missing: str) -> None:
    """It is named, and nothing half done stays."""
    config = configured(tmp_path / "line.toml", str(tmp_path / missing))
    done = linewarden("record", "--config", config, "--out", tmp_path / "a.mcap")
    assert done.returncode == 2
    assert missing in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "a.mcap").exists()


def test_a_file_that_is_there_is_not_replaced(tmp_path: Path, config: Path) -> None:
    """It is named, and left as it is."""
    (tmp_path / "a.mcap").write_bytes(b"precious")
    done = linewarden("record", "--config", config, "--out", tmp_path / "a.mcap")
    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert (tmp_path / "a.mcap").read_bytes() == b"precious"


def test_one_of_several_cameras_is_chosen_by_its_names(tmp_path: Path) -> None:
    """The error lists all of them when none or several are meant."""
    config = tmp_path / "line.toml"
    config.write_text(
        "[[lines]]\nname = 'a'\n[[lines.cameras]]\nname = 'top'\n[[lines.cameras]]\nname = 'side'\n"
        "[[lines]]\nname = 'b'\n[[lines.cameras]]\nname = 'top'\n",
        encoding="utf-8",
    )
    for camera, expected in (("side", ("a", "side")), ("b/top", ("b", "top")), ("a/top", ("a", "top"))):
        line, found = chosen(None, config, camera)
        assert (line.name, found.name) == expected
    for name in (None, "top", "c/top"):
        with pytest.raises(ConfigError, match="a/top, a/side, b/top"):
            chosen(None, config, name)


def test_an_address_is_recorded_without_settings(tmp_path: Path) -> None:
    """As the other commands about cameras take one."""
    out = tmp_path / "a.mcap"
    assert linewarden("record", "rendered", "--out", out, "--frames", "2").returncode == 0
    assert measure(out).shots == 2
