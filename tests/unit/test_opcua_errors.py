import inspect

import asyncua.common.utils
import pytest
from asyncua import ua
from asyncua.common.utils import ServiceError, SocketClosedException
from asyncua.ua import uaerrors

from shared.errors import ConfigError, SignalError, SignalTimeoutError, SignalUnreachableError
from shared.opcua import MAY_HAVE_LANDED, OpcUaAddress, parse_opcua_url, signal_error


def test_every_asyncua_exception_is_mapped() -> None:
    """An asyncua release with a new kind of exception fails here, not on a line; bad status codes have one parent."""
    kinds = {
        kind
        for module in (uaerrors, asyncua.common.utils)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, uaerrors.UaError) and not issubclass(kind, uaerrors.UaStatusCodeError)
    }
    assert kinds <= MAY_HAVE_LANDED.keys()


@pytest.mark.parametrize(
    ("error", "writing", "expected"),
    [
        (uaerrors.BadTimeout(), True, SignalTimeoutError),
        (uaerrors.BadTimeout(), False, SignalUnreachableError),
        (uaerrors.BadSessionIdInvalid(), True, SignalUnreachableError),
        (uaerrors.BadNodeIdUnknown(), True, SignalError),
        (uaerrors.BadUserAccessDenied(), False, SignalError),
        (ua.UaStatusCodeError(ua.StatusCodes.BadShutdown), True, SignalUnreachableError),
        (SocketClosedException(), True, SignalTimeoutError),
        (ServiceError(0), True, SignalTimeoutError),
        (ConnectionResetError("reset"), True, SignalTimeoutError),
        (TimeoutError(), True, SignalTimeoutError),
        (ConnectionRefusedError("refused"), False, SignalUnreachableError),
    ],
)
def test_a_write_that_may_have_landed_is_a_timeout(
    error: Exception, writing: bool, expected: type[SignalError]
) -> None:
    """Only an error that proves nothing was written is called unreachable."""
    assert type(signal_error(error, writing=writing, name="opcua://plc")) is expected


def test_opcua_addresses() -> None:
    """An OPC UA address names a host, and may name a port, a path, a user and how the nodes are called."""
    assert parse_opcua_url("opcua://10.0.0.5") == OpcUaAddress("opc.tcp://10.0.0.5:4840")
    assert parse_opcua_url("opcua://me:pw@plc:4841/line") == OpcUaAddress("opc.tcp://me:pw@plc:4841/line")
    assert "pw" not in repr(parse_opcua_url("opcua://me:pw@plc"))
    siemens = parse_opcua_url('opcua://plc?node=ns=3;s="Gate"."{block}"')
    assert siemens.node_of("Result") == 'ns=3;s="Gate"."Result"'


@pytest.mark.parametrize(
    "url",
    [
        "",
        "plc:4840",
        "opc.tcp://plc:4840",
        "opcua://",
        "opcua://plc:0x",
        "opcua://plc?speed=9",
        "opcua://plc?node=ns=2;s=Gate.Result",
        "opcua://me:secret@plc?node=nonsense.{block}",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    """What is not an OPC UA address is a configuration error with an example of one, and no password in it."""
    with pytest.raises(ConfigError, match=r"opcua://HOST:PORT") as refused:
        parse_opcua_url(url)
    assert "secret" not in str(refused.value)
