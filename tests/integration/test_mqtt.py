"""The handshake over a real Mosquitto on this host, and what becomes of it when PLC, broker or service fail."""

from __future__ import annotations

import asyncio
import itertools
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from alerting.plc_sim.gate_log import GateAction
from alerting.plc_sim.mqtt import MqttPlcServer
from alerting.plc_sim.simulator import GateSimulator
from alerting.signals.base import Accepted, Delivery
from alerting.signals.mqtt import MqttGateSignals
from alerting.signals.mqtt_messages import GateTopics, pack_told
from deploy.servers.mosquitto import MosquittoServer
from shared.clock import NS_PER_MS, NS_PER_S, ManualClock, SystemClock
from shared.domain import GateMode, Outcome, Signal
from shared.errors import ServerError, SignalError, SignalTimeoutError, SignalUnreachableError
from shared.mqtt import MqttLink
from shared.mqtt_address import parse_mqtt_url
from shared.plc import Result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.mqtt
PATIENT_MS = 10_000.0  # never reached, however busy the machine
SHORT_MS = 300.0  # for tests that wait for it to pass
_GATES = itertools.count()


class Line:
    """A simulated line on a clock turned by hand, behind a broker on the host's clock."""

    def __init__(self, broker: str, timeout_ms: float) -> None:
        self.url = f"{broker}?prefix=line/{next(_GATES)}"
        self.topics = GateTopics(parse_mqtt_url(self.url).prefix)
        self.clock = ManualClock()
        self.gate = GateSimulator(GateMode.PASS_ASSERTED, self.clock, heartbeat_timeout_ms=500)
        self.plc = MqttPlcServer(self.gate, self.url, scan_ms=1, clock=SystemClock())
        self.signals = MqttGateSignals(
            self.url, SystemClock(), request_timeout_ms=timeout_ms, ack_timeout_ms=timeout_ms
        )

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
async def running(broker: str, timeout_ms: float = PATIENT_MS) -> AsyncIterator[Line]:
    """Run a line for the length of a test."""
    line = Line(broker, timeout_ms)
    await line.plc.start()
    try:
        yield line
    finally:
        await line.signals.close()
        await line.plc.stop()


class Listener:
    """Somebody else at the broker."""

    def __init__(self, url: str, *topics: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.link = MqttLink(
            parse_mqtt_url(url),
            subscribe=topics,
            state_topic="listener",
            on_message=lambda topic, payload: self.heard.append((topic, payload)),
            on_lost=lambda: None,
            timeout_ms=PATIENT_MS,
        )

    async def wait_for(self, topic: str, payload: bytes) -> None:
        """Return once a message was heard."""
        await until(lambda: (topic, payload) in self.heard)


async def until(true: Callable[[], bool]) -> None:
    """Return once something is true, within the test's own time."""
    while not true():  # noqa: ASYNC110 - what it waits for has no event
        await asyncio.sleep(0.005)


async def test_a_frozen_plc_times_out_and_the_late_result_is_harmless(mqtt_url: str) -> None:
    """A PASS that the PLC reads after its deadline does not open the gate."""
    async with running(mqtt_url, SHORT_MS) as line:
        line.see("p")
        await line.signals.open()
        line.plc.freeze()
        with pytest.raises(SignalTimeoutError, match="did not acknowledge result 1"):
            await line.signals.send(line.signal(1, "p"))
        await line.clock.advance(0.6)
        line.plc.thaw()
        await line.plc.scanned()
        await until(lambda: line.gate.counters().late == 1)
        await line.run(1)
        assert [done.action for done in line.gate.outcomes()] == [GateAction.DEFAULTED]
        assert await line.signals.open() == Accepted(0, "", None)


async def test_a_question_is_answered_behind_what_was_on_its_way(mqtt_url: str) -> None:
    """After a timeout the PLC's answer counts the result that landed late: it cannot be told twice with effect."""
    async with running(mqtt_url, SHORT_MS) as line:
        line.see("p")
        await line.signals.open()
        line.plc.freeze()
        lost = line.signal(1, "p")
        with pytest.raises(SignalTimeoutError):
            await line.signals.send(lost)
        with pytest.raises(SignalUnreachableError, match="does not answer"):
            await line.signals.last_accepted()
        line.plc.thaw()
        assert await line.signals.last_accepted() == Accepted(1, "p", Outcome.PASS)
        assert await line.signals.send(lost) is Delivery.DUPLICATE


async def test_a_frozen_plc_is_noticed_by_its_missing_echo(mqtt_url: str) -> None:
    """A heartbeat that reached the broker alone is no heartbeat."""
    async with running(mqtt_url, SHORT_MS) as line:
        await line.signals.beat()
        line.plc.freeze()
        with pytest.raises(SignalTimeoutError, match="did not echo"):
            await line.signals.beat()
        line.plc.thaw()


async def test_a_plc_that_left_is_unreachable_before_anything_is_sent(mqtt_url: str) -> None:
    """The PLC's retained state tells that nobody would hear; nothing is left behind for it to find later."""
    async with running(mqtt_url) as line:
        await line.signals.open()
        await line.plc.stop()
        spy = Listener(line.url, line.topics.plc, line.topics.result)
        await spy.link.open()
        await spy.wait_for(line.topics.plc, b"offline")
        await until(lambda: line.signals._plc_away)
        with pytest.raises(SignalUnreachableError, match="PLC is offline"):
            await line.signals.send(line.signal(1, "p"))
        assert [topic for topic, _ in spy.heard] == [line.topics.plc]
        await spy.link.close()


async def test_a_result_delivered_twice_counts_once(mqtt_url: str) -> None:
    """QoS 1 may repeat a message: the toggle and the sequence tell the PLC that it is the same."""
    async with running(mqtt_url) as line:
        line.see("p")
        other = Listener(line.url)
        told = pack_told(Result(1, "p", Outcome.REJECT, line.clock.utc_ns() // NS_PER_MS + 500), 1)
        for _ in range(3):
            await other.link.publish(line.topics.result, told)
        assert await line.signals.open() == Accepted(1, "p", Outcome.REJECT)
        assert line.gate.counters().duplicate == 0
        await other.link.publish(line.topics.result, b"no result")
        await until(lambda: line.gate.counters().bad_checksum == 1)
        await other.link.close()


async def test_service_that_ends_without_a_word_is_told_offline_by_the_broker(mqtt_url: str) -> None:
    """The last will says offline where a crash could not, and closing says it by itself."""
    async with running(mqtt_url) as line:
        spy = Listener(line.url, line.topics.state)
        await spy.link.open()
        await line.signals.open()
        await spy.wait_for(line.topics.state, b"online")
        assert isinstance(line.signals._link, MqttLink)
        client = line.signals._link._client
        assert client is not None
        connection = client._client.socket()
        assert isinstance(connection, socket.socket)
        connection.shutdown(socket.SHUT_RDWR)
        await spy.wait_for(line.topics.state, b"offline")
        spy.heard.clear()
        await line.signals.open()
        await line.signals.close()
        await spy.wait_for(line.topics.state, b"offline")
        await spy.link.close()


async def test_a_broker_that_restarts_is_found_again_by_both_sides(tmp_path: Path) -> None:
    """While the broker is away signals fail in their kind; afterwards they go on where the PLC stands."""
    broker = MosquittoServer(tmp_path / "mosquitto")
    try:
        broker.start()
    except ServerError as error:
        pytest.skip(str(error))
    async with running(broker.url, 1_000) as line:
        line.see("p")
        assert await line.signals.send(line.signal(1, "p")) is Delivery.ACCEPTED
        broker.kill9()
        await until(lambda: not line.signals._link.connected)
        for call in (line.signals.beat(), line.signals.send(line.signal(2, "q")), line.signals.last_accepted()):
            with pytest.raises(SignalUnreachableError):
                await call
        broker.start()
        answer: Accepted | None = None
        while answer is None:
            try:
                answer = await line.signals.open()
            except SignalError:
                await asyncio.sleep(0.05)
        assert answer == Accepted(1, "p", Outcome.PASS)
        line.see("q")
        assert await line.signals.send(line.signal(2, "q")) is Delivery.ACCEPTED
        broker.freeze()
        with pytest.raises(SignalTimeoutError):
            await line.signals.send(line.signal(3, "q", Outcome.REJECT))
        broker.thaw()
    broker.stop()


async def test_a_plc_without_its_broker_is_a_server_error() -> None:
    """The simulated PLC says which broker it misses."""
    gate = GateSimulator(GateMode.PASS_ASSERTED, ManualClock())
    with pytest.raises(ServerError, match="has no broker"):
        await MqttPlcServer(gate, "mqtt://127.0.0.1:1", clock=SystemClock()).start()
