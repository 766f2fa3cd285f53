"""The simulated PLC's holding registers: what a write sets off, and what a scan publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shared.clock import NS_PER_MS
from shared.errors import WireError
from shared.plc import (
    ACK,
    BLOCKS,
    COUNTERS,
    HEARTBEAT,
    PART,
    PHOTO_EYE,
    RESULT,
    U16_MAX,
    U32_MAX,
    Acknowledge,
    pack_acknowledge,
    pack_counters,
    unpack_eye,
    unpack_result,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alerting.plc_sim.simulator import GateSimulator
    from shared.plc import Block

SIZE: Final = max(block.end for block in BLOCKS)


class PlcRegisters:
    """The register image of one PLC in front of its `simulator`.

    A block is looked at when its toggle differs from the one seen last. A new sequence (eye count) behind the same
    toggle is looked at too: two writers' turns, or a writer that lost an answer, can leave the toggle where it was.
    """

    def __init__(self, simulator: GateSimulator) -> None:
        self._simulator = simulator
        self._seen: dict[str, tuple[int, list[int]]] = {block.name: (0, [0, 0]) for block in (RESULT, PHOTO_EYE)}
        self._acknowledge = Acknowledge(accepted=simulator.accepted)
        self.values = [0] * SIZE
        self._set(HEARTBEAT, [simulator.heartbeat_counter])
        self.publish(self._acknowledge)

    @property
    def acknowledge(self) -> Acknowledge:
        """Return what the ACK block should say by now."""
        return self._acknowledge

    @property
    def published(self) -> list[int]:
        """Return the ACK block as the last scan left it."""
        return ACK.of(self.values)

    def write(self, address: int, values: Sequence[int]) -> None:
        """Take one write whole, and let the simulator see every block that it completed."""
        self.values[address : address + len(values)] = values
        touched = range(address, address + len(values))
        if HEARTBEAT.address in touched:
            self._simulator.heartbeat(self.values[HEARTBEAT.address])
        if PHOTO_EYE.end - 1 in touched and self._is_new(PHOTO_EYE):
            self._on_eye()
        if RESULT.end - 1 in touched and self._is_new(RESULT):
            self._on_result()

    def publish(self, acknowledge: Acknowledge) -> None:
        """Write the PLC's own blocks, as a scan does at its end."""
        self._set(ACK, pack_acknowledge(acknowledge))
        number = self._simulator.part_number & U32_MAX
        self._set(PART, [number >> 16, number & U16_MAX])
        self._set(COUNTERS, pack_counters(self._simulator.counters()))

    def _on_result(self) -> None:
        registers = RESULT.of(self.values)
        toggle, sequence = registers[-1], (registers[0] << 16) | registers[1]
        try:
            result, _ = unpack_result(registers)
            status = self._simulator.result(result)
        except WireError:
            status = self._simulator.torn()
        self._acknowledge = Acknowledge(self._simulator.accepted, status, sequence, toggle)

    def _on_eye(self) -> None:
        try:
            eye, _ = unpack_eye(PHOTO_EYE.of(self.values))
        except WireError:
            self._simulator.torn()
        else:
            self._simulator.photo_eye(eye.part_id, eye.gate_at_ms * NS_PER_MS)

    def _is_new(self, block: Block) -> bool:
        registers = block.of(self.values)
        seen = (registers[-1], registers[:2])
        if seen == self._seen[block.name]:
            return False
        self._seen[block.name] = seen
        return True

    def _set(self, block: Block, values: Sequence[int]) -> None:
        self.values[block.address : block.end] = values
