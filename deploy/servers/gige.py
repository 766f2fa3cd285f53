"""Aravis' software camera: a GigE Vision camera of 127.0.0.1."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, ClassVar

from deploy.servers.base import LoopbackServer
from deploy.servers.child import ChildProcess
from deploy.servers.ports import LOOPBACK
from ingest.sources.gige.discovery import discover
from shared.errors import ServerError

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = "arv-fake-gv-camera-0.8"
_REMEDY = "Install the Debian package aravis-tools."
_PORT = 3956
_ANSWER_S = 0.1


def camera_available() -> str | None:
    """Return why the software camera cannot be started on this machine, or None when it can."""
    return None if shutil.which(_PROGRAM) else f"The program {_PROGRAM} is missing. {_REMEDY}"


class SoftwareCamera(LoopbackServer):
    """A camera whose picture is a ramp that moves by one grey with each frame.

    GigE Vision has one port, so that there is one camera for each address, and here one for each machine. Of a
    thousand packets it loses `lost_per_thousand`, and it sends none again.
    """

    name: ClassVar[str] = "gige"
    start_deadline_s: ClassVar[float] = 5.0
    stop_deadline_s: ClassVar[float] = 2.0

    def __init__(self, data_dir: Path, *, serial: str = "LW01", lost_per_thousand: int = 0) -> None:
        super().__init__(data_dir, _PORT)
        self.serial = serial
        self._lost_per_thousand = lost_per_thousand

    @property
    def url(self) -> str:
        """`gige://127.0.0.1`."""
        return f"gige://{LOOPBACK}"

    def _launch(self) -> ChildProcess:
        problem = camera_available()
        if problem is not None:
            raise ServerError(problem)
        argv = [_PROGRAM, "-i", LOOPBACK, "-s", self.serial, "-r", str(self._lost_per_thousand)]
        return ChildProcess(argv, self.log_path)

    def _answers(self) -> bool:
        return any(camera.serial == self.serial for camera in discover((LOOPBACK,), _ANSWER_S))
