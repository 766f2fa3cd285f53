"""Play a folder of pictures through a real RTSP server, each with a slate that says which part it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.servers.rtsp import RtspServer
from ingest.slate import HEIGHT_PX, Slate, draw_slate
from ingest.sources.pictures import PictureFile, find_pictures, read_picture
from shared.depth import in_eight_bits
from shared.errors import ServerError
from shared.log import get_logger

SIDE_PX: Final = 512
_JOIN_S: Final = 5.0


@contextmanager
def play_folder(folder: Path, *, parts: int, rate_hz: float, seed: int = 0, port: int = 0) -> Iterator[str]:
    """Serve `parts` pictures of `folder` at `rate_hz` from when the first client plays; yield the stream's address.

    Pictures are scaled to 512x512, since a stream has one size. Raises `DataError` for a folder without pictures and
    `ServerError` where the RTSP server cannot run.
    """
    files = find_pictures(folder, seed=seed)
    server = RtspServer(SIDE_PX, SIDE_PX + HEIGHT_PX, max(1, round(rate_hz)), port)
    stop = threading.Event()
    with server:
        player = threading.Thread(target=_play, args=(server, files, parts, rate_hz, stop), name="playback")
        player.start()
        try:
            yield server.url
        finally:
            stop.set()
            # A player that waits for a client that will never come is freed by the end of the server.
            server.stop()
            player.join(_JOIN_S)


def frame_of(file: PictureFile, number: int) -> NDArray[np.uint8]:
    """Return the frame that shows a picture as part `number`: (528, 512, 3) uint8 RGB."""
    picture = cv2.resize(in_eight_bits(read_picture(file.path)), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    defect = file.label not in (None, "good")
    return draw_slate(np.asarray(picture, dtype=np.uint8), Slate(number, defect))


def _play(server: RtspServer, files: list[PictureFile], parts: int, rate_hz: float, stop: threading.Event) -> None:
    try:
        for index in range(parts):
            server.push(frame_of(files[index % len(files)], index + 1))
            if stop.wait(1 / rate_hz):
                return
        # The stream stays open, as a camera's would, until the playback is stopped.
    except ServerError as error:
        if not stop.is_set():
            get_logger("playback").warning("playback.ended", error=str(error))
