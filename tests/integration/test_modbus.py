"""Both sides of the handshake over real TCP on this host."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from pymodbus.transaction import TransactionManager

from alerting.plc_sim.gate_log import GateAction
from alerting.plc_sim.server import PlcServer
from alerting.plc_sim.simulator import GateSimulator
from alerting.signals.base import Accepted, Delivery
from alerting.signals.counters import read_counters
from alerting.signals.modbus import ModbusGateSignals
from ingest.photo_eye.modbus import ModbusPhotoEye
from shared.clock import NS_PER_S, ManualClock, SystemClock
from shared.domain import GateMode, Outcome, Signal
from shared.errors import ServerError, SignalError, SignalTimeoutError, SignalUnreachableError
from shared.modbus import ModbusRegisters
from shared.plc import ACK, COUNTERS, RESULT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENT_MS = 5_000.0  # never reached, however busy the machine
SHORT_MS = 60.0  # for tests that wait for it to pass


class Line:
    """A simulated line on a clock turned by hand, served over TCP on the host's clock, with clients of both roles."""

    def __init__(self, mode: GateMode, timeout_ms: float) -> None:
        self.timeout_ms = timeout_ms
        self.clock = ManualClock()
        self.gate = GateSimulator(mode, self.clock, heartbeat_timeout_ms=500)
        self.plc = PlcServer(self.gate, scan_ms=1, clock=SystemClock())

    async def start(self) -> None:
        """Serve the line and make the clients."""
        await self.plc.start()
        self.signals = ModbusGateSignals(
            self.plc.url,
            SystemClock(),
            request_timeout_ms=self.timeout_ms,
            ack_timeout_ms=self.timeout_ms,
            ack_poll_ms=1,
        )
        self.eye = ModbusPhotoEye(self.plc.url, timeout_ms=self.timeout_ms)

    async def stop(self) -> None:
        """Close everything."""
        await self.signals.close()
        await self.eye.close()
        await self.plc.stop()

    async def see(self, part_id: str) -> None:
        """Let a part pass the photo-eye, one second before the gate."""
        await self.eye.part_passed(part_id, self.clock.utc_ns() + NS_PER_S)

    def signal(self, sequence: int, part_id: str, outcome: Outcome = Outcome.PASS) -> Signal:
        """Make a signal with half a second to its deadline."""
        return Signal(sequence, "line", part_id, outcome, self.clock.utc_ns() + NS_PER_S // 2)

    async def run(self, seconds: float) -> None:
        """Let the line run, and the PLC scan."""
        await self.clock.advance(seconds)
        await self.plc.scanned()


@asynccontextmanager
async def running(mode: GateMode = GateMode.PASS_ASSERTED, timeout_ms: float = PATIENT_MS) -> AsyncIterator[Line]:
    """Run a line for the length of a test."""
    line = Line(mode, timeout_ms)
    await line.start()
    try:
        yield line
    finally:
        await line.stop()


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """Run a line whose gate rests on reject."""
    async with running() as started:
        yield started


@pytest.fixture
async def impatient() -> AsyncIterator[Line]:
    """Run a line whose clients soon give up."""
    async with running(timeout_ms=SHORT_MS) as started:
        yield started


async def test_parts_results_and_counters_cross_the_wire(line: Line) -> None:
    """Photo-eye, result, acknowledge and counters work together from end to end."""
    for part_id in ("good", "bad", "silent"):
        await line.see(part_id)
    assert await line.signals.send(line.signal(1, "good")) is Delivery.ACCEPTED
    assert await line.signals.send(line.signal(2, "bad", Outcome.REJECT)) is Delivery.ACCEPTED
    await line.run(1)
    counters = await read_counters(line.plc.url)
    assert (counters.parts, counters.passed, counters.rejected, counters.defaulted) == (3, 1, 1, 1)
    assert counters.balanced
    assert counters.mismatches == 0


async def test_photo_eye_events_quicker_than_a_scan_are_all_seen(line: Line) -> None:
    """Each write of the photo-eye is handled when it comes, not when the next scan comes round."""
    for number in range(100):
        await line.see(f"p{number}")
    assert line.gate.counters().parts == 100


async def test_a_frozen_plc_times_out_and_the_late_write_is_harmless(impatient: Line) -> None:
    """A PASS that lands after its deadline, when the PLC thaws, does not open the gate."""
    await impatient.see("p")
    await impatient.signals.open()
    impatient.plc.freeze()
    with pytest.raises(SignalTimeoutError, match="may still land"):
        await impatient.signals.send(impatient.signal(1, "p"))
    await impatient.clock.advance(0.6)
    impatient.plc.thaw()
    await impatient.plc.scanned()
    assert (await read_counters(impatient.plc.url)).late == 1
    await impatient.run(1)
    assert [done.action for done in impatient.gate.outcomes()] == [GateAction.DEFAULTED]
    assert await impatient.signals.open() == Accepted(0, "", None)


async def test_a_late_write_cannot_overtake_a_newer_result(impatient: Line) -> None:
    """What was held back and lands behind a newer result is a duplicate or out of order, and changes nothing."""
    await impatient.see("p")
    await impatient.signals.open()
    impatient.plc.freeze()
    lost = impatient.signal(1, "p")
    with pytest.raises(SignalTimeoutError):
        await impatient.signals.send(lost)
    impatient.plc.thaw()
    await impatient.plc.scanned()
    assert await impatient.signals.last_accepted() == Accepted(1, "p", Outcome.PASS)
    assert await impatient.signals.send(lost) is Delivery.DUPLICATE
    assert (await read_counters(impatient.plc.url)).parts == 1


async def test_a_frozen_plc_that_nobody_wrote_to_is_unreachable(impatient: Line) -> None:
    """When the connection itself goes unanswered before the write, the caller knows that nothing was written."""
    impatient.plc.freeze()
    with pytest.raises(SignalUnreachableError):
        await impatient.signals.send(impatient.signal(1, "p"))
    impatient.plc.thaw()
    await impatient.plc.scanned()
    assert impatient.gate.counters().unknown_part == 0


async def test_an_acknowledge_that_comes_too_late_is_a_timeout(impatient: Line) -> None:
    """The PLC took the result, but its echo is slow: the caller must ask, and learns that it was accepted."""
    await impatient.see("p")
    impatient.plc.delay_acknowledges(4 * SHORT_MS)
    with pytest.raises(SignalTimeoutError, match="did not acknowledge result 1"):
        await impatient.signals.send(impatient.signal(1, "p"))
    while await impatient.signals.last_accepted() == Accepted():
        await impatient.plc.scanned()
    assert await impatient.signals.last_accepted() == Accepted(1, "p", Outcome.PASS)
    impatient.plc.delay_acknowledges(0)
    await impatient.see("q")
    assert await impatient.signals.send(impatient.signal(2, "q")) is Delivery.ACCEPTED


async def test_a_plc_that_freezes_before_its_acknowledge_is_a_timeout(impatient: Line) -> None:
    """When the acknowledge cannot be read after the write, the outcome is unknown rather than unwritten."""
    await impatient.see("p")
    await impatient.signals.open()
    impatient.plc.delay_acknowledges(PATIENT_MS)
    sending = asyncio.create_task(impatient.signals.send(impatient.signal(1, "p")))
    while impatient.gate.accepted == Accepted():
        await impatient.plc.scanned()
    impatient.plc.freeze()
    with pytest.raises(SignalTimeoutError, match="did not acknowledge result 1"):
        await sending


async def test_another_device_is_not_taken_for_the_gate_s_plc() -> None:
    """Registers full of something else are an error that names the register map."""
    device = ModbusTcpServer(
        SimDevice(0, SimData(0, count=COUNTERS.end, values=77, datatype=DataType.REGISTERS)), address=("127.0.0.1", 0)
    )
    assert await device.listen()
    assert isinstance(device.transport, asyncio.Server)
    url = f"modbus://127.0.0.1:{device.transport.sockets[0].getsockname()[1]}"
    signals = ModbusGateSignals(url, SystemClock())
    with pytest.raises(SignalError, match="no ACK block"):
        await signals.open()
    with pytest.raises(SignalError, match="no COUNTERS block"):
        await read_counters(url)
    await signals.close()
    device.close()


async def test_a_dropped_connection_is_opened_again_by_the_next_call(line: Line) -> None:
    """After a reset the clients go on, and no part or result is told twice."""
    await line.see("p")
    await line.signals.beat()
    line.plc.drop_connections()
    await line.plc.scanned()
    await line.see("q")
    await line.signals.beat()
    assert await line.signals.send(line.signal(1, "q")) is Delivery.ACCEPTED
    counters = await read_counters(line.plc.url)
    assert (counters.parts, counters.mismatches) == (2, 0)


async def test_a_plc_that_is_gone_is_unreachable_until_it_is_back() -> None:
    """A PLC that lost its memory in a restart is found again at its address, by signals and photo-eye alike."""
    async with running() as line:
        await line.see("p")
        assert await line.signals.send(line.signal(7, "p")) is Delivery.ACCEPTED
        port = int(line.plc.url.rpartition(":")[2])
        await line.plc.stop()
        for tell in (line.see("q"), line.signals.beat()):  # notices that the connection is gone, at the latest now
            with pytest.raises(SignalError):
                await tell
        with pytest.raises(SignalUnreachableError):
            await line.signals.send(line.signal(8, "p"))
        with pytest.raises(SignalUnreachableError):
            await line.see("q")
        with pytest.raises(SignalUnreachableError):
            await line.signals.beat()
        line.gate = GateSimulator(GateMode.PASS_ASSERTED, line.clock)
        line.plc = PlcServer(line.gate, port=port, scan_ms=1, clock=SystemClock())
        await line.plc.start()
        assert await line.signals.open() == Accepted(0, "", None)
        await line.see("q")
        await line.signals.beat()
        assert await line.signals.send(line.signal(9, "q")) is Delivery.ACCEPTED


async def test_writes_held_by_a_plc_that_dies_never_land() -> None:
    """Stopping a frozen PLC loses what it held back, and leaves no connection behind."""
    async with running(timeout_ms=SHORT_MS) as line:
        await line.see("p")
        await line.signals.open()
        line.plc.freeze()
        with pytest.raises(SignalTimeoutError):
            await line.signals.send(line.signal(1, "p"))
        await line.plc.stop()
        assert line.gate.accepted == Accepted()


async def test_a_silent_service_stops_a_line_that_rests_open() -> None:
    """Beats over TCP keep the line running; without them the PLC holds it, and a beat lets it go on."""
    async with running(GateMode.REJECT_ASSERTED) as line:
        await line.signals.beat()
        await line.see("p")
        await line.run(0.4)
        assert not (await read_counters(line.plc.url)).line_stopped
        await line.run(10)
        counters = await read_counters(line.plc.url)
        assert counters.line_stopped
        assert (counters.heartbeat_losses, counters.on_belt) == (1, 1)
        await line.signals.beat()
        await line.plc.scanned()
        assert not (await read_counters(line.plc.url)).line_stopped


async def test_beats_pass_while_a_signal_waits_for_its_acknowledge(impatient: Line) -> None:
    """A heartbeat does not wait for the end of a slow handshake."""
    await impatient.see("p")
    await impatient.signals.open()
    impatient.plc.delay_acknowledges(10 * SHORT_MS)
    sending = asyncio.create_task(impatient.signals.send(impatient.signal(1, "p")))
    while impatient.gate.accepted == Accepted():
        await impatient.plc.scanned()
    await impatient.signals.beat()
    assert not sending.done()
    with pytest.raises(SignalTimeoutError):
        await sending


async def test_a_connection_lost_under_a_request_ends_it_at_once(line: Line) -> None:
    """A reset while a write is under way is an unknown outcome now, not after the request's whole time."""
    signals = ModbusGateSignals(line.plc.url, SystemClock(), request_timeout_ms=60_000)
    await signals.open()
    line.plc.freeze()
    sending = asyncio.create_task(signals.send(line.signal(1, "p")))
    await asyncio.sleep(0)
    line.plc.drop_connections()
    with pytest.raises(SignalTimeoutError):
        await asyncio.wait_for(sending, timeout=10)
    await signals.close()


async def test_a_cancelled_send_leaves_nothing_half_done(line: Line) -> None:
    """After a cancelled handshake the next one gets its own answer, not the cancelled one's."""
    await line.see("p")
    await line.signals.open()
    line.plc.freeze()
    sending = asyncio.create_task(line.signals.send(line.signal(1, "p")))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    line.plc.thaw()
    await line.see("q")
    assert await line.signals.send(line.signal(2, "q")) is Delivery.ACCEPTED


async def test_a_cancellation_that_meets_the_answer_is_not_lost(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request cancelled in the very step in which its answer comes still ends its task: a drain waits for that."""
    registers = ModbusRegisters(line.plc.url, timeout_ms=PATIENT_MS)
    await registers.open()
    take = TransactionManager.callback_data

    def cancel_too(manager: TransactionManager, data: bytes, addr: tuple[str, int] | None = None) -> int:
        taken = take(manager, data, addr)
        if not manager.is_server:
            reading.cancel()
        return taken

    monkeypatch.setattr(TransactionManager, "callback_data", cancel_too)
    reading = asyncio.create_task(registers.read(RESULT.address, 1))
    with pytest.raises(asyncio.CancelledError):
        await reading
    await registers.close()


async def test_the_plc_s_own_registers_cannot_be_written(line: Line) -> None:
    """A refused request is neither a timeout nor an unreachable PLC, and the connection is usable again."""
    registers = ModbusRegisters(line.plc.url)
    for block in (ACK, COUNTERS):
        with pytest.raises(SignalError, match="exception 2") as refused:
            await registers.write(block.address, [1])
        assert type(refused.value) is SignalError
    assert await registers.read(RESULT.address, 1) == [0]
    await registers.close()


async def test_a_failed_request_gives_up_its_connection(impatient: Line) -> None:
    """After silence the next request goes over a new connection: the old one may be dead without a word."""
    registers = ModbusRegisters(impatient.plc.url, timeout_ms=SHORT_MS)
    assert [await registers.open(), await registers.open()] == [1, 1]
    impatient.plc.freeze()
    with pytest.raises(SignalUnreachableError):
        await registers.read(RESULT.address, RESULT.count)
    impatient.plc.thaw()
    assert await registers.open() == 2
    await registers.close()


async def test_a_taken_port_is_a_server_error(line: Line) -> None:
    """Two simulated PLCs cannot share a port, and the second says so."""
    port = int(line.plc.url.rpartition(":")[2])
    with pytest.raises(ServerError, match="cannot listen"):
        await PlcServer(GateSimulator(GateMode.PASS_ASSERTED, line.clock), port=port).start()
