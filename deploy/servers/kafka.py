"""A real Apache Kafka broker: one node, KRaft, on loopback, with its data in a folder of ours."""

from __future__ import annotations

import base64
import os
import string
import subprocess
import uuid
from pathlib import Path
from typing import ClassVar

from deploy.servers.base import LoopbackServer
from deploy.servers.child import ChildProcess
from deploy.servers.jvm import Jvm, find_java
from deploy.servers.kafka_jars import kafka_home
from deploy.servers.kafka_request import live_brokers
from deploy.servers.ports import LOOPBACK, free_port
from shared.errors import ServerError

_FILES = Path(__file__).parents[1] / "kafka"
_LOG4J = _FILES / "log4j2.properties"
_TEMPLATE = _FILES / "server.properties.template"
_HEAP_MB = 512
_FORMAT_DEADLINE_S = 60


class KafkaServer(LoopbackServer):
    """A Kafka broker; records and committed offsets come back after `stop` and after `kill9`.

    The first one on a machine downloads the jars (about 45 MB), starts in some seconds and, when it is stopped, takes
    two seconds more to leave an archive of its classes; later ones start in about one second.
    """

    name: ClassVar[str] = "kafka"

    def __init__(self, data_dir: Path, port: int = 0, *, advertised_port: int = 0) -> None:
        """Serve at `port` (0: a free one); clients are told to come to `advertised_port`, where they differ."""
        super().__init__(data_dir, port)
        self._advertised_port = advertised_port or self.port
        self._controller_port = free_port()
        self._recording: tuple[Path, Path] | None = None

    @property
    def url(self) -> str:
        """`kafka://127.0.0.1:PORT`."""
        return f"kafka://{self.bootstrap}"

    @property
    def bootstrap(self) -> str:
        """`127.0.0.1:PORT`, as Kafka's clients take it."""
        return f"{LOOPBACK}:{self.port}"

    def _launch(self) -> ChildProcess:
        jvm = Jvm(find_java(), kafka_home())
        properties = self._write_properties()
        if not (self._log_dir / "meta.properties").exists():
            self._format(jvm, properties)
        record = None
        if not jvm.archive.exists():
            record = jvm.archive.with_suffix(f".{os.getpid()}-{self.port}")
            self._recording = (record, jvm.archive)
        argv = jvm.command("kafka.Kafka", heap_mb=_HEAP_MB, record=record, log4j=_LOG4J)
        return ChildProcess([*argv, str(properties)], self.log_path)

    def _ended(self, *, orderly: bool) -> None:
        if self._recording is None:
            return
        written, archive = self._recording
        self._recording = None
        # Java writes the archive while it ends: after a kill it may be half there.
        if orderly and written.exists():
            written.replace(archive)
        else:
            written.unlink(missing_ok=True)

    def _answers(self) -> bool:
        return live_brokers(LOOPBACK, self.port) > 0

    @property
    def _log_dir(self) -> Path:
        return self.data_dir / "records"

    def _write_properties(self) -> Path:
        text = string.Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
            host=LOOPBACK,
            port=self.port,
            advertised_port=self._advertised_port,
            controller_port=self._controller_port,
            log_dir=self._log_dir,
        )
        path = self.data_dir / "server.properties"
        path.write_text(text, encoding="utf-8")
        return path

    def _format(self, jvm: Jvm, properties: Path) -> None:
        argv = jvm.command("kafka.tools.StorageTool", heap_mb=_HEAP_MB, log4j=_LOG4J)
        argv += ["format", "--config", str(properties), f"--cluster-id={_cluster_id()}"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_FORMAT_DEADLINE_S)
        if done.returncode:
            raise ServerError(
                f"Kafka could not format {self._log_dir}: {done.stdout}{done.stderr}",
                "Kafka needs Java 17 or newer and a folder that it can write.",
            )


def _cluster_id() -> str:
    """Return a new cluster's id: 16 random bytes in Kafka's spelling."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode("ascii")
