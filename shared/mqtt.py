"""Messages over MQTT 3.1.1: one connection to a broker, no resending by ourselves.

The only import of aiomqtt. A lost connection is not opened again behind the caller's back, and whatever was not
confirmed on it is forgotten: whether to send again is the caller's decision.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from aiomqtt import Client, MqttCodeError, MqttError, MqttReentrantError, Will
from aiomqtt.exceptions import MqttConnectError

from shared.cancellation import cancellation_kept
from shared.errors import SignalError, SignalTimeoutError, SignalUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.mqtt_address import MqttAddress

DEFAULT_TIMEOUT_MS: Final = 200.0
_KEEPALIVE_S: Final = 5
_QUEUE: Final = 10_000

# What is known when a request ends this way: False, the broker never got it; True, it may have; None, asking again
# cannot help.
MAY_HAVE_LANDED: Final[dict[type[Exception], bool | None]] = {
    MqttConnectError: False,
    MqttReentrantError: None,
    MqttCodeError: True,
    MqttError: True,
    OSError: True,
}


def signal_error(error: Exception, *, writing: bool, name: str) -> SignalError:
    """Map what aiomqtt or the socket raised to the SignalError tree."""
    landed = next((MAY_HAVE_LANDED[kind] for kind in type(error).__mro__ if kind in MAY_HAVE_LANDED), None)
    what = str(error) or type(error).__name__
    if landed is None:
        return SignalError(f"{name} cannot serve this request: {what}", "Check the broker's rights for these topics.")
    if landed and writing:
        return SignalTimeoutError(
            f"{name} did not confirm a message: {what}", "It may still arrive: ask the PLC what it accepted last."
        )
    return SignalUnreachableError(f"{name} does not answer: {what}", "Check the broker's power, network and address.")


class Link(Protocol):
    """A connection to a broker, as `MqttLink` describes it; another class can stand in for the network."""

    def __init__(
        self,
        address: MqttAddress,
        *,
        subscribe: Sequence[str],
        state_topic: str,
        on_message: Callable[[str, bytes], None],
        on_lost: Callable[[], None],
        timeout_ms: float,
    ) -> None: ...

    @property
    def connected(self) -> bool:
        """Return whether the connection is open, as far as is known."""
        ...

    async def open(self) -> int:
        """Connect unless connected; return the number of this connection."""
        ...

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        """Return once the broker has the message."""
        ...

    def drop(self) -> None:
        """Let go of the connection now."""
        ...

    async def close(self) -> None:
        """Say "offline" and disconnect."""
        ...


class MqttLink:
    """A connection to a broker that tells each message to `on_message` (topic, payload), and `on_lost` when it is gone.

    `state_topic` holds "online" while the connection is open, and "offline" after it, by our word or by the broker's
    (the last will). `timeout_ms` bounds connecting and each message.
    """

    def __init__(
        self,
        address: MqttAddress,
        *,
        subscribe: Sequence[str],
        state_topic: str,
        on_message: Callable[[str, bytes], None],
        on_lost: Callable[[], None],
        timeout_ms: float = DEFAULT_TIMEOUT_MS,
    ) -> None:
        self._address = address
        self._topics = tuple(subscribe)
        self._state_topic = state_topic
        self._on_message = on_message
        self._on_lost = on_lost
        self._timeout_s = timeout_ms / 1000
        self._opening = asyncio.Lock()
        self._client: Client | None = None
        self._reading: asyncio.Task[None] | None = None
        self._running: set[asyncio.Timeout] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._connections = 0
        logging.getLogger("mqtt").setLevel(logging.CRITICAL + 1)

    @property
    def connected(self) -> bool:
        """Return whether the connection is open, as far as is known."""
        return self._client is not None

    async def open(self) -> int:
        """Connect unless connected; return the number of this connection. SignalUnreachableError."""
        async with self._opening:
            if self._client is None:
                self._connections += 1
                await self._connect()
            return self._connections

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        """Return once the broker has the message (QoS 1), or it was sent (QoS 0).

        SignalUnreachableError: it was not sent. SignalTimeoutError: unknown. Any failure drops the connection.
        """
        await self.open()
        client = self._client
        if client is None:
            raise SignalUnreachableError(f"{self._address.name} is gone", "Check the broker's power and network.")
        sent = False
        try:
            with cancellation_kept():
                async with asyncio.timeout(self._timeout_s) as running:
                    self._running.add(running)
                    try:
                        await client.publish(topic, payload, qos=qos, retain=retain)
                    finally:
                        self._running.discard(running)
            sent = True
        except (MqttError, OSError) as error:
            raise signal_error(error, writing=True, name=self._address.name) from error
        finally:
            if not sent:
                self.drop()

    def drop(self) -> None:
        """Let go of the connection now; the broker is told beside us if it listens, and else notices by itself."""
        if self._client is None:
            return
        client, self._client = self._client, None
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        for running in tuple(self._running):
            running.reschedule(asyncio.get_running_loop().time())
        leaving = asyncio.get_running_loop().create_task(_leave(client), name="mqtt-drop")
        self._closing.add(leaving)
        leaving.add_done_callback(self._closing.discard)
        self._on_lost()

    async def close(self) -> None:
        """Say "offline" and disconnect; the next call opens another connection."""
        async with self._opening:
            if self._client is not None:
                with suppress(MqttError, OSError):
                    await self._client.publish(
                        self._state_topic, b"offline", qos=1, retain=True, timeout=self._timeout_s
                    )
            self.drop()
        if self._closing:
            await asyncio.wait(self._closing)

    async def _connect(self) -> None:
        client = Client(
            self._address.host,
            self._address.port,
            username=self._address.user,
            password=self._address.password,
            will=Will(self._state_topic, b"offline", qos=1, retain=True),
            clean_session=True,
            keepalive=_KEEPALIVE_S,
            timeout=self._timeout_s,
            max_queued_incoming_messages=_QUEUE,
            tls_context=ssl.create_default_context() if self._address.tls else None,
            # A signal of 100 bytes must not wait for more of them.
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        try:
            with cancellation_kept():
                await client.__aenter__()
                try:
                    for topic in self._topics:
                        await client.subscribe(topic, qos=1)
                    await client.publish(self._state_topic, b"online", qos=1, retain=True)
                except BaseException:
                    await _leave(client)
                    raise
        except (MqttError, OSError) as error:
            raise signal_error(error, writing=False, name=self._address.name) from error
        self._client = client
        self._reading = asyncio.create_task(self._read(client), name="mqtt-read")

    async def _read(self, client: Client) -> None:
        with suppress(MqttError):
            async for message in client.messages:
                payload = message.payload
                self._on_message(str(message.topic), payload if isinstance(payload, bytes) else b"")
        if self._client is client:
            self._reading = None  # that is this task
            self.drop()


async def _leave(client: Client) -> None:
    with suppress(MqttError, OSError):
        await client.__aexit__(None, None, None)
