"""An export's folder: written all at once, and refused where it is of another model, damaged, or failed its gate."""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tomli_w

from detector.export.gate import Parity
from detector.model.artifact_files import CHECKSUMS, ENGINES, checksum_list, swap
from detector.runtime.base import EXPORTED
from shared.errors import ConfigError, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FACTS: Final = "engine.toml"
FORMAT_VERSION: Final = 1


def exported(model: Path) -> list[str]:
    """Return the engines that there are files for beside a model, whatever they are worth."""
    return [name for name in EXPORTED if (model / ENGINES / name).is_dir()]


def check_export(model: Path, model_id: str, engine: str) -> Path:
    """Return the folder of an engine's files; EngineError unless they are whole, of this model, and passed."""
    folder = model / ENGINES / engine
    again = f"Export it again: linewarden export {model} --engine {engine} --good FOLDER."
    if not folder.is_dir():
        raise EngineError(f"the model in {model} was not exported for the engine {engine}", again)
    try:
        sums = (folder / CHECKSUMS).read_text(encoding="utf-8")
        names = tuple(line.split("  ", 1)[1] for line in sums.splitlines())
        if FACTS not in names or any(Path(name).name != name for name in names):
            raise EngineError(f"the checksums in {folder} are not of an export", again)
        if checksum_list(folder, names) != sums:
            raise EngineError(f"the files in {folder} do not match their checksums", again)
        facts = tomllib.loads((folder / FACTS).read_text(encoding="utf-8"))
        sets = [Parity.from_numbers(table) for table in facts["parity"]]
    except (OSError, IndexError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise EngineError(f"the export in {folder} cannot be read: {error}", again) from error
    if facts.get("format_version") != FORMAT_VERSION:
        raise EngineError(f"the export in {folder} has the format {facts.get('format_version')}", again)
    if facts.get("model_id") != model_id or facts.get("engine") != engine:
        raise EngineError(
            f"the export in {folder} is of {facts.get('model_id')} for {facts.get('engine')}, the model is {model_id}",
            again,
        )
    problems = [problem for parity in sets if (problem := parity.problem(engine)) is not None]
    if problems or not sets:
        raise EngineError(f"the export in {folder} failed its gate: {'; '.join(problems) or 'none was run'}", again)
    return folder


@contextmanager
def staged(model: Path, engine: str) -> Iterator[Path]:
    """Lend an empty folder for an engine's files, which is gone afterwards unless it was `kept`.

    ConfigError if nothing can be written beside the model.
    """
    parent = model / ENGINES
    try:
        parent.mkdir(exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{engine}.", dir=parent))
    except OSError as error:
        raise ConfigError(f"cannot write to {parent}: {error.strerror}", "Make the model's folder writable.") from None
    try:
        staging.chmod(0o755)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not any(parent.iterdir()):
            parent.rmdir()


def keep(staging: Path, model: Path, engine: str, *, facts: dict[str, Any], parity: Sequence[Parity]) -> Path:
    """Put what was staged in its place, with what the gate measured; what was there of this engine goes."""
    numbers = {"format_version": FORMAT_VERSION, "engine": engine, **facts, "parity": [one.numbers() for one in parity]}
    (staging / FACTS).write_text(tomli_w.dumps(numbers), encoding="utf-8")
    names = tuple(sorted(path.name for path in staging.iterdir()))
    (staging / CHECKSUMS).write_text(checksum_list(staging, names), encoding="utf-8")
    folder = model / ENGINES / engine
    swap(staging, folder)
    return folder
