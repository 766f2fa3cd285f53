"""The files of a model's folder: their checksums, what may be overwritten, and how one is put in its place."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from shared.errors import ConfigError, ModelCorruptError, ModelMissingError

FORMAT_VERSION: Final = 7
"""Models of the formats before 7 were trained on pictures that were shrunk in another way."""
TENSORS: Final = "model.safetensors"
NUMBERS: Final = "model.toml"
CARD: Final = "README.md"
CHECKSUMS: Final = "checksums.txt"
ENGINES: Final = "engines"
"""The folder of what other engines need, which has checksums of its own: see `detector.export`."""
TRAIN_AGAIN: Final = "Train it again with `linewarden train`."
_FILES = (CARD, TENSORS, NUMBERS)


def write_all(folder: Path, contents: dict[str, bytes], *, overwrite: bool) -> str:
    """Write a model's files into `folder` all at once, and return their checksum list; see `refuse_to_lose`."""
    refuse_to_lose(folder, overwrite=overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        staging.chmod(0o755)
        for name, blob in contents.items():
            (staging / name).write_bytes(blob)
        sums = checksum_list(staging, _FILES)
        (staging / CHECKSUMS).write_text(sums, encoding="utf-8")
        swap(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return sums


def opened(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return a model's checksum list and numbers, both checked."""
    if not (folder / CHECKSUMS).is_file():
        raise ModelMissingError(f"there is no model in {folder}", "Make one with `linewarden train`.")
    try:
        sums = _verify(folder)
    except ModelCorruptError:
        # A newer format may have other files: then that is what is wrong.
        with suppress(OSError, ValueError):
            _refuse_other_formats(folder, tomllib.loads((folder / NUMBERS).read_text(encoding="utf-8")))
        raise
    return sums, _read_numbers(folder)


def checksum_list(folder: Path, names: tuple[str, ...]) -> str:
    """Return the sha256 of some files of a folder in the form that `sha256sum -c` reads."""
    lines = []
    for name in names:
        with (folder / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    return "".join(lines)


def id_of(profile: str, checksums: str) -> str:
    """Return the id of a model: its profile and a short checksum of everything that was trained."""
    return f"{profile}-{hashlib.sha256(checksums.encode()).hexdigest()[:12]}"


def refuse_to_lose(folder: Path, *, overwrite: bool) -> None:
    """Raise ConfigError unless an artifact may be written to `folder`: best asked before hours of training.

    What was exported of a model goes with it: it belongs to no other.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder", "Choose another place for the model.")
    held = {path.name for path in folder.iterdir()}
    if held and not ({CHECKSUMS, NUMBERS} <= held <= {CHECKSUMS, ENGINES, *_FILES}):
        raise ConfigError(f"{folder} holds other things than a model", "Choose an empty or a new folder.")
    if held and not overwrite:
        raise ConfigError(f"there is a model in {folder} already", "Choose a new folder, or allow overwriting.")


def swap(staging: Path, folder: Path) -> None:
    """Put the finished folder in its place; a reader sees the old one or the new one, or for an instant none."""
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
        folder.rename(old / folder.name)
        staging.rename(folder)
        shutil.rmtree(old)
    else:
        staging.rename(folder)


def _verify(folder: Path) -> str:
    """Return the checksum list after checking every file against it."""
    sums = (folder / CHECKSUMS).read_text(encoding="utf-8", errors="replace")
    for name in _FILES:
        if not (folder / name).is_file():
            raise ModelCorruptError(f"{folder} lacks {name}", TRAIN_AGAIN)
    if sums != checksum_list(folder, _FILES):
        raise ModelCorruptError(f"the model in {folder} does not match its checksums", TRAIN_AGAIN)
    return sums


def _read_numbers(folder: Path) -> dict[str, Any]:
    try:
        numbers = tomllib.loads((folder / NUMBERS).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelCorruptError(f"{folder / NUMBERS} cannot be read: {error}", TRAIN_AGAIN) from error
    _refuse_other_formats(folder, numbers)
    return numbers


def _refuse_other_formats(folder: Path, numbers: dict[str, Any]) -> None:
    version = numbers.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelCorruptError(
            f"the model in {folder} has the format {version}, this program reads {FORMAT_VERSION}",
            "Update the program, or train the model again with this one.",
        )
