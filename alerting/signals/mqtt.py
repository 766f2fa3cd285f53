"""The gate behind MQTT: results out with QoS 1, the PLC's acknowledge back on a topic of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from alerting.signals.handshake import DEFAULT_ACK_TIMEOUT_MS
from alerting.signals.mqtt_messages import GateTopics, pack_question, pack_told, unpack_ack
from shared.clock import NS_PER_MS, NS_PER_S, wait_event
from shared.errors import SignalTimeoutError, SignalUnreachableError, WireError
from shared.log import get_logger
from shared.mqtt import DEFAULT_TIMEOUT_MS, Link, MqttLink
from shared.mqtt_address import parse_mqtt_url
from shared.plc import U16_MAX, U32_MAX, Acknowledge, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.clock import Clock
    from shared.domain import Signal
    from shared.plc import Accepted, Delivery

T = TypeVar("T")
_SILENT = "Check that the PLC runs and is connected to the broker."


class MqttGateSignals:
    """Signals to the PLC behind the broker at `url` (`mqtt://HOST:PORT?prefix=...`).

    `request_timeout_ms` bounds connecting, each message's way to the broker, and the PLC's answers to questions and
    heartbeats; `ack_timeout_ms` bounds the wait for the PLC's word on a result. One signal is under way at a time.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        request_timeout_ms: float = DEFAULT_TIMEOUT_MS,
        ack_timeout_ms: float = DEFAULT_ACK_TIMEOUT_MS,
        link: type[Link] = MqttLink,
    ) -> None:
        address = parse_mqtt_url(url)
        self._name = address.name
        self._topics = GateTopics(address.prefix)
        self._clock = clock
        self._answer_ms = request_timeout_ms
        self._ack_ms = ack_timeout_ms
        self._link = link(
            address,
            subscribe=(self._topics.ack, self._topics.echo, self._topics.plc),
            state_topic=self._topics.state,
            on_message=self._on_message,
            on_lost=self._on_lost,
            timeout_ms=request_timeout_ms,
        )
        self._sending = asyncio.Lock()
        self._beating = asyncio.Lock()
        self._news = asyncio.Event()
        self._seen: Acknowledge | None = None
        self._answered = 0
        self._question = clock.utc_ns() & (U32_MAX >> 1)  # unlike those that an earlier process asked
        self._echo: int | None = None
        self._counter = clock.utc_ns() // NS_PER_MS & U16_MAX
        self._plc_away = False
        self._toggle: tuple[int, int] | None = None

    async def open(self) -> Accepted:
        """Connect unless connected, and return the PLC's last accepted result."""
        async with self._sending:
            connection = await self._link.open()
            seen = await self._ask()
            self._toggle = (connection, seen.toggle)
            return seen.accepted

    async def send(self, signal: Signal) -> Delivery:
        """Publish the result once, then wait until the PLC's acknowledge echoes its sequence and toggle."""
        result = Result.of(signal)
        async with self._sending:
            connection = await self._link.open()
            known = self._toggle
            last = known[1] if known is not None and known[0] == connection else (await self._ask()).toggle
            toggle = 1 - last
            self._toggle = None  # unknown from here on, unless the PLC echoes it
            self._check_plc()
            await self._link.publish(self._topics.result, pack_told(result, toggle))
            seen = await self._heard(lambda: self._echoed(result.sequence, toggle), self._ack_ms)
            if seen is None or seen.status is None:
                raise SignalTimeoutError(
                    f"{self._name} did not acknowledge result {result.sequence} within {self._ack_ms:g} ms",
                    "Ask the PLC what it accepted last.",
                )
            self._toggle = (connection, toggle)
            return seen.status

    async def last_accepted(self) -> Accepted:
        """Ask the PLC; what the broker retained could be older than a result that is still on its way."""
        await self._link.open()
        return (await self._ask()).accepted

    async def beat(self) -> None:
        """Publish the next heartbeat count, and wait until the PLC has echoed it."""
        async with self._beating:
            await self._link.open()
            self._check_plc()
            counter = self._counter = (self._counter + 1) & U16_MAX
            await self._link.publish(self._topics.heartbeat, str(counter).encode(), qos=0)
            if await self._heard(lambda: counter if self._echo == counter else None, self._answer_ms) is None:
                raise SignalTimeoutError(f"{self._name}: the PLC did not echo heartbeat {counter}", _SILENT)

    async def close(self) -> None:
        """Say "offline" and disconnect."""
        await self._link.close()

    async def _ask(self) -> Acknowledge:
        self._check_plc()
        self._question = number = (self._question + 1) & U32_MAX
        try:
            await self._link.publish(self._topics.result, pack_question(number))
        except SignalTimeoutError as error:
            raise SignalUnreachableError(error.problem, _SILENT) from error  # a question changes nothing
        seen = await self._heard(lambda: self._seen if self._answered == number else None, self._answer_ms)
        if seen is None:
            self._link.drop()
            raise SignalUnreachableError(f"{self._name}: the PLC does not answer", _SILENT)
        return seen

    def _echoed(self, sequence: int, toggle: int) -> Acknowledge | None:
        seen = self._seen
        matches = seen is not None and (seen.sequence, seen.toggle) == (sequence, toggle)
        return seen if matches else None

    async def _heard(self, found: Callable[[], T | None], within_ms: float) -> T | None:
        """Return what `found` finds once a message brings it; None when the time or the connection is over."""
        give_up_ns = self._clock.monotonic_ns() + round(within_ms * NS_PER_MS)
        while True:
            self._news.clear()
            if (answer := found()) is not None:
                return answer
            left_s = (give_up_ns - self._clock.monotonic_ns()) / NS_PER_S
            if left_s <= 0 or not self._link.connected:
                return None
            await wait_event(self._clock, self._news, left_s)

    def _check_plc(self) -> None:
        if self._plc_away:
            raise SignalUnreachableError(f"{self._name}: the broker says that the PLC is offline", _SILENT)

    def _on_message(self, topic: str, payload: bytes) -> None:
        try:
            if topic == self._topics.ack:
                seen, query = unpack_ack(payload)
                self._seen = seen
                self._answered = self._answered if query is None else query
            elif topic == self._topics.echo:
                self._echo = int(payload)
            elif topic == self._topics.plc:
                self._plc_away = payload == b"offline"
        except (WireError, ValueError) as error:
            get_logger("signals").warning("mqtt.misunderstood", topic=topic, error=str(error))
            return
        self._news.set()

    def _on_lost(self) -> None:
        # What was retained comes anew with the next connection.
        self._plc_away = False
        self._seen = self._echo = None
        self._news.set()
