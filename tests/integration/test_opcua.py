"""The handshake over a real OPC UA server on this host, and what becomes of it when the PLC fails."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from alerting.plc_sim.gate_log import GateAction
from alerting.plc_sim.opcua import OpcUaPlcServer
from alerting.plc_sim.simulator import GateSimulator
from alerting.signals.base import Accepted, Delivery
from alerting.signals.counters import read_counters
from alerting.signals.opcua import OpcUaBlocks, OpcUaGateSignals
from shared.clock import NS_PER_S, ManualClock, SystemClock
from shared.domain import GateMode, Outcome, Signal
from shared.errors import ServerError, SignalError, SignalTimeoutError, SignalUnreachableError
from shared.plc import ACK, COUNTERS, RESULT, unpack_counters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENT_MS = 10_000.0  # never reached, however busy the machine
SHORT_MS = 300.0  # for tests that wait for it to pass


class Line:
    """A simulated line on a clock turned by hand, served over TCP on the host's clock."""

    def __init__(self, timeout_ms: float) -> None:
        self.clock = ManualClock()
        self.gate = GateSimulator(GateMode.PASS_ASSERTED, self.clock, heartbeat_timeout_ms=500)
        self.plc = OpcUaPlcServer(self.gate, scan_ms=1, clock=SystemClock())
        self.timeout_ms = timeout_ms

    async def start(self) -> None:
        """Serve the line, connect a client, and only then make it impatient: connecting takes five requests."""
        await self.plc.start()
        self.signals = OpcUaGateSignals(
            self.plc.url,
            SystemClock(),
            request_timeout_ms=self.timeout_ms,
            ack_timeout_ms=self.timeout_ms,
            ack_poll_ms=1,
        )

    async def stop(self) -> None:
        """Close everything."""
        await self.signals.close()
        await self.plc.stop()

    def see(self, part_id: str) -> None:
        """Let a part pass the photo-eye, one second before the gate."""
        self.gate.photo_eye(part_id, self.clock.utc_ns() + NS_PER_S)

    def signal(self, sequence: int, part_id: str, outcome: Outcome = Outcome.PASS) -> Signal:
        """Make a signal with half a second to its deadline."""
        return Signal(sequence, "line", part_id, outcome, self.clock.utc_ns() + NS_PER_S // 2)

    async def run(self, seconds: float) -> None:
        """Let the line run, and the PLC scan."""
        await self.clock.advance(seconds)
        await self.plc.scanned()


@asynccontextmanager
async def running(timeout_ms: float = PATIENT_MS) -> AsyncIterator[Line]:
    """Run a line for the length of a test."""
    line = Line(timeout_ms)
    await line.start()
    try:
        yield line
    finally:
        await line.stop()


async def test_a_frozen_plc_times_out_and_the_late_write_is_harmless() -> None:
    """A PASS that lands after its deadline, when the PLC thaws, does not open the gate."""
    async with running(SHORT_MS) as line:
        line.see("p")
        await line.signals.open()
        line.plc.freeze()
        with pytest.raises(SignalTimeoutError, match="may still land"):
            await line.signals.send(line.signal(1, "p"))
        await line.clock.advance(0.6)
        line.plc.thaw()
        await line.plc.scanned()
        assert line.gate.counters().late == 1
        await line.run(1)
        assert [done.action for done in line.gate.outcomes()] == [GateAction.DEFAULTED]
        assert await line.signals.open() == Accepted(0, "", None)


async def test_a_late_write_cannot_overtake_a_newer_result() -> None:
    """What was held back and landed is found by asking, and telling it again is a duplicate."""
    async with running(SHORT_MS) as line:
        line.see("p")
        await line.signals.open()
        line.plc.freeze()
        lost = line.signal(1, "p")
        with pytest.raises(SignalTimeoutError):
            await line.signals.send(lost)
        line.plc.thaw()
        await line.plc.scanned()
        assert await line.signals.last_accepted() == Accepted(1, "p", Outcome.PASS)
        assert await line.signals.send(lost) is Delivery.DUPLICATE


async def test_a_frozen_plc_that_nobody_wrote_to_is_unreachable() -> None:
    """When not even a read is answered, the caller knows that nothing was written."""
    async with running(SHORT_MS) as line:
        line.plc.freeze()
        with pytest.raises(SignalUnreachableError):
            await line.signals.send(line.signal(1, "p"))
        line.plc.thaw()
        await line.plc.scanned()
        assert line.gate.counters().unknown_part == 0


async def test_an_acknowledge_that_comes_too_late_is_a_timeout() -> None:
    """The PLC took the result, but its echo is slow: the caller must ask, and learns that it was accepted."""
    async with running(SHORT_MS) as line:
        line.see("p")
        line.plc.delay_acknowledges(4 * SHORT_MS)
        with pytest.raises(SignalTimeoutError, match="did not acknowledge result 1"):
            await line.signals.send(line.signal(1, "p"))
        while await line.signals.last_accepted() == Accepted():
            await line.plc.scanned()
        assert await line.signals.last_accepted() == Accepted(1, "p", Outcome.PASS)


async def test_a_dropped_connection_is_opened_again_by_the_next_call() -> None:
    """After a reset the client goes on with the next call."""
    async with running() as line:
        line.see("p")
        await line.signals.beat()
        line.plc.drop_connections()
        await line.plc.scanned()
        await line.signals.beat()
        assert await line.signals.send(line.signal(1, "p")) is Delivery.ACCEPTED
        assert line.gate.counters().mismatches == 0


async def test_a_plc_that_is_gone_is_unreachable_until_it_is_back() -> None:
    """A PLC that lost its memory in a restart is found again at its address."""
    async with running() as line:
        line.see("p")
        assert await line.signals.send(line.signal(7, "p")) is Delivery.ACCEPTED
        port = int(line.plc.url.rpartition(":")[2])
        await line.plc.stop()
        with pytest.raises(SignalError):
            await line.signals.beat()
        with pytest.raises(SignalUnreachableError):
            await line.signals.send(line.signal(8, "p"))
        line.gate = GateSimulator(GateMode.PASS_ASSERTED, line.clock)
        line.plc = OpcUaPlcServer(line.gate, port=port, scan_ms=1, clock=SystemClock())
        await line.plc.start()
        assert await line.signals.open() == Accepted(0, "", None)


async def test_a_connection_lost_under_a_write_ends_it_at_once() -> None:
    """A reset while a write is under way is an unknown outcome now, not after the request's whole time."""
    async with running() as line:
        line.see("p")
        await line.signals.open()
        line.plc.freeze()
        sending = asyncio.create_task(line.signals.send(line.signal(1, "p")))
        await asyncio.sleep(0)
        line.plc.drop_connections()
        with pytest.raises(SignalTimeoutError):
            await asyncio.wait_for(sending, timeout=5)
        line.plc.thaw()


async def test_a_cancelled_send_leaves_nothing_half_done() -> None:
    """After a cancelled handshake the next one gets its own answer, not the cancelled one's."""
    async with running() as line:
        line.see("p")
        line.see("q")
        await line.signals.open()
        line.plc.freeze()
        sending = asyncio.create_task(line.signals.send(line.signal(1, "p")))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        line.plc.thaw()
        assert await line.signals.send(line.signal(2, "q")) is Delivery.ACCEPTED


async def test_the_plc_s_own_variables_cannot_be_written() -> None:
    """A refused request is neither a timeout nor an unreachable PLC, and the session goes on."""
    async with running() as line:
        blocks = OpcUaBlocks(line.plc.url, timeout_ms=PATIENT_MS)
        with pytest.raises(SignalError, match="Check the node ids") as refused:
            await blocks.write(ACK, [0] * ACK.count)
        assert type(refused.value) is SignalError
        with pytest.raises(SignalError):
            await blocks.write(RESULT, [0] * 3)
        assert await blocks.open() == 1
        assert (await read_counters(line.plc.url, timeout_ms=PATIENT_MS)).parts == 0
        assert unpack_counters(await blocks.read(COUNTERS)).parts == 0
        await blocks.close()


async def test_a_taken_port_is_a_server_error() -> None:
    """Two simulated PLCs cannot share a port, and the second says so."""
    async with running() as line:
        port = int(line.plc.url.rpartition(":")[2])
        with pytest.raises(ServerError, match="cannot listen"):
            await OpcUaPlcServer(GateSimulator(GateMode.PASS_ASSERTED, line.clock), port=port).start()
