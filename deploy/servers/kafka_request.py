"""One real request to a Kafka broker, without a client library: how many brokers are at work."""

from __future__ import annotations

import socket
import struct

_METADATA_KEY = 3
_METADATA_VERSION = 1
_CORRELATION_ID = 1
_CLIENT_ID = b"linewarden"
_TIMEOUT_S = 1.0
_LENGTH = struct.Struct(">i")


def live_brokers(host: str, port: int) -> int:
    """Return how many brokers the broker at `host:port` sees at work, itself among them once it is.

    A broker that is still starting, or that the controller keeps fenced, answers 0.
    Raises OSError (TimeoutError, ConnectionError) when no complete answer comes within 1 s.
    """
    header = struct.pack(">hhih", _METADATA_KEY, _METADATA_VERSION, _CORRELATION_ID, len(_CLIENT_ID)) + _CLIENT_ID
    request = header + struct.pack(">i", 0)  # of no topics
    with socket.create_connection((host, port), _TIMEOUT_S) as connection:
        connection.sendall(_LENGTH.pack(len(request)) + request)
        (length,) = _LENGTH.unpack(_read(connection, _LENGTH.size))
        answer = _read(connection, length)
    _, brokers = struct.unpack_from(">ii", answer)
    return int(brokers)


def _read(connection: socket.socket, size: int) -> bytes:
    answer = b""
    while len(answer) < size:
        more = connection.recv(size - len(answer))
        if not more:
            raise ConnectionResetError("The broker closed the connection within its answer")
        answer += more
    return answer
