"""The real servers that the suite and `linewarden dev up` start."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.servers.child import ChildProcess
from deploy.servers.kafka import KafkaServer
from deploy.servers.kafka_jars import kafka_home
from deploy.servers.ports import free_port
from deploy.servers.redis import RedisServer
from shared.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator


TOPIC = "records"


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    """Give a fresh broker."""
    with KafkaServer(tmp_path / "kafka") as server:
        yield server


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Give a fresh, empty Redis."""
    with RedisServer(tmp_path / "redis") as server:
        yield server


async def make_topic(bootstrap: str) -> None:
    """Create the one topic, with one partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(bootstrap: str, *values: bytes) -> None:
    """Write records one by one, each acknowledged before the next."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_request_size=8 << 20)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(TOPIC, value)
    finally:
        await producer.stop()


async def consume(bootstrap: str, count: int) -> list[bytes]:
    """Read so many records in the one consumer group, then commit behind them."""
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=bootstrap, group_id="readers", auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        values = [(await consumer.getone()).value for _ in range(count)]
        await consumer.commit()
    finally:
        await consumer.stop()
    return values


@pytest.mark.kafka
async def test_kafka_keeps_records_and_offsets_over_a_restart(kafka: KafkaServer) -> None:
    """A record is consumed after an orderly restart, on the same address, behind the offset its group had committed."""
    address = kafka.bootstrap
    await make_topic(address)
    await produce(address, b"first", b"second")
    assert await consume(address, 1) == [b"first"]

    kafka.restart()

    assert kafka.url == f"kafka://{address}"
    assert await consume(address, 1) == [b"second"]


@pytest.mark.kafka
async def test_kafka_recovers_from_kill_9(kafka: KafkaServer) -> None:
    """Acknowledged records survive a SIGKILL of the broker, which then takes new ones."""
    await make_topic(kafka.bootstrap)
    await produce(kafka.bootstrap, b"before")

    kafka.kill9()
    assert not kafka.running
    kafka.start()

    await produce(kafka.bootstrap, b"after")
    assert await consume(kafka.bootstrap, 2) == [b"before", b"after"]


@pytest.mark.kafka
async def test_kafka_takes_large_messages(kafka: KafkaServer) -> None:
    """A message of nearly 8 MiB, larger than a lossless frame, goes through."""
    frame = os.urandom((8 << 20) - 10_000)
    await make_topic(kafka.bootstrap)
    await produce(kafka.bootstrap, frame)
    assert await consume(kafka.bootstrap, 1) == [frame]


@pytest.mark.kafka
async def test_kafka_works_on_after_a_freeze(kafka: KafkaServer) -> None:
    """A frozen broker stays a process, and answers again once thawed."""
    await make_topic(kafka.bootstrap)
    kafka.freeze()
    assert process_state(kafka.pid) == "T"
    assert kafka.running
    kafka.thaw()
    await produce(kafka.bootstrap, b"thawed")
    assert await consume(kafka.bootstrap, 1) == [b"thawed"]


@pytest.mark.kafka
def test_kafka_listens_on_one_loopback_address_only(kafka: KafkaServer) -> None:
    """The broker is not bound to every address of the machine, of which 127.0.0.2 is one."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", kafka.port))


def test_kafka_without_maven_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With an empty cache and no Maven the error says what to install."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerError, match=r"Maven \(mvn\) is missing.*Debian package maven"):
        kafka_home()


def test_kafka_without_java_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without Java the error says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ServerError, match=r"Java is missing.*Debian package default-jre-headless"):
        KafkaServer(tmp_path / "kafka").start()


@pytest.mark.redis
def test_redis_keeps_its_append_only_file_over_restart_and_kill_9(redis_server: RedisServer) -> None:
    """Acknowledged writes come back after an orderly restart and after a SIGKILL."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("shift", "early")
    redis_server.restart()
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.get("shift") == b"early"
        client.set("shift", "late")
    redis_server.kill9()
    redis_server.start()
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.get("shift") == b"late"


@pytest.mark.redis
def test_redis_without_append_only_file_forgets(tmp_path: Path) -> None:
    """With the append-only file off, a restart brings back an empty store."""
    with RedisServer(tmp_path / "redis", append_only=False) as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("shift", "early")
        server.restart()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("shift") is None


@pytest.mark.redis
def test_a_frozen_server_is_stopped_in_order(redis_server: RedisServer) -> None:
    """Stop thaws a frozen server so that it can end by itself, long before force is due."""
    redis_server.freeze()
    redis_server.stop()
    assert not redis_server.running
    assert "User requested shutdown" in redis_server.log_path.read_text(encoding="utf-8")


@pytest.mark.redis
def test_a_taken_port_is_an_error(redis_server: RedisServer, tmp_path: Path) -> None:
    """A second server on a port is refused, although the first one would answer for it."""
    second = RedisServer(tmp_path / "second", redis_server.port)
    with pytest.raises(ServerError, match=rf"Port {redis_server.port} of 127.0.0.1 is taken"):
        second.start()
    assert not second.running


@pytest.mark.redis
def test_a_server_that_ends_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    """A server that cannot use its folder raises an error with its own last words."""
    (tmp_path / "appendonlydir").write_text("a file where Redis wants a folder", encoding="utf-8")
    with pytest.raises(ServerError, match=r"redis server on port \d+ ended with status 1; .*appendonlydir"):
        RedisServer(tmp_path).start()


@pytest.mark.redis
def test_a_missing_redis_server_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the program the error says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerError, match=r"redis-server is missing.*Debian package redis-server"):
        RedisServer(tmp_path / "redis").start()


@pytest.mark.redis
def test_a_server_started_in_a_worker_thread_outlives_it(tmp_path: Path) -> None:
    """The death signal is bound to this process, not to the thread that happened to start the server."""
    server = RedisServer(tmp_path / "redis")
    worker = threading.Thread(target=server.start)
    worker.start()
    worker.join()
    with redis.Redis.from_url(server.url) as client:
        assert client.ping()
    server.stop()


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    """A SIGKILL of the starting process takes the child along."""
    code = (
        "import pathlib, signal, sys\n"
        "from deploy.servers.child import ChildProcess\n"
        "pid = ChildProcess(['sleep', '600'], pathlib.Path(sys.argv[1])).pid\n"
        # The death signal is armed once the child has become its program.
        "while pathlib.Path(f'/proc/{pid}/comm').read_text() != 'sleep\\n': pass\n"
        "print(pid, flush=True)\n"
        "signal.pause()\n"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "child.log")]
    root = Path(__file__).parents[2]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=root) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    try:
        ended, _, _ = select.select([child], [], [], 10)
    finally:
        os.close(child)
    assert ended


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """Stop uses force after its deadline, and says that the end was not orderly."""
    child = ChildProcess(["sh", "-c", "trap '' TERM; echo trapped; cat; cat"], tmp_path / "log", pipe_input=True)
    child.write(memoryview(b"heard\n"))
    while "heard" not in child.log_tail():
        assert child.running
    assert child.stop(0.05) is False
    assert child.exit_status == -signal.SIGKILL
    with pytest.raises(BrokenPipeError):
        child.write(memoryview(b"more"))


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    """A program that is not there is an error of our own, with its name."""
    with pytest.raises(ServerError, match="program no-such-program is missing"):
        ChildProcess(["no-such-program"], tmp_path / "log")


def test_free_ports_are_not_ephemeral() -> None:
    """The kernel does not hand the port to an outgoing connection while its server is down."""
    low, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()
    port = free_port()
    assert port < int(low)
    with socket.create_server(("127.0.0.1", port)) as listener:
        assert listener.getsockname()[1] == port


def process_state(pid: int) -> str:
    """Return the kernel's letter for the process's state: R, S, T (stopped), Z..."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
