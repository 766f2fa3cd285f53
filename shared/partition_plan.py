"""Which partition serves which line and camera: explicit, kept, and grown without moving anything.

Pure: `shared.plan_keeper` keeps it in the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from typing import TypeVar

import msgspec

from shared.errors import ConfigError
from shared.topics import Topics

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What needs places, in this order: lines, and cameras (`line/camera`) with their number of partitions."""

    lines: tuple[str, ...] = ()
    cameras: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartitionPlan:
    """The partition of each line, and those of each camera (`line/camera`); ValueError if two share one."""

    lines: Mapping[str, int] = field(default_factory=dict)
    cameras: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what would mix the messages of two."""
        for taken in (self.lines.values(), chain.from_iterable(self.cameras.values())):
            shared = sorted(place for place, times in Counter(taken).items() if times > 1 or place < 0)
            if shared:
                raise ValueError(f"partition {shared[0]} is given twice, or is none")
        empty = [camera for camera, places in self.cameras.items() if not places]
        if empty:
            raise ValueError(f"camera {empty[0]!r} has no partition")

    def of_line(self, line: str) -> int:
        """Return the partition of `line` on captures, verdicts and decisions."""
        return _known(self.lines, line, "line")

    def of_camera(self, line: str, camera: str, sequence: int) -> int:
        """Return the partition of a camera's capture on frames: one with several partitions takes them in turn."""
        places = _known(self.cameras, f"{line}/{camera}", "camera")
        return places[sequence % len(places)]

    def partitions(self, topics: Topics) -> dict[str, int]:
        """Return how many partitions each topic needs."""
        by_line = 1 + max(self.lines.values(), default=0)
        return {
            topics.captures: by_line,
            topics.frames: 1 + max(chain.from_iterable(self.cameras.values()), default=0),
            topics.verdicts: by_line,
            topics.decisions: by_line,
            topics.dead_letters: 1,
        }

    def grown(self, wanted: Wanted) -> PartitionPlan:
        """Return this plan with a place for all that is wanted: the lowest free ones; nothing that has one moves."""
        lines = dict(self.lines)
        free = _free(lines.values())
        for line in wanted.lines:
            if line not in lines:
                lines[line] = next(free)
        cameras = dict(self.cameras)
        free = _free(chain.from_iterable(cameras.values()))
        for camera, number in wanted.cameras.items():
            places = cameras.get(camera, ())
            cameras[camera] = (*places, *(next(free) for _ in range(number - len(places))))
        return PartitionPlan(lines, cameras)

    def pruned(self, wanted: Wanted) -> PartitionPlan:
        """Return this plan without the places of what is not wanted any more: others may take them."""
        return PartitionPlan(
            {line: place for line, place in self.lines.items() if line in wanted.lines},
            {
                camera: places[: wanted.cameras[camera]]
                for camera, places in self.cameras.items()
                if wanted.cameras.get(camera)
            },
        )


def encode_plan(plan: PartitionPlan) -> bytes:
    """Return the plan as JSON."""
    return msgspec.json.encode(plan)


def decode_plan(value: bytes) -> PartitionPlan:
    """Read what `encode_plan` wrote; ConfigError for anything else."""
    try:
        return msgspec.json.decode(value, type=PartitionPlan)
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"the stored partition plan cannot be used: {error}",
            "With every role stopped, delete it from the store; the next start makes a new one.",
        ) from None


def _free(taken: Iterable[int]) -> Iterator[int]:
    held = set(taken)
    return (place for place in count() if place not in held)


def _known(places: Mapping[str, T], name: str, kind: str) -> T:
    try:
        return places[name]
    except KeyError:
        raise ConfigError(
            f"{kind} {name!r} is not in the partition plan", "Run `linewarden topics apply` with its settings."
        ) from None
