"""The port to a gate: how a decision reaches the PLC, and what the PLC says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from shared.plc import Accepted, Delivery

if TYPE_CHECKING:
    from shared.domain import Signal

__all__ = ["Accepted", "Delivery", "GateSignals"]


class GateSignals(Protocol):
    """One line's gate. An adapter never sends a signal twice on its own: the caller decides what to do after a failure.

    Calls may overlap: a heartbeat passes between the steps of a `send` that waits for its acknowledge.
    """

    async def open(self) -> Accepted:
        """Connect unless connected, and return the PLC's last accepted result; SignalUnreachableError."""
        ...

    async def send(self, signal: Signal) -> Delivery:
        """Write a signal and wait for the PLC's acknowledge of it.

        SignalUnreachableError: nothing was written. SignalTimeoutError: whether it landed is unknown, ask
        `last_accepted`. SignalError: the PLC refuses this register map. ConfigError: it does not fit the registers.
        """
        ...

    async def last_accepted(self) -> Accepted:
        """Return the PLC's last accepted result; SignalUnreachableError."""
        ...

    async def beat(self) -> None:
        """Change the heartbeat counter once; SignalUnreachableError or SignalTimeoutError."""
        ...

    async def close(self) -> None:
        """Let go of the connection; the PLC will see the heartbeat stop."""
        ...
