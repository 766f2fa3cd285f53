"""What is done to a camera's pictures before they are announced: geometry, then the quality gate."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from ingest.quality.gate import QualityGate
from shared.domain import Picture
from shared.errors import PictureError

BAD_PICTURE = "bad_picture_"
"""What the reason of a picture that the quality gate refused begins with."""


class Transform(Protocol):
    """Changes a picture's geometry."""

    def apply(self, picture: Picture) -> Picture:
        """Return the changed picture; `PictureError` when that cannot be done, and it must not be judged."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Preparation:
    """The steps of one camera; None: left out."""

    transform: Transform | None = None
    quality: QualityGate | None = None

    async def of(self, picture: Picture) -> Picture | str:
        """Return the picture to send, or in one word why it is not to be judged."""
        if self.transform is None and self.quality is None:
            return picture
        return await asyncio.to_thread(self._steps, picture)

    def _steps(self, picture: Picture) -> Picture | str:
        if self.transform is not None:
            try:
                picture = self.transform.apply(picture)
            except PictureError:
                return f"{BAD_PICTURE}not_aligned"
        blemish = None if self.quality is None else self.quality.judge(picture)
        return picture if blemish is None else f"{BAD_PICTURE}{blemish.value}"
