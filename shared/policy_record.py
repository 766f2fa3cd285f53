"""What is kept of a line's policy: each change of it, and whether the line is halted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from shared.errors import ConfigError

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """Who changed a line's policy when (UTC ns) and why, with the whole policy before and after as JSON.

    Versions of a line count up from 1; 0 is what its settings say. A reader refuses a `format` newer than its own.
    """

    line: str
    version: int
    by: str
    at_ns: int
    why: str
    old: str
    new: str
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class LineHalt:
    """A line was halted, or resumed: by whom, when (UTC ns) and why."""

    line: str
    halted: bool
    by: str
    at_ns: int
    why: str
    format: int = FORMAT


R = TypeVar("R", PolicyChange, LineHalt)


def encode_record(record: PolicyChange | LineHalt) -> bytes:
    """Return a record as JSON."""
    return msgspec.json.encode(record)


def decode_record(kind: type[R], value: bytes) -> R:
    """Read what `encode_record` wrote; ConfigError for anything else, and for a newer format."""
    try:
        record = msgspec.json.decode(value, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"the stored {kind.__name__} cannot be read: {error}") from None
    if record.format > FORMAT:
        raise ConfigError(
            f"the stored {kind.__name__} has format {record.format}, this reader knows {FORMAT}",
            "Update this role before what writes it.",
        )
    return record


def differences(change: PolicyChange) -> str:
    """Say what a change changes: `reject_at 3.0 -> 2.5`."""
    try:
        old, new = (msgspec.json.decode(text, type=dict[str, Any]) for text in (change.old, change.new))
    except msgspec.DecodeError:
        return "a policy that cannot be read"
    names = {**old, **new}
    changed = [f"{name} {old.get(name)} -> {new.get(name)}" for name in names if old.get(name) != new.get(name)]
    return ", ".join(changed) or "nothing"
