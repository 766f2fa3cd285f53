"""Gates that fail in one way each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from alerting.signals.memory import MemoryGateSignals
from shared.clock import NS_PER_MS, NS_PER_S
from shared.domain import Outcome
from shared.errors import SignalError, SignalTimeoutError, SignalUnreachableError
from shared.plc import Accepted, Delivery, Result

if TYPE_CHECKING:
    from alerting.plc_sim.simulator import GateSimulator
    from shared.domain import Signal


class AwayGate(MemoryGateSignals):
    """A gate whose network can be cut: nothing is written while it is `away`."""

    def __init__(self, simulator: GateSimulator) -> None:
        super().__init__(simulator)
        self.away = False
        self.tried = 0

    def _check(self) -> None:
        if self.away:
            self.tried += 1
            raise SignalUnreachableError("the PLC cannot be reached")

    async def open(self) -> Accepted:
        """Connect."""
        self._check()
        return await super().open()

    async def send(self, signal: Signal) -> Delivery:
        """Write."""
        self._check()
        return await super().send(signal)

    async def last_accepted(self) -> Accepted:
        """Ask."""
        self._check()
        return await super().last_accepted()

    async def beat(self) -> None:
        """Beat."""
        self._check()
        await super().beat()


class FrozenGate(AwayGate):
    """A gate whose answers get lost: while `frozen`, writes land (unless `drops`) and nobody hears of it."""

    def __init__(self, simulator: GateSimulator) -> None:
        super().__init__(simulator)
        self.frozen = False
        self.drops = False

    async def send(self, signal: Signal) -> Delivery:
        """Write, and perhaps lose the answer."""
        if self.frozen:
            self.away = True
            if not self.drops:
                self._simulator.result(Result.of(signal))
            raise SignalTimeoutError("no acknowledge")
        return await super().send(signal)

    def thaw(self) -> None:
        """Answer again."""
        self.frozen = self.away = False


class LateGate(MemoryGateSignals):
    """A gate that looks at each result only after its deadline."""

    async def send(self, signal: Signal) -> Delivery:
        """Hand over what is too late."""
        return await super().send(replace(signal, deadline_ns=self._simulator.clock.utc_ns() - NS_PER_MS))


class TakenGate(MemoryGateSignals):
    """A gate that another writer overtook by 1000 sequence numbers after we had connected."""

    def __init__(self, simulator: GateSimulator) -> None:
        super().__init__(simulator)
        self._opened = False

    async def open(self) -> Accepted:
        """Connect, and then let somebody else write."""
        accepted = await super().open()
        if not self._opened:
            self._opened = True
            now_ns = self._simulator.clock.utc_ns()
            self._simulator.photo_eye("foreign", now_ns + NS_PER_S)
            self._simulator.result(Result(1_000, "foreign", Outcome.DEFAULT_REJECT, now_ns // NS_PER_MS + 500))
        return accepted


class RefusingGate(AwayGate):
    """A PLC with another register map."""

    def _check(self) -> None:
        if self.away:
            raise SignalError("no ACK block")


class StuckGate(MemoryGateSignals):
    """A gate that never comes back from a write, and would still take heartbeats."""

    async def send(self, signal: Signal) -> Delivery:
        """Hang."""
        await self._simulator.clock.sleep(3_600)
        return await super().send(signal)
