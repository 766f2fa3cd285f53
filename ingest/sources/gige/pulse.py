"""A camera's pulse: whether it still answers, and still is controlled, asked every 100 ms beside Aravis."""

from __future__ import annotations

from typing import Final, Protocol

from ingest.sources.gige.discovery import privilege_socket
from ingest.sources.gige.gvcp import ask_privilege, read_held
from shared.clock import NS_PER_MS

_EVERY_NS: Final = 100 * NS_PER_MS
_ANSWER_BYTES: Final = 64
_LAST_REQUEST: Final = 0xFFFF


class Pulse(Protocol):
    """What is known of a camera by asking it."""

    unanswered_since_ns: int | None
    """When the oldest question was asked that nothing was answered since; None while it answers."""
    refused: bool
    """Whether its host says that nobody is there."""
    controlled: bool
    """Whether some client controls it, as far as it said."""

    def poll(self, now_ns: int) -> None:
        """Take the answers that came, and ask when it is time to; never blocks."""
        ...

    def close(self) -> None:
        """Ask no more."""
        ...


class GvcpPulse:
    """Asks by a socket of its own, which any client may, in microseconds.

    Aravis' heartbeat notices a dead camera after 5 s and more.
    """

    def __init__(self, address: str, interface: str) -> None:
        self._socket = privilege_socket(address, interface)
        self._request = 0
        self._asked_ns: int | None = None
        self.unanswered_since_ns: int | None = None
        self.refused = False
        self.controlled = True

    def poll(self, now_ns: int) -> None:
        """Take the answers that came, and ask when it is time to."""
        # Answers first: after a pause of this process the one that waits for it is no sign of a lost camera.
        try:
            while True:
                held = read_held(self._socket.recv(_ANSWER_BYTES))
                # An answer to an earlier question, and a refusal to tell, are signs of life too.
                self.unanswered_since_ns = None
                self.controlled = True if held is None else held
        except BlockingIOError:
            pass
        except ConnectionRefusedError:
            self.refused = True
        except OSError:
            pass  # No way leads there now: the questions stay unanswered.
        if self._asked_ns is None or now_ns - self._asked_ns >= _EVERY_NS:
            self._ask(now_ns)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _ask(self, now_ns: int) -> None:
        self._asked_ns = now_ns
        self._request = self._request % _LAST_REQUEST + 1
        if self.unanswered_since_ns is None:
            self.unanswered_since_ns = now_ns
        try:
            self._socket.send(ask_privilege(self._request))
        except ConnectionRefusedError:
            self.refused = True
        except OSError:
            pass
