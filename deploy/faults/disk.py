"""A disk that can be full: a file system in memory whose size can be changed under way."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final, Self

from shared.errors import ServerError

_SIZE: Final = "4g"
_PAGE_BYTES: Final = 4096
_TRIES: Final = 20


class Disk:
    """A tmpfs at `folder`, for as long as the context lasts; it takes memory only for what is written.

    Raises `ServerError` where this process may not mount one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        self._mount("-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs")
        return self

    def __exit__(self, *_: object) -> None:
        # Lazily: whoever still has a file open there may end in its own time.
        _run("umount", "--lazy", str(self.folder))

    def fill(self) -> None:
        """Leave no page free."""
        for tries_left in reversed(range(_TRIES)):
            used = shutil.disk_usage(self.folder).used
            try:
                self._mount("-o", f"remount,size={max(used, _PAGE_BYTES)}")
            except ServerError:
                # Less than is used cannot be had, and its server may have written since it was measured.
                if not tries_left:
                    raise
            else:
                return

    def free(self) -> None:
        """Be large again."""
        self._mount("-o", f"remount,size={_SIZE}")

    def _mount(self, *options: str) -> None:
        _run("mount", *options, str(self.folder))


def _run(*argv: str) -> None:
    try:
        subprocess.run(argv, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise ServerError(
            f"A disk that can be full needs a file system of its own, and {argv[0]} failed: {said}",
            "Run as root, or leave it out with --without disk-full.",
        ) from error
