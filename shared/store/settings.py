"""What every adapter of the store port is told: how long things are kept, and how much of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.shifts import Shifts


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """How long things are kept. `part_retention_s` bounds how late a redelivered message still finds its part."""

    key_prefix: str = "linewarden"
    part_retention_s: int = 21_600
    picture_ttl_s: int = 3_600
    stream_length: int = 10_000
    picture_bytes: int = 64 * 1024 * 1024
    shift_retention_s: int = 400 * 86_400
    review_bytes: int = 256 * 1024 * 1024
    review_cases: int = 5_000
    shifts: Mapping[str, Shifts] = field(default_factory=dict)
    """When the shifts of each line begin; those of a line that is not there are days in UTC."""
