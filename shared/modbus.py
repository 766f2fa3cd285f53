"""Holding registers over Modbus TCP: one connection, one request at a time, no resending.

The only import of pymodbus's client. pymodbus's own retries are off, because a request that timed out may still land:
whether to write again is the caller's decision.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import (
    ConnectionException,
    MessageRegisterException,
    ModbusException,
    ModbusIOException,
    NoSuchIdException,
    NotImplementedException,
    ParameterException,
)

from shared.cancellation import cancellation_kept
from shared.errors import ConfigError, SignalError, SignalTimeoutError, SignalUnreachableError
from shared.redaction import redact_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pymodbus.pdu import ModbusPDU

DEFAULT_PORT: Final = 502
DEFAULT_TIMEOUT_MS: Final = 200.0
_MAX_UNIT: Final = 247

# What is known when a request ends this way: False, nothing left this host; True, a write may have landed; None, the
# request itself was wrong, so trying again will not help.
MAY_HAVE_LANDED: Final[dict[type[Exception], bool | None]] = {
    ConnectionException: False,
    ModbusIOException: True,
    OSError: True,
    ParameterException: None,
    NoSuchIdException: None,
    NotImplementedException: None,
    MessageRegisterException: None,
    ModbusException: None,
}


@dataclass(frozen=True, slots=True)
class ModbusAddress:
    """Where a Modbus TCP server listens, and which unit behind it is meant."""

    host: str
    port: int = DEFAULT_PORT
    unit: int = 1


def parse_modbus_url(url: str) -> ModbusAddress:
    """Read `modbus://HOST[:PORT][?unit=N]`; ConfigError for anything else."""
    remedy = "Write it as modbus://HOST:PORT, or modbus://HOST:PORT?unit=N behind a gateway."
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    try:
        port, unit = parts.port or DEFAULT_PORT, int(options.pop("unit", "1"))
    except ValueError:
        raise ConfigError(f"{redact_address(url)!r} is not a Modbus address", remedy) from None
    plain = parts.scheme == "modbus" and parts.username is None and parts.path in {"", "/"} and not options
    if not plain or parts.hostname is None or not 0 <= unit <= _MAX_UNIT:
        raise ConfigError(f"{redact_address(url)!r} is not a Modbus address", remedy)
    return ModbusAddress(parts.hostname, port, unit)


def quiet_pymodbus() -> None:
    """Keep pymodbus's own log lines out of ours: every failure reaches the caller as an error."""
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


def signal_error(error: Exception, *, writing: bool, url: str) -> SignalError:
    """Map what pymodbus or the socket raised to the SignalError tree."""
    landed = next((MAY_HAVE_LANDED[kind] for kind in type(error).__mro__ if kind in MAY_HAVE_LANDED), None)
    if landed is None:
        return SignalError(f"{url} cannot serve this request: {error}", "Check the register map and the unit id.")
    if landed and writing:
        return SignalTimeoutError(
            f"{url} did not confirm a write: {error}", "It may still land: ask the PLC what it accepted last."
        )
    return SignalUnreachableError(f"{url} does not answer: {error}", "Check the PLC's power, network and address.")


class ModbusRegisters:
    """Read and write the holding registers of one unit; connects when needed, also again after a failure.

    Any failed, refused or cancelled request drops the connection: a peer that lost power never closes its own, and what
    was known of its registers must be read again. `timeout_ms` bounds connecting and each request in host time.
    """

    def __init__(self, url: str, *, timeout_ms: float = DEFAULT_TIMEOUT_MS) -> None:
        self._url = url
        self._address = parse_modbus_url(url)
        self._timeout_s = timeout_ms / 1000
        self._lock = asyncio.Lock()
        self._client: AsyncModbusTcpClient | None = None
        self._connections = 0
        self._running: asyncio.Timeout | None = None
        quiet_pymodbus()

    async def open(self) -> int:
        """Connect unless connected; return the number of this connection, which changes with each new one.

        SignalUnreachableError when the server does not take the connection.
        """
        async with self._lock:
            await self._connected()
            return self._connections

    async def read(self, address: int, count: int) -> list[int]:
        """Read `count` registers (function 3); SignalUnreachableError, or SignalError when the PLC refuses."""
        async with self._exchange(writing=False) as client:
            answer = await client.read_holding_registers(address, count=count, device_id=self._address.unit)
            self._check(answer)
            if len(answer.registers) != count:
                raise SignalError(f"{self._url} answered {len(answer.registers)} registers instead of {count}")
            return list(answer.registers)

    async def write(self, address: int, values: Sequence[int]) -> None:
        """Write all `values` in one request (function 16).

        SignalUnreachableError when nothing was written, SignalTimeoutError when that is unknown, SignalError when the
        PLC refuses.
        """
        async with self._exchange(writing=True) as client:
            self._check(await client.write_registers(address, list(values), device_id=self._address.unit))

    async def close(self) -> None:
        """Close the connection; the next request would open another."""
        async with self._lock:
            self._drop()
            await asyncio.sleep(0)  # lets the transport close its socket before a caller ends the loop

    @asynccontextmanager
    async def _exchange(self, *, writing: bool) -> AsyncIterator[AsyncModbusTcpClient]:
        async with self._lock:
            client = await self._connected()
            intact = False
            try:
                with cancellation_kept():
                    async with asyncio.timeout(None) as self._running:
                        yield client
                intact = True
            except (ModbusException, OSError) as error:
                raise signal_error(error, writing=writing, url=self._url) from error
            finally:
                self._running = None
                if not intact:
                    self._drop()

    async def _connected(self) -> AsyncModbusTcpClient:
        if self._client is not None and self._client.connected:
            return self._client
        self._drop()
        client = AsyncModbusTcpClient(
            self._address.host,
            port=self._address.port,
            timeout=self._timeout_s,
            retries=0,
            reconnect_delay=0,
            trace_connect=self._on_connection,
        )
        self._client = client
        self._connections += 1
        with cancellation_kept():
            taken = await client.connect()
        if not taken:
            self._drop()
            raise SignalUnreachableError(
                f"{self._url} does not take a connection", "Check the PLC's power, network and address."
            )
        return client

    def _on_connection(self, connected: bool) -> None:
        """End the request under way when its connection is lost: pymodbus would wait out its time."""
        if not connected and self._running is not None:
            self._running.reschedule(asyncio.get_running_loop().time())

    def _check(self, answer: ModbusPDU) -> None:
        if answer.isError():
            raise SignalError(
                f"{self._url} refused the request with Modbus exception {answer.exception_code}",
                "Check the register map and the unit id.",
            )

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
