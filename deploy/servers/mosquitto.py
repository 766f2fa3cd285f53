"""Debian's mosquitto, on loopback, keeping nothing over a restart."""

from __future__ import annotations

import shutil
import socket
from typing import ClassVar

from deploy.servers.base import LoopbackServer
from deploy.servers.child import ChildProcess
from deploy.servers.ports import LOOPBACK
from shared.errors import ServerError

_ANSWER_TIMEOUT_S = 1.0
# CONNECT of MQTT 3.1.1 with a clean session and the client name "up", and the CONNACK that says yes.
_CONNECT = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x05\x00\x02up"
_CONNACK = b"\x20\x02\x00\x00"


class MosquittoServer(LoopbackServer):
    """An MQTT broker for anybody on this machine; small messages leave at once."""

    name: ClassVar[str] = "mosquitto"

    @property
    def url(self) -> str:
        """`mqtt://127.0.0.1:PORT`."""
        return f"mqtt://{LOOPBACK}:{self.port}"

    def _launch(self) -> ChildProcess:
        # Debian keeps servers in a folder that is not on every user's path.
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None:
            raise ServerError("The program mosquitto is missing", "Install the Debian package mosquitto.")
        settings = self.data_dir / "mosquitto.conf"
        settings.write_text(
            f"listener {self.port} {LOOPBACK}\nallow_anonymous true\nset_tcp_nodelay true\npersistence false\n"
            "log_type warning\nlog_type error\n",
            encoding="utf-8",
        )
        return ChildProcess([program, "-c", str(settings)], self.log_path)

    def _answers(self) -> bool:
        with socket.create_connection((LOOPBACK, self.port), _ANSWER_TIMEOUT_S) as connection:
            connection.sendall(_CONNECT)
            return connection.recv(64) == _CONNACK
