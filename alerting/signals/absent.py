"""No gate: a line whose decisions are only recorded."""

from __future__ import annotations

from shared.domain import Signal
from shared.plc import Accepted, Delivery


class AbsentGateSignals:
    """Takes every signal and does nothing with it."""

    async def open(self) -> Accepted:
        """Return that nothing was accepted yet."""
        return Accepted()

    async def send(self, signal: Signal) -> Delivery:  # noqa: ARG002 - the port's signature
        """Accept."""
        return Delivery.ACCEPTED

    async def last_accepted(self) -> Accepted:
        """Return that nothing was accepted yet."""
        return Accepted()

    async def beat(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
