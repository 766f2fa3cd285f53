import inspect

import aiomqtt.exceptions
import pytest
from aiomqtt import MqttCodeError, MqttError
from aiomqtt.exceptions import MqttConnectError
from hypothesis import given
from hypothesis import strategies as st

from alerting.signals.mqtt_messages import pack_ack, pack_question, pack_told, unpack_ack, unpack_told
from shared.domain import Outcome
from shared.errors import ConfigError, SignalError, SignalTimeoutError, SignalUnreachableError, WireError
from shared.mqtt import MAY_HAVE_LANDED, signal_error
from shared.mqtt_address import MqttAddress, parse_mqtt_url
from shared.plc import U32_MAX, U64_MAX, Accepted, Acknowledge, Delivery, Result

part_ids = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=32)
results = st.builds(Result, st.integers(1, U32_MAX), part_ids, st.sampled_from(Outcome), st.integers(0, U64_MAX))
accepted = st.just(Accepted()) | st.builds(Accepted, st.integers(1, U32_MAX), part_ids, st.sampled_from(Outcome))
acknowledges = st.builds(
    Acknowledge, accepted, st.none() | st.sampled_from(Delivery), st.integers(0, U32_MAX), st.integers(0, 1)
)


def test_every_aiomqtt_exception_is_mapped() -> None:
    """An aiomqtt release with a new kind of exception fails here, not on a line."""
    kinds = {kind for _, kind in inspect.getmembers(aiomqtt.exceptions, inspect.isclass) if issubclass(kind, MqttError)}
    assert kinds <= MAY_HAVE_LANDED.keys()


@pytest.mark.parametrize(
    ("error", "writing", "expected"),
    [
        (MqttError("timed out"), True, SignalTimeoutError),
        (MqttError("timed out"), False, SignalUnreachableError),
        (MqttCodeError(4), True, SignalTimeoutError),
        (MqttConnectError(5), True, SignalUnreachableError),
        (TimeoutError(), True, SignalTimeoutError),
        (aiomqtt.exceptions.MqttReentrantError(), True, SignalError),
    ],
)
def test_a_message_that_may_have_arrived_is_a_timeout(
    error: Exception, writing: bool, expected: type[SignalError]
) -> None:
    """Only an error that proves nothing was sent is called unreachable."""
    assert type(signal_error(error, writing=writing, name="mqtt://broker")) is expected


def test_mqtt_addresses() -> None:
    """An MQTT address names a broker, and may name a port, a user, a prefix and TLS."""
    assert parse_mqtt_url("mqtt://broker") == MqttAddress("broker", 1883, "linewarden/gate")
    secure = parse_mqtt_url("mqtts://me:p%40ss@broker?prefix=hall/line-1/")
    assert secure == MqttAddress("broker", 8883, "hall/line-1", "me", "p@ss", tls=True)
    assert "p@ss" not in secure.name + repr(secure)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://broker",
        "mqtt://",
        "mqtt://b:0x",
        "mqtt://b/path",
        "mqtt://b?prefix=a/%23",
        "mqtt://b?prefix=/",
        "mqtt://b?x=1",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    """What is not an MQTT address is a configuration error with an example of one."""
    with pytest.raises(ConfigError, match=r"mqtt://HOST:PORT"):
        parse_mqtt_url(url)


@given(results, st.integers(0, 1))
def test_results_survive_the_broker(result: Result, toggle: int) -> None:
    """Any result reads back as it was written."""
    assert unpack_told(pack_told(result, toggle)) == (result, toggle)


@given(acknowledges, st.none() | st.integers(0, U32_MAX))
def test_acknowledges_survive_the_broker(acknowledge: Acknowledge, query: int | None) -> None:
    """Any acknowledge reads back as it was written, with the question that it answers."""
    assert unpack_ack(pack_ack(acknowledge, query)) == (acknowledge, query)


@given(st.integers(0, U32_MAX))
def test_questions_are_told_from_results(query: int) -> None:
    """A question on the topic of results is never taken for one."""
    assert unpack_told(pack_question(query)) == query


@given(st.binary(max_size=60) | st.builds(lambda text: text.encode(), st.text(max_size=60)))
def test_other_messages_are_refused(payload: bytes) -> None:
    """Whatever else lies on the topics is a WireError, and no crash."""
    for unpack in (unpack_told, unpack_ack):
        with pytest.raises(WireError):
            unpack(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"sequence":0,"part":"p","result":"PASS","deadline_ms":1,"toggle":1}',
        b'{"sequence":1,"part":"p","result":"PASS","deadline_ms":1,"toggle":2}',
        b'{"sequence":1,"part":"","result":"PASS","deadline_ms":1,"toggle":1}',
        b'{"sequence":1,"part":"p","result":"PASSED","deadline_ms":1,"toggle":1}',
        b'{"sequence":1,"part":"p","result":"PASS","deadline_ms":-1,"toggle":1}',
        b'{"query":"1"}',
        b" " * 2_000,
    ],
)
def test_results_out_of_range_are_refused(payload: bytes) -> None:
    """A result that no register could hold is no result."""
    with pytest.raises(WireError):
        unpack_told(payload)
