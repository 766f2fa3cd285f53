"""The folder for what is downloaded or computed once for each user of this machine."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def cache_dir() -> Path:
    """Return `$XDG_CACHE_HOME/linewarden`, by default `~/.cache/linewarden`; it need not exist yet."""
    # The specification says that a relative path is to be ignored.
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (chosen if chosen.is_absolute() else Path.home() / ".cache") / "linewarden"


@contextmanager
def exclusive(lock_path: Path) -> Iterator[None]:
    """Hold the lock file, waiting for other processes; the kernel frees it when its holder dies."""
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    with lock_path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
