"""What is particular to Kafka: brokers that are away, killed, frozen or silent, and aiokafka's own errors."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Self

import pytest
from aiokafka import errors as kafka_errors

from deploy.servers.kafka import KafkaServer
from deploy.servers.ports import free_port
from shared.bus.base import Bus, Subscription, TopicPartition
from shared.bus.kafka import KafkaBus, KafkaBusSettings
from shared.bus.kafka.mapping import map_error
from shared.errors import BusError, BusUnavailableError, ConfigError, MessageTooLargeError, StaleAssignmentError

DEADLINE_S = 60.0
IMPATIENT_MS = 1_000
# Whatever may pass by itself, so that the same step may be tried again. Everything else has a class of its own.
TRANSIENT = {
    "BrokerNotAvailableError",
    "Cancelled",
    "ConcurrentTransactions",
    "CorrelationIdError",
    "CorruptRecordException",
    "DuplicateSequenceNumber",
    "FetchSessionIdNotFound",
    "GroupCoordinatorNotAvailableError",
    "GroupIdNotFound",
    "GroupLoadInProgressError",
    "InvalidFetchRequestError",
    "InvalidFetchSessionEpoch",
    "InvalidProducerEpoch",
    "InvalidProducerIdMapping",
    "InvalidTransactionTimeout",
    "InvalidTxnState",
    "KafkaConnectionError",
    "KafkaError",
    "KafkaProtocolError",
    "KafkaStorageError",
    "KafkaTimeoutError",
    "KafkaUnavailableError",
    "LeaderNotAvailableError",
    "ListenerNotFound",
    "LogDirNotFound",
    "MemberIdRequired",
    "MetadataEmptyBrokerList",
    "NoBrokersAvailable",
    "NoError",
    "NoOffsetForPartitionError",
    "NodeNotReadyError",
    "NonEmptyGroup",
    "NotControllerError",
    "NotCoordinatorForGroupError",
    "NotEnoughReplicasAfterAppendError",
    "NotEnoughReplicasError",
    "NotLeaderForPartitionError",
    "OffsetOutOfRangeError",
    "OperationNotAttempted",
    "OutOfOrderSequenceNumber",
    "ProducerClosed",
    "ProducerFenced",
    "QuotaViolationError",
    "ReassignmentInProgress",
    "ReplicaNotAvailableError",
    "RequestTimedOutError",
    "StaleControllerEpochError",
    "StaleLeaderEpochCodeError",
    "StaleMetadata",
    "TooManyInFlightRequests",
    "TransactionCoordinatorFenced",
    "UnknownError",
    "UnknownProducerId",
    "UnknownTopicOrPartitionError",
}


def every_kind(kind: type[Exception]) -> Iterator[type[Exception]]:
    """Yield a class and all below it."""
    yield kind
    for below in kind.__subclasses__():
        yield from every_kind(below)


def test_every_error_of_aiokafka_is_mapped() -> None:
    """Each class ends as one of ours, and one that is new to this list must be thought about before it is retried."""
    # The class above all numbered errors cannot be printed, nor is it ever raised itself.
    kinds = set(every_kind(kafka_errors.KafkaError)) - {kafka_errors.BrokerResponseError}
    ours = {kind: type(map_error(kind(), "broker:9092")) for kind in kinds}

    assert {kind.__name__ for kind, kind_of_ours in ours.items() if kind_of_ours is BusUnavailableError} == TRANSIENT
    assert set(ours.values()) == {BusError, BusUnavailableError, MessageTooLargeError, StaleAssignmentError}


@pytest.mark.parametrize(
    "error",
    [kafka_errors.ConsumerStoppedError(), kafka_errors.IllegalOperation(), OSError("cut"), TimeoutError("late")],
)
def test_errors_beside_the_tree_mean_unavailable(error: Exception) -> None:
    """What aiokafka raises outside its own tree says that the bus is away, where it is and what to do."""
    with pytest.raises(BusUnavailableError, match=r"broker:9092 .*linewarden dev up"):
        raise map_error(error, "broker:9092")


@pytest.mark.parametrize(
    "url", ["kafka://user:hunter2@host:9092", "kafka://", "redis://host:1", "kafka//host", "host:9092"]
)
def test_only_plain_addresses_are_taken(url: str) -> None:
    """Another scheme, no host, or a login (which would not be used) is refused, without showing the password."""
    with pytest.raises(ConfigError, match="kafka://HOST:PORT") as refused:
        KafkaBusSettings.from_url(url, max_message_bytes=1)
    assert "hunter2" not in str(refused.value)


def test_several_brokers_can_be_given() -> None:
    """A list of brokers reaches the client as it is."""
    settings = KafkaBusSettings.from_url("kafka://a:1,b:2", max_message_bytes=1, replication_factor=3)
    assert (settings.bootstrap, settings.replication_factor) == ("a:1,b:2", 3)


async def test_a_topic_that_takes_less_than_the_settings_promise_is_an_error_at_the_start(kafka_url: str) -> None:
    """Single frames would be refused later; it says which topic, and the two ways out."""
    topic = f"small-{uuid.uuid4().hex}"
    smaller = KafkaBus(KafkaBusSettings.from_url(kafka_url, max_message_bytes=2**20))
    larger = KafkaBus(KafkaBusSettings.from_url(kafka_url, max_message_bytes=2**22))
    await larger.ensure_topics({f"large-{topic}": 1})
    await smaller.ensure_topics({topic: 1, f"large-{topic}": 1})
    with pytest.raises(ConfigError, match=rf"'{topic}' takes .*kafka-configs\.sh .*--entity-name {topic} "):
        await larger.ensure_topics({topic: 1})
    await smaller.close()
    await larger.close()


def impatient(bootstrap: str) -> KafkaBus:
    """Connect with timeouts so short that an outage of seconds is a long one."""
    return KafkaBus(KafkaBusSettings(bootstrap, request_timeout_ms=IMPATIENT_MS, session_timeout_ms=6_000))


STEPS: dict[str, Callable[[Bus], Awaitable[object]]] = {
    "ensure": lambda bus: bus.ensure_topics({"topic": 1}),
    "publish": lambda bus: bus.publish("topic", b"value", key=None, partition=0),
    "subscribe": lambda bus: bus.subscribe(["topic"], group="group", member="one"),
    "read": lambda bus: bus.read([TopicPartition("topic", 0)], group="group", member="one"),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("broker", ["absent", "silent"])
async def test_a_broker_that_does_not_answer_is_named_soon(step: str, broker: str) -> None:
    """Nothing at the address, or something that never answers: BusUnavailableError with address and remedy."""
    async with SilentBroker() as silent:
        address = silent.bootstrap if broker == "silent" else f"127.0.0.1:{free_port()}"
        bus = impatient(address)
        began = time.monotonic()
        with pytest.raises(BusUnavailableError, match=rf"{address} does not answer .*linewarden dev up.*bus\.url"):
            await STEPS[step](bus)
        assert time.monotonic() - began < 5 * IMPATIENT_MS / 1_000
        await bus.close()


class SilentBroker:
    """Takes connections and never answers, as a frozen broker does."""

    bootstrap = ""

    async def __aenter__(self) -> Self:
        self._connections: list[asyncio.StreamWriter] = []
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.bootstrap = f"{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()
        self._server.close()
        await self._server.wait_closed()

    async def _accept(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.append(writer)


@pytest.fixture(scope="module")
def broker(kafka_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """Give a broker that may be killed; it needs what the shared one needs."""
    del kafka_url
    with KafkaServer(tmp_path_factory.mktemp("killed")) as server:
        yield server


class Line:
    """One topic with a publisher that insists, and one reader that commits everything it gets."""

    def __init__(self, broker: KafkaServer) -> None:
        self.bus = impatient(broker.bootstrap)
        self.topic = f"topic-{uuid.uuid4().hex}"
        self.group = f"group-{uuid.uuid4().hex}"
        self.received: set[int] = set()
        self.acknowledged = 0
        self.publish_failures = 0
        self.read_failures = 0
        self.longest_step_s = 0.0

    async def start(self) -> Subscription:
        """Create the topic and join."""
        await self.bus.ensure_topics({self.topic: 1})
        return await self.bus.subscribe([self.topic], group=self.group, member="one")

    async def publish_on(self) -> None:
        """Publish 1, 2, 3 and so on, each again until it is acknowledged."""
        while True:
            value = b"%d" % (self.acknowledged + 1)
            with self._timed(), contextlib.suppress(BusUnavailableError):
                await self.bus.publish(self.topic, value, key=None, partition=0)
                self.acknowledged += 1
                continue
            self.publish_failures += 1
            await asyncio.sleep(0.05)

    async def read_on(self, subscription: Subscription) -> None:
        """Receive and commit."""
        while True:
            try:
                with self._timed():
                    records = await subscription.poll(max_records=100, timeout_s=0.05)
                    if records:
                        self.received |= {int(record.value) for record in records}
                        await subscription.commit({records[-1].place: records[-1].offset + 1})
            except BusError:
                self.read_failures += 1
                await asyncio.sleep(0.05)

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.longest_step_s = max(self.longest_step_s, time.monotonic() - began)


@pytest.fixture
async def line(broker: KafkaServer, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Line]:
    """Give a line on a broker of its own, and end it."""
    caplog.set_level(logging.CRITICAL)
    line = Line(broker)
    yield line
    await line.bus.close()
    await asyncio.to_thread(broker.start)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that other tasks bring about."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running(line: Line) -> AsyncIterator[Subscription]:
    """Publish and read in the background."""
    subscription = await line.start()
    tasks = [asyncio.create_task(line.publish_on()), asyncio.create_task(line.read_on(subscription))]
    try:
        await until(lambda: len(line.received) > 10)
        yield subscription
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await subscription.close()


@pytest.mark.kafka
async def test_nothing_is_lost_when_the_broker_is_killed(line: Line, broker: KafkaServer) -> None:
    """After kill -9 and a restart the same bus and the same member go on, and every acknowledged message arrives."""
    async with running(line):
        broker.kill9()
        await until(lambda: line.publish_failures > 0)
        await asyncio.to_thread(broker.start)
        before = line.acknowledged
        await until(lambda: line.acknowledged > before + 50 and len(line.received) >= before + 50)

    assert line.received >= set(range(1, before + 51))
    assert line.longest_step_s < 15 * IMPATIENT_MS / 1_000


@pytest.mark.kafka
async def test_a_frozen_broker_is_noticed_and_outlived(line: Line, broker: KafkaServer) -> None:
    """Readers and writers are told within seconds that the broker does not answer, and go on when it does."""
    async with running(line):
        broker.freeze()
        try:
            await until(lambda: line.publish_failures > 0 and line.read_failures > 0)
        finally:
            broker.thaw()
        before = line.acknowledged
        await until(lambda: line.acknowledged > before + 50 and len(line.received) >= before + 50)

    assert line.received >= set(range(1, before + 51))


@pytest.mark.kafka
async def test_a_member_outlives_a_long_outage(line: Line, broker: KafkaServer) -> None:
    """A reader alone hears of the outage from poll, is replaced within, and then gets what it had not committed."""
    subscription = await line.start()
    await line.bus.publish(line.topic, b"before", key=None, partition=0)
    broker.kill9()
    failures: list[float] = []
    began = time.monotonic()
    while time.monotonic() - began < 5 * IMPATIENT_MS / 1_000:
        try:
            await subscription.poll(max_records=1, timeout_s=0.05)
        except BusUnavailableError:
            failures.append(time.monotonic() - began)
            await asyncio.sleep(0.05)
    with pytest.raises(BusError):
        await subscription.commit({TopicPartition(line.topic, 0): 1})
    await asyncio.to_thread(broker.start)

    values: list[bytes] = []
    async with asyncio.timeout(DEADLINE_S):
        while not values:
            with contextlib.suppress(BusUnavailableError):
                values += [record.value for record in await subscription.poll(max_records=1, timeout_s=0.05)]
    assert failures[0] < 2 * IMPATIENT_MS / 1_000 + 1
    assert values == [b"before"]
    await subscription.close()


@pytest.mark.kafka
async def test_closing_is_bounded_while_the_broker_is_frozen(line: Line, broker: KafkaServer) -> None:
    """Leaving and disconnecting from a broker that does not answer takes seconds, and raises nothing."""
    subscription = await line.start()
    await line.bus.publish(line.topic, b"value", key=None, partition=0)
    broker.freeze()
    try:
        lost = asyncio.create_task(line.bus.publish(line.topic, b"lost", key=None, partition=0))
        await asyncio.sleep(0)
        began = time.monotonic()
        await subscription.close()
        await line.bus.close()
        assert time.monotonic() - began < 6 * IMPATIENT_MS / 1_000
        with pytest.raises(BusUnavailableError):
            await lost
    finally:
        broker.thaw()


@pytest.mark.kafka
async def test_roles_that_start_together_create_the_same_topics(broker: KafkaServer) -> None:
    """Several processes may ensure the same topics at once."""
    buses = [impatient(broker.bootstrap) for _ in range(4)]
    topic = f"topic-{uuid.uuid4().hex}"
    await asyncio.gather(*(bus.ensure_topics({topic: 2, f"{topic}-other": 1}) for bus in buses))
    await asyncio.gather(*(bus.publish(topic, b"value", key=None, partition=1) for bus in buses))
    await asyncio.gather(*(bus.close() for bus in buses))


@pytest.mark.kafka
async def test_a_topic_that_cannot_be_created_is_an_error(broker: KafkaServer) -> None:
    """More replicas than there are brokers, or a name Kafka does not take: BusError with the broker's reason."""
    settings = KafkaBusSettings(broker.bootstrap, replication_factor=3)
    with pytest.raises(BusError, match=r"(?i)replication factor"):
        await KafkaBus(settings).ensure_topics({"replicated": 1})
    with pytest.raises(BusError, match="InvalidTopic"):
        await impatient(broker.bootstrap).ensure_topics({"no such name!": 1})
