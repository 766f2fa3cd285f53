"""Which fault strikes what, when and for how long. Pure: a seed gives the same schedule everywhere."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

WARM_UP_S: Final = 5.0
"""The line runs undisturbed for this long before the first fault."""
SLOT_S: Final = 8.5
"""From one fault to the next."""


class FaultKind(StrEnum):
    """What is done to the system. Each fault ends; what it had killed is started again."""

    KILL = "kill"
    FREEZE = "freeze"
    CUT = "cut"
    SLOW = "slow"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    CORRUPT = "corrupt"
    DISK_FULL = "disk-full"
    CLOCK_STEP = "clock-step"
    REBALANCE = "rebalance"


@dataclass(frozen=True, slots=True)
class Fault:
    """`at_s` after the start of the schedule something happens to `target`, for `for_s` seconds."""

    kind: FaultKind
    target: str
    at_s: float
    for_s: float

    @property
    def name(self) -> str:
        """Return what is done to what."""
        return f"{self.kind}/{self.target}"


_ROLES: Final = ("ingest", "detector", "alerting")
_SERVERS: Final = ("kafka", "redis")
_KINDS: Final[dict[FaultKind, tuple[tuple[str, ...], tuple[float, float]]]] = {
    FaultKind.KILL: ((*_ROLES, *_SERVERS), (0.0, 2.0)),
    FaultKind.FREEZE: ((*_ROLES, *_SERVERS, "plc"), (0.5, 4.0)),
    FaultKind.CUT: ((*_SERVERS, "plc"), (0.5, 4.0)),
    FaultKind.SLOW: ((*_SERVERS, "plc"), (1.0, 4.0)),
    FaultKind.DUPLICATE: (("topics",), (0.0, 0.0)),
    FaultKind.REORDER: (("topics",), (0.0, 0.0)),
    FaultKind.CORRUPT: (("topics",), (0.0, 0.0)),
    FaultKind.DISK_FULL: (_SERVERS, (0.5, 3.0)),
    FaultKind.CLOCK_STEP: (_ROLES, (1.0, 4.0)),
    FaultKind.REBALANCE: (("detector",), (1.0, 3.0)),
}
EVERY_FAULT: Final = tuple((kind, target) for kind, (targets, _) in _KINDS.items() for target in targets)


def schedule(seed: int, minutes: float, *, without: frozenset[FaultKind] = frozenset()) -> tuple[Fault, ...]:
    """Return the faults of a campaign of `minutes`, in order of time.

    They come in rounds, each of them every fault once in an order of its own, so that every fault comes about equally
    often: five times in 20 minutes.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose, guards nothing
    wanted = [fault for fault in EVERY_FAULT if fault[0] not in without]
    faults: list[Fault] = []
    waiting: list[tuple[FaultKind, str]] = []
    at_s = WARM_UP_S
    while wanted and at_s + SLOT_S <= minutes * 60:
        if not waiting:
            waiting = rng.sample(wanted, len(wanted))
        kind, target = waiting.pop()
        shortest_s, longest_s = _KINDS[kind][1]
        faults.append(Fault(kind, target, at_s + rng.uniform(0, 1), round(rng.uniform(shortest_s, longest_s), 2)))
        at_s += SLOT_S
    return tuple(faults)
