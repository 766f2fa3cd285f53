"""What a detector keeps of the parts that it saw."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.camera_settings import Section


class EvidenceSettings(Section):
    """Evidence is kept of parts that were rejected, defaulted or borderline, and of about one in `sample_every` others.

    0 is none of the others. Frames wait for their part's decision within `shelf_mib`, the oldest go first; 0 keeps no
    evidence at all. A picture of more than `picture_kib`, encoded, is kept smaller.
    """

    sample_every: Annotated[int, Field(ge=0, le=1_000_000)] = 200
    shelf_mib: Annotated[int, Field(ge=0, le=16_384)] = 64
    picture_kib: Annotated[int, Field(ge=16, le=16_384)] = 512
