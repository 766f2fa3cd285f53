from __future__ import annotations

import socket

from ingest.sources.gige.receive_buffer import widen


def test_only_the_ports_socket_is_widened() -> None:
    """The UDP socket of a port holds more afterwards and stays open, another of this process is left alone."""
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
        before = other.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert widen(one.getsockname()[1], 65_536) >= 65_536
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 65_536
        assert other.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == before
        port = one.getsockname()[1]
    assert widen(port, 65_536) == 0
