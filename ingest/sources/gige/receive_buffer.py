"""A stream's receive buffer, made large before the first frame comes."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_DESCRIPTORS: Final = Path("/proc/self/fd")


def widen(port: int, size_bytes: int) -> int:
    """Let this process's UDP socket of the port hold so many bytes; return how many the system lets it, or 0.

    Aravis widens its socket when the first packet has come, which is too late for the rest of that frame: the system's
    usual 208 KiB are less than a frame, and its thread may have to wait for its turn. The system cuts what is asked for
    to net.core.rmem_max.
    """
    for entry in list(_DESCRIPTORS.iterdir()):
        # Descriptors that were closed meanwhile, and those that are no sockets.
        with suppress(OSError):
            number = int(entry.name)
            if stat.S_ISSOCK(os.fstat(number).st_mode) and (found := _widened(number, port, size_bytes)):
                return found
    return 0


def _widened(number: int, port: int, size_bytes: int) -> int:
    # A copy, so that closing it leaves Aravis its own.
    with socket.socket(fileno=os.dup(number)) as copy:
        if copy.type != socket.SOCK_DGRAM or copy.family != socket.AF_INET or copy.getsockname()[1] != port:
            return 0
        copy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size_bytes)
        return copy.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
