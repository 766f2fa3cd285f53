"""The gate in the same process: signals go straight into a simulated PLC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.plc import U16_MAX, Accepted, Delivery, Result

if TYPE_CHECKING:
    from alerting.plc_sim.simulator import GateSimulator
    from shared.domain import Signal


class MemoryGateSignals:
    """Signals to a `simulator` in this process, under the rules of the registers but without any."""

    def __init__(self, simulator: GateSimulator) -> None:
        self._simulator = simulator

    async def open(self) -> Accepted:
        """Return the last accepted result."""
        return self._simulator.accepted

    async def send(self, signal: Signal) -> Delivery:
        """Hand the signal over; ConfigError when it would not fit the registers."""
        return self._simulator.result(Result.of(signal))

    async def last_accepted(self) -> Accepted:
        """Return the last accepted result."""
        return self._simulator.accepted

    async def beat(self) -> None:
        """Change the heartbeat counter once."""
        self._simulator.heartbeat((self._simulator.heartbeat_counter + 1) & U16_MAX)

    async def close(self) -> None:
        """Do nothing: the heartbeat stops with its caller."""
