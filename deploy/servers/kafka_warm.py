"""Fetch Kafka's jars and record its class archive ahead of time: `python -m deploy.servers.kafka_warm`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from deploy.servers.jvm import Jvm, find_java
from deploy.servers.kafka import KafkaServer
from deploy.servers.kafka_jars import kafka_home
from shared.errors import ServerError


def warm() -> None:
    """Fill the cache, unless it is full; raise ServerError when Java, Maven or the jars cannot be had."""
    if Jvm(find_java(), kafka_home()).archive.exists():
        return
    # The first broker to end in order leaves the archive.
    with tempfile.TemporaryDirectory(prefix="linewarden-kafka-") as folder, KafkaServer(Path(folder)):
        pass


def main() -> int:
    """Warm the cache; return the exit status."""
    try:
        warm()
    except ServerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
