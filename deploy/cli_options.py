"""What the command line's commands have in common: options, files of figures, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from shared.errors import ConfigError

# The exit code of work that was done and whose outcome is not what it must be.
UNSOUND = 1

JsonOut = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")]
PictureOut = Annotated[
    Path | None, typer.Option("--picture", help="Also draw the figures into this file, a .png or .svg.")
]
Product = Annotated[str | None, typer.Option(help="Which product, of a model that knows several.")]
Seed = Annotated[int, typer.Option(help="The seed of everything random.", min=0, max=2**32 - 1)]


def set_log_level(level: str) -> None:
    """Log from this level on, for people to read."""
    from shared.log import configure
    from shared.settings import from_dict

    configure(from_dict({"log": {"level": level}}, origin="--log-level").log.level, json=False)


def check_writable(path: Path | None) -> None:
    """Refuse a file that cannot be written before the work, not after it."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a", encoding="utf-8").close()
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror}", "Give a file that can be written.") from None


def write_json(path: Path | None, figures: object) -> None:
    """Write figures to a file, if one is wanted."""
    if path is not None:
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
