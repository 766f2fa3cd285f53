"""Frames that came by reference: whose payload is brought next from the store, and how it is brought and checked.

The queue is pure. At most so many payloads are on their way at once, few of them of one camera, and the camera with the
fewest is next, so that one whose payloads come slowly keeps no other waiting. What is on its way takes half of the
bytes that may wait for the engine at most, so that frames which need no fetching still find room.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Final, Generic, Protocol, TypeVar

from isal.isal_zlib import crc32

from shared.clock import NS_PER_S, Clock
from shared.errors import PictureError, StoreError
from shared.log import Logger
from shared.store.base import PayloadStore
from shared.wire import FrameMessage, PayloadReference

AT_ONCE: Final = 16
FOR_ONE_CAMERA: Final = 2
_MOST_WAITING: Final = 4_096
_PAUSE_S: Final = 0.2


class Referring(Protocol):
    """What the queue needs to know of a frame: its camera, what its payload takes, and by when it must be answered."""

    @property
    def camera(self) -> str:
        """The camera, as a key for taking turns."""
        ...

    @property
    def payload_bytes(self) -> int:
        """What the payload will hold in memory."""
        ...

    @property
    def due_ns(self) -> int:
        """By when the verdict must be out, on the monotonic clock."""
        ...


R = TypeVar("R", bound=Referring)


class FetchQueue(Generic[R]):
    """The frames whose payload is still in the store: those that wait for their turn, and those under way."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lanes: dict[str, deque[R]] = {}
        self._under_way: Counter[str] = Counter()
        self._bytes = 0

    def __len__(self) -> int:
        return sum(len(lane) for lane in self._lanes.values()) + self._under_way.total()

    @property
    def bytes_under_way(self) -> int:
        """Return what the payloads that are on their way will hold."""
        return self._bytes

    @property
    def full(self) -> bool:
        """Return whether intake must pause: even references are bounded."""
        return len(self) >= _MOST_WAITING

    def add(self, frame: R) -> None:
        """Take a frame."""
        self._lanes.setdefault(frame.camera, deque()).append(frame)

    def take_expired(self, now_ns: int) -> list[R]:
        """Remove and return the waiting frames that nobody could answer in time any more."""
        expired = [frame for lane in self._lanes.values() for frame in lane if frame.due_ns <= now_ns]
        if expired:
            left = {
                camera: deque(frame for frame in lane if frame.due_ns > now_ns) for camera, lane in self._lanes.items()
            }
            self._lanes = {camera: lane for camera, lane in left.items() if lane}
        return expired

    def start(self, held_bytes: int) -> list[R]:
        """Return the frames to fetch now; `held_bytes` already wait for the engine. Say `done` of each in the end."""
        started = []
        while self._under_way.total() < AT_ONCE and self._room(held_bytes):
            ready = [camera for camera in self._lanes if self._under_way[camera] < FOR_ONE_CAMERA]
            if not ready:
                break
            camera = min(ready, key=lambda camera: (self._under_way[camera], self._lanes[camera][0].due_ns))
            frame = self._lanes[camera].popleft()
            if not self._lanes[camera]:
                del self._lanes[camera]
            self._under_way[camera] += 1
            self._bytes += frame.payload_bytes
            started.append(frame)
        return started

    def done(self, frame: R) -> None:
        """Forget a frame that was started."""
        self._under_way[frame.camera] -= 1
        if not self._under_way[frame.camera]:
            del self._under_way[frame.camera]
        self._bytes -= frame.payload_bytes

    def _room(self, held_bytes: int) -> bool:
        return self._bytes < self._max_bytes / 2 and held_bytes + self._bytes < self._max_bytes


async def fetch(
    payloads: PayloadStore, message: FrameMessage, *, due_ns: int, clock: Clock, log: Logger
) -> bytes | memoryview | None:
    """Return the payload, trying again while the store is away; None once `due_ns` (monotonic) has passed.

    Raises `PictureError` for one that is gone, or is not what the message's reference says.
    """
    capture = message.capture.id
    warned = False
    while (left_ns := due_ns - clock.monotonic_ns()) > 0:
        try:
            payload = await payloads.payload(capture)
        except StoreError as error:
            if not warned:
                log.warning("payload.delayed", capture=str(capture), error=str(error))
                warned = True
            await clock.sleep(min(_PAUSE_S, left_ns / NS_PER_S))
            continue
        if payload is None:
            raise PictureError(f"payload of {capture} is not in the store: it expired, was evicted or never came")
        # In a thread, since a large one takes as long as a small frame takes the engine.
        checksum = await asyncio.to_thread(crc32, payload)
        if PayloadReference(len(payload), checksum) != message.reference:
            raise PictureError(f"payload of {capture} is not the one that was sent (size or checksum)")
        return payload
    return None
