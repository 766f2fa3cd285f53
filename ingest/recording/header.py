"""Who recorded what, and how that stands in a recording. Pure.

A recording is an MCAP file of the profile `linewarden`: a metadata record holds the header, and the messages of the one
channel are msgpack, a shot each (`ingest.recording.shots`). Chunks are not compressed, since PNG is; each has its
checksum. https://mcap.dev/spec
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.errors import DataError

SUFFIX: Final = ".mcap"
PROFILE: Final = "linewarden"
METADATA: Final = "linewarden.recording"
SEQUENCES: Final = 2**32
"""Shots are numbered from 1, modulo this."""
_FORMAT: Final = "1"


@dataclass(frozen=True, slots=True)
class RecordingHeader:
    """Which camera of which line was recorded, by which version, and whether its source numbered parts."""

    line: str
    camera: str
    software: str
    numbers_parts: bool

    def to_metadata(self) -> dict[str, str]:
        """Return it as MCAP holds it."""
        return {
            "format": _FORMAT,
            "line": self.line,
            "camera": self.camera,
            "software": self.software,
            "numbers_parts": str(self.numbers_parts).lower(),
        }

    @classmethod
    def from_metadata(cls, metadata: dict[str, str], origin: str) -> RecordingHeader:
        """Return what `to_metadata` was called on; KeyError for what is missing.

        Raises `DataError` for another format, which names the `origin`.
        """
        if metadata["format"] != _FORMAT:
            raise DataError(
                f"recording {origin!r} has the format {metadata['format']!r}, not {_FORMAT!r}",
                "Play it with the version that it was recorded by, or a newer one.",
            )
        return cls(
            line=metadata["line"],
            camera=metadata["camera"],
            software=metadata["software"],
            numbers_parts=metadata["numbers_parts"] == "true",
        )
