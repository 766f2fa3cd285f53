"""Loopback ports for servers that must come back on the same port."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from shared.errors import ServerError

LOOPBACK = "127.0.0.1"
_LOWEST_PORT = 20_000
_DEFAULT_EPHEMERAL_LOW = 32_768
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 200


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on now.

    The port lies below the kernel's ephemeral range. A port out of that range (what binding to port 0 gives) can be
    taken by any outgoing connection while its server is down, and a client that retries may even connect to itself.
    Raises ServerError when no port was found.
    """
    high = _first_ephemeral_port() - 1
    low = min(_LOWEST_PORT, high // 2)
    choice = random.SystemRandom()
    for _ in range(_TRIES):
        port = choice.randint(low, high)
        if can_listen(port):
            return port
    raise ServerError(f"No free port between {low} and {high} on {LOOPBACK}", "Stop what listens there.")


def _first_ephemeral_port() -> int:
    try:
        return int(_EPHEMERAL_RANGE.read_text(encoding="ascii").split()[0])
    except FileNotFoundError:
        return _DEFAULT_EPHEMERAL_LOW


def can_listen(port: int) -> bool:
    """Return whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As the servers themselves do: a connection of an earlier run in TIME_WAIT does not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
