"""One role of a campaign: as `linewarden run` starts it, on a wall clock that the campaign can step.

python -m deploy.faults.role CONFIG ROLE CLOCK-FILE
"""

from __future__ import annotations

import mmap
import struct
import sys
from pathlib import Path
from typing import Final

from deploy.app import Role
from deploy.running import run_role
from shared.clock import NS_PER_S, SystemClock

_OFFSET: Final = struct.Struct("<q")


class SteppedClock(SystemClock):
    """The host's clocks, with UTC ahead by the nanoseconds that a file holds at that instant."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._offset = mmap.mmap(file.fileno(), _OFFSET.size, access=mmap.ACCESS_READ)

    def utc_ns(self) -> int:
        """Return the stepped UTC time."""
        return super().utc_ns() + int(_OFFSET.unpack_from(self._offset)[0])


def step(path: Path, offset_s: float) -> None:
    """Let every clock that reads `path` be `offset_s` ahead from now on; the file is made where it is not there."""
    with path.open("r+b" if path.exists() else "wb", buffering=0) as file:
        file.write(_OFFSET.pack(round(offset_s * NS_PER_S)))


def main() -> None:
    """Run it."""
    config, role, clock_file = sys.argv[1:]
    run_role(Path(config), Role(role), SteppedClock(Path(clock_file)))


if __name__ == "__main__":
    main()
