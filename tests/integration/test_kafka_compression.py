"""Kafka's codecs: each is really used, whoever reads needs not know, and the benchmark that compares them runs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import numpy as np
import pytest

from deploy.adapters import make_bus
from deploy.servers.kafka import KafkaServer
from deploy.stream.compression import CODECS, compression
from deploy.stream.payloads import KINDS, Kind
from shared.bus.base import Bus, Record
from shared.bus.kafka import Compression
from shared.clock import SystemClock
from shared.settings import from_dict

pytestmark = pytest.mark.kafka

EASY = bytes(range(16)) * 20_000
NOISE = np.random.default_rng(0).bytes(300_000)


@pytest.fixture(scope="module")
def broker(kafka_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """Give a broker whose disk can be looked at; it needs what the shared one needs."""
    del kafka_url
    with KafkaServer(tmp_path_factory.mktemp("compressed")) as server:
        yield server


def bus_with(broker: KafkaServer, codec: Compression) -> Bus:
    """Connect as a process whose settings name the codec."""
    return make_bus(from_dict({"bus": {"url": broker.url, "compression": codec}}), SystemClock())


@pytest.mark.parametrize("reader", CODECS)
@pytest.mark.parametrize("codec", CODECS)
async def test_a_message_of_any_codec_is_read_by_all(
    broker: KafkaServer, codec: Compression, reader: Compression
) -> None:
    """What repeats itself lies small on the broker with a codec alone, what does not no larger; all comes back."""
    writing, reading = bus_with(broker, codec), bus_with(broker, reader)
    topic = f"topic-{uuid.uuid4().hex}"
    await writing.ensure_topics({topic: 1})
    for value in (EASY, NOISE, b""):
        await writing.publish(topic, value, key=b"key", partition=0, headers=(("name", b"value"),))

    subscription = await reading.subscribe([topic], group=topic, member="one")
    came: list[Record] = []
    while len(came) < 3:
        came += await subscription.poll(max_records=3, timeout_s=1)
    await subscription.close()

    assert [record.value for record in came] == [EASY, NOISE, b""]
    assert {(record.key, record.headers) for record in came} == {(b"key", (("name", b"value"),))}
    (folder,) = broker.data_dir.rglob(f"{topic}-0")
    on_disk = sum(log.stat().st_size for log in folder.glob("*.log"))
    assert (on_disk < len(EASY)) == (codec != "none")
    assert len(NOISE) < on_disk < len(NOISE) + len(EASY) + 1_000
    await writing.close()
    await reading.close()


async def test_the_benchmark_measures_every_codec(kafka_url: str) -> None:
    """One short round on verdicts: every codec has its figures, and the ratios are to none of them but `none`."""
    del kafka_url
    (verdict,) = (kind for kind in KINDS if kind.encoding is None)
    few = Kind(verdict.name, verdict.partitions, rate_hz=40, budget_bytes=50_000, encoding=None)
    figures = await compression(seconds=0.5, rounds=1, kinds=(few,))
    assert [row.codec for row in figures.rows] == list(CODECS)
    plain, *compressed = figures.rows
    assert (plain.speed, plain.disk) == (1, 1)
    assert all(row.disk < 1 for row in compressed)
    assert all(0 < row.p50_ms <= row.p99_ms for row in figures.rows)
    assert figures.table().row_count == len(CODECS)
    assert figures.to_json()["rows"][0]["kind"] == "verdict"
