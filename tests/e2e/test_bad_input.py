"""Bad input at the command line: one clear line that names the thing and the remedy, exit code 2, no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "hunter2"  # noqa: S105 - what must never be printed


def linewarden(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", **environment},
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of a refusal; fail when it was anything else."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stdout + done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    return errors[0]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return where a test writes its settings."""
    return tmp_path / "line.toml"


def test_an_unknown_setting_is_named_with_the_one_that_was_meant(config: Path) -> None:
    """A misspelt setting is refused, with a suggestion."""
    config.write_text("[bus]\nulr = 'memory://'\n", encoding="utf-8")
    error = refused(linewarden("run", "--config", config))
    assert "bus.ulr" in error
    assert "did you mean 'url'" in error


def test_a_threshold_outside_its_range_is_refused(config: Path) -> None:
    """A threshold of 99 is above what a calibrated score can be."""
    config.write_text("[[lines]]\nname = 'a'\nreject_at = 99\n", encoding="utf-8")
    error = refused(linewarden("run", "--config", config))
    assert "lines.0.reject_at" in error
    assert "12" in error


def test_an_unknown_environment_variable_is_refused(config: Path) -> None:
    """A misspelt variable with our prefix does not go unnoticed."""
    config.write_text("", encoding="utf-8")
    assert "LINEWARDEN_BSU__URL" in refused(linewarden("run", "--config", config, LINEWARDEN_BSU__URL="memory://"))


@pytest.mark.parametrize("role", ["ingest", "alerting"])
def test_an_unreachable_broker_is_named(config: Path, role: str) -> None:
    """A broker that does not answer ends the start once it was waited for, with its address."""
    config.write_text("start_within_s = 0\n[bus]\nurl = 'kafka://127.0.0.1:9'\n", encoding="utf-8")
    error = refused(linewarden("run", "--config", config, "--role", role))
    assert "127.0.0.1:9" in error
    assert "linewarden dev up" in error


def test_an_unreachable_store_is_named_without_its_password(config: Path) -> None:
    """A Redis address with a password is told without it."""
    config.write_text(f"start_within_s = 1\n[store]\nurl = 'redis://user:{SECRET}@127.0.0.1:9/0'\n", encoding="utf-8")
    error = refused(linewarden("run", "--config", config, "--role", "alerting"))
    assert "127.0.0.1:9" in error


def test_a_broker_address_with_a_password_is_not_repeated(config: Path) -> None:
    """An address that cannot be used is told without its password."""
    config.write_text(f"[bus]\nurl = 'kafka://user:{SECRET}@127.0.0.1:9'\n", encoding="utf-8")
    assert "kafka://" in refused(linewarden("run", "--config", config, "--role", "alerting"))


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    """An empty folder is refused before anything is trained."""
    empty = tmp_path / "nothing"
    empty.mkdir()
    assert "nothing" in refused(linewarden("demo", "--source", empty))


def test_a_source_that_is_not_there_is_named() -> None:
    """A misspelt folder is refused."""
    assert "no-such-folder" in refused(linewarden("demo", "--source", "no-such-folder"))


def test_an_rtsp_address_that_answers_nothing_is_named_without_its_password(config: Path) -> None:
    """A camera that is not there ends the start, with its address and without its password."""
    source = f"rtsp://operator:{SECRET}@127.0.0.1:9/line"
    config.write_text(f"[[lines]]\n[[lines.cameras]]\nsource = '{source}'\n", encoding="utf-8")
    error = refused(linewarden("run", "--config", config, "--role", "ingest"))
    assert "127.0.0.1:9" in error
    assert "address" in error


def test_a_missing_model_is_named_with_the_command_that_makes_one(config: Path) -> None:
    """A detector without its model does not start."""
    config.write_text("[detector]\nmodel = 'no-such-model'\n", encoding="utf-8")
    error = refused(linewarden("run", "--config", config, "--role", "detector"))
    assert "no-such-model" in error
    assert "linewarden train" in error


def test_a_training_folder_without_good_pictures_is_named(tmp_path: Path) -> None:
    """Training says which folder it looked for."""
    assert "train" in refused(linewarden("train", tmp_path, "--out", tmp_path / "model"))


def test_a_broken_settings_file_is_named(config: Path) -> None:
    """A TOML error is told with its place."""
    config.write_text("[bus\n", encoding="utf-8")
    error = refused(linewarden("run", "--config", config))
    assert "line.toml" in error
    assert "line 1" in error


def test_a_figures_file_that_cannot_be_written_is_named(config: Path, tmp_path: Path) -> None:
    """Figures for a folder that is a file are refused."""
    config.write_text("[[lines]]\n[[lines.cameras]]\nlimit = 1\n", encoding="utf-8")
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    assert "file/out.json" in refused(linewarden("report", "--config", config, "--json", blocked / "out.json"))


def test_an_unknown_option_is_refused_with_the_usage() -> None:
    """A misspelt option ends with exit code 2 and the option's name."""
    done = linewarden("demo", "--prats", "3")
    assert done.returncode == 2
    assert "--prats" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("section", "address"),
    [
        ("[bus]\nurl = {!r}", f"kafka://u:{SECRET} x@127.0.0.1:9"),
        ("[bus]\nurl = {!r}", f"u:{SECRET}@127.0.0.1:9"),
        ("[bus]\nurl = {!r}", "kafka://127.0.0.1:99999"),
        ("[bus]\nurl = {!r}", "kafka://127.0.0.1:abc"),
        ("[store]\nurl = {!r}", f"redis://u:{SECRET} x@127.0.0.1:9/0"),
        ("[store]\nurl = {!r}", f"u:{SECRET}@127.0.0.1:9/0"),
        ("[[lines]]\n[lines.signal]\nurl = {!r}", f"modbus://u:{SECRET} x@127.0.0.1:9"),
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(config: Path, section: str, address: str) -> None:
    """Odd passwords, missing schemes and impossible ports end in one line that does not repeat the password."""
    config.write_text("start_within_s = 0\n" + section.format(address), encoding="utf-8")
    assert "127.0.0.1" in refused(linewarden("run", "--config", config, "--role", "alerting"))


def test_servers_that_are_not_there_are_named_before_anything_is_trained() -> None:
    """The demo looks at its servers first."""
    done = linewarden("demo", "--bus", "kafka://127.0.0.1:9", "--store", "memory://")
    assert "127.0.0.1:9" in refused(done)
    assert "Training" not in done.stdout


def test_a_folder_that_cannot_be_written_is_named() -> None:
    """Rendering into a place where nothing can be written is refused."""
    assert "/proc/x" in refused(linewarden("render", "/proc/x", "--good", "1"))


def test_a_report_on_a_store_that_lives_elsewhere_is_refused(config: Path) -> None:
    """An embedded store ends with its process: a report on it would show zeros."""
    config.write_text("", encoding="utf-8")
    assert "memory://" in refused(linewarden("report", "--config", config))
