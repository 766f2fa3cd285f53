"""What the source needs of an opened camera: its features and its frames. Aravis gives it, and so do fakes in tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias

Value: TypeAlias = bool | int | float | str


class FeatureKind(StrEnum):
    """What a feature takes."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    FLOAT = "float"
    CHOICE = "choice"
    TEXT = "text"
    COMMAND = "command"


class RefusedError(Exception):
    """The camera refuses a feature's value; the text is what it says. Never leaves this package."""


@dataclass(frozen=True, slots=True, eq=False)
class RawFrame:
    """One exposure as it came from the network.

    `problem` is None for a whole frame, else it names what is wrong, and `data` is then empty; `frame_id` is None where
    the packet that tells it is lost. `format_code` is the pixel format by its number in the standard (PFNC),
    `padding_bytes` follow each row. `camera_ns` is the camera's own
    time stamp in nanoseconds, None where there is none; `received_ns` is UTC when the first packet came.
    """

    frame_id: int | None
    problem: str | None
    camera_ns: int | None
    received_ns: int
    format_code: int = 0
    width_px: int = 0
    height_px: int = 0
    padding_bytes: int = 0
    data: bytes = b""
    chunks: Mapping[str, int] = field(default_factory=dict)


class Features(Protocol):
    """A camera's features by their GenICam names.

    Each method raises `SourceUnavailableError` when the camera does not answer.
    """

    def has(self, name: str) -> bool:
        """Return whether the camera has the feature, and lets it be used now."""
        ...

    def kind(self, name: str) -> FeatureKind:
        """Return what a feature takes that the camera has."""
        ...

    def choices(self, name: str) -> Sequence[str]:
        """Return what a choice can be set to now."""
        ...

    def bounds(self, name: str) -> tuple[float, float]:
        """Return the lowest and the highest value of a number."""
        ...

    def get(self, name: str) -> Value:
        """Return the feature's value; raises `RefusedError`."""
        ...

    def set(self, name: str, value: Value) -> None:
        """Set the feature, or execute a command; raises `RefusedError`."""
        ...

    def set_packet_size(self, size_bytes: int | None) -> int:
        """Set the packets' size, or negotiate the largest that the network carries; return it in bytes."""
        ...


class Camera(Features, Protocol):
    """An opened camera that this process controls. `pop` and `close` are for one thread."""

    def start(self, *, buffers: int, resend: bool, chunks: Sequence[str]) -> None:
        """Begin to take pictures, with so many buffers; `chunks` are the features that come with each frame."""
        ...

    def pop(self, timeout_ms: int) -> RawFrame | None:
        """Return the next frame, whole or not, or None when none came in time."""
        ...

    def trigger(self) -> None:
        """Trigger by software; any thread may. Raises `RefusedError`."""
        ...

    def in_control(self) -> bool:
        """Return whether the camera was still ours when it was last asked; does not ask now."""
        ...

    def statistics(self) -> Mapping[str, int]:
        """Return what the stream counted since it was started, by name."""
        ...

    def close(self, *, alive: bool) -> None:
        """Stop, and leave control, so that the next client is not refused; one that is gone is not told to stop."""
        ...


Connect: TypeAlias = Callable[[str, str], Camera]
"""Takes control of the camera at an address, through this host's interface of another address.

Raises `SourceUnavailableError`.
"""
