"""What the gate did with each part, and a file of it for audits."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from shared.domain import Outcome


class GateAction(StrEnum):
    """What happened to a part at the gate; PASSED and UNSIGNALLED parts went on down the line."""

    PASSED = "passed"
    REJECTED = "rejected"
    DEFAULTED = "defaulted"
    UNSIGNALLED = "unsignalled"


@dataclass(frozen=True, slots=True)
class GateOutcome:
    """The one gate decision of a part, and the result it rests on: sequence 0 and no outcome without one.

    A `barred` part could not be told apart (its id was in use already) or not be followed (too many parts on the belt),
    and was thrown out for it. A `crowded` part had a PASS, and a neighbour within the gate's reach had none.
    """

    part_id: str
    action: GateAction
    at_ns: int
    sequence: int
    outcome: Outcome | None
    barred: bool = False
    crowded: bool = False


class JsonLinesGateLog:
    """Appends each gate outcome to a file as one JSON line, flushed at once so that a kill loses none.

    A full disk must not stop the gate: lines that cannot be written are counted in `lost_lines`.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("a", encoding="utf-8")
        self.lost_lines = 0

    def __call__(self, outcome: GateOutcome) -> None:
        """Write one outcome."""
        try:
            self._file.write(json.dumps(asdict(outcome)) + "\n")
            self._file.flush()
        except OSError:
            self.lost_lines += 1

    def close(self) -> None:
        """Close the file."""
        try:
            self._file.close()
        except OSError:
            self.lost_lines += 1
