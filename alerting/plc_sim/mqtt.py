"""The simulated PLC behind an MQTT broker: the other side of `alerting.signals.mqtt`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import msgspec

from alerting.plc_sim.plc import DEFAULT_SCAN_MS, SimulatedPlc
from alerting.signals.mqtt_messages import GateTopics, pack_ack, unpack_told
from shared.clock import NS_PER_S
from shared.errors import ServerError, SignalError, WireError
from shared.mqtt import Link, MqttLink
from shared.mqtt_address import parse_mqtt_url
from shared.plc import HEARTBEAT, RESULT, U16_MAX, Acknowledge, pack_result, unpack_acknowledge

if TYPE_CHECKING:
    from alerting.plc_sim.simulator import GateSimulator
    from shared.clock import Clock

_RETRY_S: Final = 0.2
_OUTBOX: Final = 1_000


class MqttPlcServer(SimulatedPlc):
    """Puts a `simulator` behind the broker at `url` (`mqtt://HOST:PORT?prefix=...`), and comes back when it is lost.

    Messages that come while the PLC is frozen are taken in and land with the thaw, in their order.
    """

    def __init__(
        self,
        simulator: GateSimulator,
        url: str,
        *,
        scan_ms: float = DEFAULT_SCAN_MS,
        clock: Clock | None = None,
        timeout_ms: float = 2_000,
        link: type[Link] = MqttLink,
    ) -> None:
        super().__init__(simulator, scan_ms=scan_ms, clock=clock)
        self._url = url
        address = parse_mqtt_url(url)
        self._topics = GateTopics(address.prefix)
        self._link = link(
            address,
            subscribe=(self._topics.result, self._topics.heartbeat),
            state_topic=self._topics.plc,
            on_message=self._on_message,
            on_lost=lambda: None,
            timeout_ms=timeout_ms,
        )
        self._held: list[tuple[str, bytes]] = []
        self._outbox: asyncio.Queue[tuple[str, bytes, bool, int]] = asyncio.Queue(_OUTBOX)
        self._sender: asyncio.Task[None] | None = None
        self._told = Acknowledge()
        self._questions: list[int] = []
        self._counted_ns = 0

    @property
    def url(self) -> str:
        """Return the address for linewarden's settings."""
        return self._url

    def thaw(self) -> None:
        """Go on: the messages that were held back land now, late."""
        super().thaw()
        held, self._held = self._held, []
        for topic, payload in held:
            self._on_message(topic, payload)

    def drop_connections(self) -> None:
        """Lose the connection to the broker."""
        self._link.drop()

    async def _listen(self) -> None:
        try:
            await self._link.open()
        except SignalError as error:
            raise ServerError(
                f"the simulated PLC has no broker: {error.problem}", "Start one, or correct --url."
            ) from error
        self._sender = asyncio.create_task(self._send_forever(), name="plc-mqtt")

    async def _unlisten(self) -> None:
        self._held.clear()
        if self._sender is not None:
            sender, self._sender = self._sender, None
            sender.cancel()
            with suppress(asyncio.CancelledError):
                await sender
        await self._link.close()

    async def _publish(self) -> None:
        acknowledge = unpack_acknowledge(self._registers.published)
        questions, self._questions = self._questions, []
        for question in questions:
            self._post(self._topics.ack, pack_ack(acknowledge, question), retain=True)
        if acknowledge != self._told and not questions:
            self._post(self._topics.ack, pack_ack(acknowledge), retain=True)
        self._told = acknowledge
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._counted_ns >= NS_PER_S:
            self._counted_ns = now_ns
            self._post(
                self._topics.counters, msgspec.json.encode(asdict(self.simulator.counters())), retain=True, qos=0
            )

    def _on_message(self, topic: str, payload: bytes) -> None:
        if not self._thawed.is_set():
            self._held.append((topic, payload))
        elif topic == self._topics.heartbeat:
            with suppress(ValueError):
                self._write(HEARTBEAT.address, [int(payload) & U16_MAX])
                self._post(self._topics.echo, payload, retain=False, qos=0)
        elif topic == self._topics.result:
            self._on_told(payload)

    def _on_told(self, payload: bytes) -> None:
        try:
            told = unpack_told(payload)
        except WireError:
            self.simulator.torn()
            return
        if isinstance(told, int):
            self._questions.append(told)
        else:
            self._write(RESULT.address, pack_result(*told))

    def _post(self, topic: str, payload: bytes, *, retain: bool, qos: int = 1) -> None:
        with suppress(asyncio.QueueFull):  # the broker has been away for long: linewarden asks when it is back
            self._outbox.put_nowait((topic, payload, retain, qos))

    async def _send_forever(self) -> None:
        while True:
            topic, payload, retain, qos = await self._outbox.get()
            try:
                await self._link.publish(topic, payload, retain=retain, qos=qos)
            except SignalError:
                await self._clock.sleep(_RETRY_S)
