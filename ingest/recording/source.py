"""A source whose shots are recorded on their way."""

from __future__ import annotations

from collections.abc import Mapping

from ingest.recording.recorder import Recorder
from ingest.sources.base import Shot, Source


class RecordingSource:
    """Gives what the source gives, when it gives it, and a copy to the recorder.

    A source that is lost and opened again goes on in the same recording: whoever made the recorder finishes it.
    """

    def __init__(self, source: Source, recorder: Recorder) -> None:
        self._source = source
        self._recorder = recorder

    @property
    def numbers_parts(self) -> bool:
        """As the source."""
        return self._source.numbers_parts

    @property
    def counts(self) -> Mapping[str, int]:
        """What the source counted, and the exposures that are not in the recording."""
        figures = self._recorder.figures
        return {**self._source.counts, "unrecorded": figures.skipped + figures.lost}

    async def open(self) -> None:
        """Connect the source."""
        await self._source.open()

    async def read(self) -> Shot | None:
        """Return the source's next shot, which the recorder has then, too."""
        shot = await self._source.read()
        if shot is not None:
            self._recorder.put(shot)
        return shot

    async def close(self) -> None:
        """Let go of the device; the recording stays open."""
        await self._source.close()
