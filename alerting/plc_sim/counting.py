"""Under which counter each refusal and each action is counted."""

from __future__ import annotations

from typing import Final, Literal

from alerting.plc_sim.gate_log import GateAction
from shared.plc import Delivery

CountName = Literal[
    "parts",
    "passed",
    "rejected",
    "defaulted",
    "unsignalled",
    "duplicate",
    "unknown_part",
    "conflicting",
    "late",
    "out_of_order",
    "bad_checksum",
    "reached_twice",
    "heartbeat_losses",
    "crowded",
]
REFUSALS: Final[dict[Delivery, CountName]] = {
    Delivery.LATE: "late",
    Delivery.DUPLICATE: "duplicate",
    Delivery.UNKNOWN_PART: "unknown_part",
    Delivery.CONFLICTING: "conflicting",
    Delivery.BAD_CHECKSUM: "bad_checksum",
    Delivery.OUT_OF_ORDER: "out_of_order",
}
COUNTED_AS: Final[dict[GateAction, CountName]] = {
    GateAction.PASSED: "passed",
    GateAction.REJECTED: "rejected",
    GateAction.DEFAULTED: "defaulted",
    GateAction.UNSIGNALLED: "unsignalled",
}
