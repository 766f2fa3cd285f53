"""Variables of a PLC over OPC UA: one session, one request at a time, no resending.

The only import of asyncua's client. Its reconnecting is off, because a write that timed out may still land: whether to
write again is the caller's decision.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from asyncua import Client, ua
from asyncua.client.ua_client import UaClientState
from asyncua.common.utils import NotEnoughData, ServiceError, SocketClosedException
from asyncua.ua import uaerrors

from shared.cancellation import cancellation_kept
from shared.errors import ConfigError, SignalError, SignalTimeoutError, SignalUnreachableError
from shared.redaction import redact_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

DEFAULT_PORT: Final = 4840
DEFAULT_TIMEOUT_MS: Final = 500.0
DEFAULT_NODE: Final = "ns=2;s=Gate.{block}"

# What is known when a request ends this way: False, nothing was written; True, a write may have landed; None, the
# server refused the request itself, so trying again will not help.
MAY_HAVE_LANDED: Final[dict[type[Exception], bool | None]] = {
    uaerrors.UaStatusCodeError: None,
    uaerrors.BadTimeout: True,
    uaerrors.BadRequestTimeout: True,
    uaerrors.BadConnectionClosed: True,
    uaerrors.BadCommunicationError: True,
    uaerrors.BadSecureChannelClosed: True,
    uaerrors.BadRequestInterrupted: True,
    uaerrors.BadUnexpectedError: True,
    uaerrors.BadInternalError: True,
    uaerrors.BadSessionIdInvalid: False,
    uaerrors.BadSessionClosed: False,
    uaerrors.BadSecureChannelIdInvalid: False,
    uaerrors.BadServerHalted: False,
    uaerrors.BadServerNotConnected: False,
    uaerrors.BadNotConnected: False,
    uaerrors.BadShutdown: False,
    uaerrors.BadTooManySessions: False,
    uaerrors.BadMaxConnectionsReached: False,
    uaerrors.BadTcpServerTooBusy: False,
    uaerrors.UaInvalidParameterError: None,
    uaerrors.UaStructParsingError: True,
    uaerrors.UaStringParsingError: None,
    ServiceError: True,
    NotEnoughData: True,
    SocketClosedException: True,
    uaerrors.UaError: True,
    OSError: True,
}


@dataclass(frozen=True, slots=True)
class OpcUaAddress:
    """A server's endpoint, with its user if it needs one, and how a block's node is called there."""

    endpoint: str = field(repr=False)
    node: str = DEFAULT_NODE

    def node_of(self, block: str) -> str:
        """Return the node id of a block of this name."""
        return self.node.replace("{block}", block)


def parse_opcua_url(url: str) -> OpcUaAddress:
    """Read `opcua://[USER:PASSWORD@]HOST[:PORT][/PATH][?node=TEMPLATE]`; ConfigError for anything else."""
    remedy = "Write it as opcua://HOST:PORT, or opcua://HOST:PORT?node=ns=3;s=Gate.{block} for nodes of other names."
    refused = ConfigError(f"{redact_address(url)!r} is not an OPC UA address", remedy)
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, separator="&"))
    node = options.pop("node", DEFAULT_NODE)
    try:
        port = parts.port or DEFAULT_PORT
        ua.NodeId.from_string(node.replace("{block}", "Result"))
    except (ValueError, uaerrors.UaError):
        raise refused from None
    if parts.scheme != "opcua" or not parts.hostname or options or "{block}" not in node:
        raise refused
    user, at, _ = parts.netloc.rpartition("@")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return OpcUaAddress(f"opc.tcp://{user}{at}{host}:{port}{parts.path}", node)


def quiet_asyncua() -> None:
    """Keep asyncua's own log lines out of ours: every failure reaches the caller as an error."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)


def signal_error(error: Exception, *, writing: bool, name: str) -> SignalError:
    """Map what asyncua or the socket raised to the SignalError tree."""
    landed = next((MAY_HAVE_LANDED[kind] for kind in type(error).__mro__ if kind in MAY_HAVE_LANDED), None)
    what = str(error) or type(error).__name__
    if landed is None:
        return SignalError(f"{name} cannot serve this request: {what}", "Check the node ids, their types and rights.")
    if landed and writing:
        return SignalTimeoutError(
            f"{name} did not confirm a write: {what}", "It may still land: ask the PLC what it accepted last."
        )
    return SignalUnreachableError(f"{name} does not answer: {what}", "Check the PLC's power, network and address.")


class OpcUaVariables:
    """Read and write variables of UInt16, or arrays of it; connects when needed, also again after a failure.

    Any failed or cancelled request drops the session: what was known of the variables must be read again.
    `timeout_ms` bounds each request, of which connecting takes five, in host time.
    """

    def __init__(self, endpoint: str, *, timeout_ms: float = DEFAULT_TIMEOUT_MS) -> None:
        self._endpoint = endpoint
        self._name = redact_address(endpoint)
        self._timeout_s = timeout_ms / 1000
        self._lock = asyncio.Lock()
        self._client: Client | None = None
        self._connections = 0
        self._closing: set[asyncio.Task[None]] = set()
        quiet_asyncua()

    async def open(self) -> int:
        """Connect unless connected; return the number of this connection. SignalUnreachableError."""
        async with self._lock:
            await self._connected()
            return self._connections

    async def read(self, node_id: str) -> list[int]:
        """Return the value of a variable as a list; SignalUnreachableError, or SignalError when it is refused."""
        async with self._exchange(writing=False) as client:
            value = await client.get_node(node_id).read_value()
            values = value if isinstance(value, list) else [value]
            if not all(isinstance(one, int) for one in values):
                raise SignalError(f"{self._name} holds no numbers in {node_id}", "Make it an array of UInt16.")
            return values

    async def write(self, node_id: str, values: Sequence[int]) -> None:
        """Write a variable in one request: one value is a scalar, more are an array.

        SignalUnreachableError when nothing was written, SignalTimeoutError when that is unknown, SignalError when the
        server refuses.
        """
        value = values[0] if len(values) == 1 else list(values)
        # No time stamps: several PLCs refuse a write that brings its own.
        data = ua.DataValue(ua.Variant(value, ua.VariantType.UInt16))
        async with self._exchange(writing=True) as client:
            await client.get_node(node_id).write_value(data)

    async def close(self) -> None:
        """Close the session; the next request would open another."""
        async with self._lock:
            if self._client is not None and self._client.state is UaClientState.CONNECTED:
                client, self._client = self._client, None
                await client.disconnect()
            self._drop()
        if self._closing:
            await asyncio.wait(self._closing)

    @asynccontextmanager
    async def _exchange(self, *, writing: bool) -> AsyncIterator[Client]:
        async with self._lock:
            client = await self._connected()
            intact = False
            try:
                with cancellation_kept():
                    yield client
                intact = True
            except (uaerrors.UaError, OSError) as error:
                raised = signal_error(error, writing=writing, name=self._name)
                intact = type(raised) is SignalError
                raise raised from error
            finally:
                if not intact:
                    self._drop()

    async def _connected(self) -> Client:
        if self._client is not None and self._client.state is UaClientState.CONNECTED:
            return self._client
        self._drop()
        client = Client(self._endpoint, timeout=self._timeout_s)
        self._connections += 1
        try:
            with cancellation_kept():
                await client.connect()
        except (uaerrors.UaError, OSError) as error:
            raise signal_error(error, writing=False, name=self._name) from error
        self._client = client
        return client

    def _drop(self) -> None:
        """Cut the connection now, and let asyncua's tasks for it end beside us: a dead peer never says goodbye."""
        if self._client is None:
            return
        client, self._client = self._client, None
        client.disconnect_socket()
        task = asyncio.get_running_loop().create_task(client.disconnect(), name="opcua-drop")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
