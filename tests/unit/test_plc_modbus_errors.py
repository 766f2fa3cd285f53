import inspect

import pymodbus.exceptions
import pytest
from pymodbus.exceptions import ConnectionException, ModbusException, ModbusIOException, ParameterException

from shared.errors import ConfigError, SignalError, SignalTimeoutError, SignalUnreachableError
from shared.modbus import MAY_HAVE_LANDED, ModbusAddress, parse_modbus_url, signal_error

URL = "modbus://plc:502"


def test_every_pymodbus_exception_is_mapped() -> None:
    """A pymodbus release with a new kind of exception fails here, not on a line."""
    kinds = {
        kind
        for _, kind in inspect.getmembers(pymodbus.exceptions, inspect.isclass)
        if issubclass(kind, ModbusException)
    }
    assert kinds <= MAY_HAVE_LANDED.keys()


@pytest.mark.parametrize(
    ("error", "writing", "expected"),
    [
        (ConnectionException("gone"), True, SignalUnreachableError),
        (ConnectionException("gone"), False, SignalUnreachableError),
        (ModbusIOException("silent"), True, SignalTimeoutError),
        (ModbusIOException("silent"), False, SignalUnreachableError),
        (ConnectionResetError("reset"), True, SignalTimeoutError),
        (TimeoutError("slow"), True, SignalTimeoutError),
        (OSError("no route"), False, SignalUnreachableError),
        (ParameterException("count"), True, SignalError),
    ],
)
def test_a_write_that_may_have_landed_is_a_timeout(
    error: Exception, writing: bool, expected: type[SignalError]
) -> None:
    """Only an error that proves nothing was written is called unreachable."""
    assert type(signal_error(error, writing=writing, url=URL)) is expected


def test_modbus_addresses() -> None:
    """A Modbus address names a host, and may name a port and a unit."""
    assert parse_modbus_url("modbus://10.0.0.5") == ModbusAddress("10.0.0.5", 502, 1)
    assert parse_modbus_url("modbus://plc.local:1502?unit=7") == ModbusAddress("plc.local", 1502, 7)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "plc:502",
        "http://plc",
        "modbus://",
        "modbus://plc:0x",
        "modbus://plc:99999",
        "modbus://plc?unit=x",
        "modbus://plc?unit=300",
        "modbus://plc?speed=9",
        "modbus://me:secret@plc",
        "modbus://plc/path",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    """What is not a Modbus address is a configuration error with an example of one."""
    with pytest.raises(ConfigError, match=r"modbus://HOST:PORT"):
        parse_modbus_url(url)
