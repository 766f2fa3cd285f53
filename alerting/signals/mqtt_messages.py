"""The handshake's messages over MQTT: the words of the blocks as JSON, for both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from shared.domain import Outcome
from shared.errors import ConfigError, WireError
from shared.plc import U32_MAX, U64_MAX, Accepted, Acknowledge, Delivery, Result, check_part_id


@dataclass(frozen=True, slots=True)
class GateTopics:
    """The topics of one gate."""

    prefix: str

    @property
    def result(self) -> str:
        """Results and questions, linewarden to PLC, on one topic: MQTT keeps the order of one topic only."""
        return f"{self.prefix}/result"

    @property
    def ack(self) -> str:
        """What the PLC says of them; retained."""
        return f"{self.prefix}/ack"

    @property
    def heartbeat(self) -> str:
        """The heartbeat counter of linewarden."""
        return f"{self.prefix}/heartbeat"

    @property
    def echo(self) -> str:
        """The heartbeat counter as the PLC saw it."""
        return f"{self.prefix}/heartbeat/echo"

    @property
    def state(self) -> str:
        """Whether linewarden is there: online or offline, retained, and its last will."""
        return f"{self.prefix}/state"

    @property
    def plc(self) -> str:
        """Whether the PLC is there: online or offline, retained, and its last will."""
        return f"{self.prefix}/plc"

    @property
    def counters(self) -> str:
        """The PLC's counters, once a second; retained."""
        return f"{self.prefix}/counters"


class _Told(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    sequence: int
    part: str
    result: Outcome
    deadline_ms: int
    toggle: int


class _Question(msgspec.Struct, frozen=True):
    query: int


class _Taken(msgspec.Struct, frozen=True):
    sequence: int
    part: str
    result: Outcome


class _Ack(msgspec.Struct, frozen=True):
    toggle: int
    sequence: int
    status: Delivery | None = None
    accepted: _Taken | None = None
    query: int | None = None


_MOST_BYTES: Final = 1_024


def pack_told(result: Result, toggle: int) -> bytes:
    """Write a result; ConfigError for a part id that does not fit."""
    check_part_id(result.part_id)
    return msgspec.json.encode(
        _Told(result.sequence, result.part_id, result.outcome, result.deadline_ms, toggle),
    )


def pack_question(query: int) -> bytes:
    """Write a question for what the PLC accepted last; its answer carries the same number."""
    return msgspec.json.encode(_Question(query))


def unpack_told(payload: bytes) -> tuple[Result, int] | int:
    """Read a result as (result, toggle), or the number of a question; WireError for anything else."""
    _check_size(payload)
    try:
        fields = msgspec.json.decode(payload, type=dict[str, object])
        if "query" in fields:
            return msgspec.convert(fields, _Question).query
        told = msgspec.convert(fields, _Told)
        check_part_id(told.part)
    except (msgspec.MsgspecError, ConfigError) as error:
        raise WireError(f"the message is no result: {error}") from error
    if not (0 < told.sequence <= U32_MAX and 0 <= told.deadline_ms <= U64_MAX and told.toggle in {0, 1}):
        raise WireError("the message is no result: a number is out of range")
    return Result(told.sequence, told.part, told.result, told.deadline_ms), told.toggle


def pack_ack(acknowledge: Acknowledge, query: int | None = None) -> bytes:
    """Write what the PLC says; `query` is the number of the question that it answers."""
    accepted = acknowledge.accepted
    taken = None if accepted.outcome is None else _Taken(accepted.sequence, accepted.part_id, accepted.outcome)
    return msgspec.json.encode(_Ack(acknowledge.toggle, acknowledge.sequence, acknowledge.status, taken, query))


def unpack_ack(payload: bytes) -> tuple[Acknowledge, int | None]:
    """Read what the PLC says, and the question that it answers; WireError for anything else."""
    _check_size(payload)
    try:
        ack = msgspec.json.decode(payload, type=_Ack)
    except msgspec.MsgspecError as error:
        raise WireError(f"the message is no acknowledge: {error}") from error
    taken = ack.accepted
    numbers = (ack.sequence, 0 if taken is None else taken.sequence)
    if not (all(0 <= number <= U32_MAX for number in numbers) and ack.toggle in {0, 1}):
        raise WireError("the message is no acknowledge: a number is out of range")
    accepted = Accepted() if taken is None else Accepted(taken.sequence, taken.part, taken.result)
    return Acknowledge(accepted, ack.status, ack.sequence, ack.toggle), ack.query


def _check_size(payload: bytes) -> None:
    if len(payload) > _MOST_BYTES:
        raise WireError(f"a message of {len(payload)} bytes is none of the handshake")
