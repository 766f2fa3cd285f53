"""Where the brokers are, and how long to wait for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypedDict, Unpack
from urllib.parse import urlsplit

from shared.errors import ConfigError
from shared.redaction import redact_address

_OVERHEAD_BYTES = 64 * 1024

_LAST_PORT: Final = 65_535


Compression = Literal["none", "lz4", "zstd"]


class Options(TypedDict, total=False):
    """What an address does not say."""

    replication_factor: int
    prefetch_bytes: int
    compression: Compression


@dataclass(frozen=True, slots=True)
class KafkaBusSettings:
    """`max_message_bytes` bounds a message's value; key, headers and Kafka's own framing come on top.

    A member that is silent for `session_timeout_ms` is dead, and its partitions go to others: 6 s is the least that
    brokers allow as they come. Members learn with their next heartbeat that they have to share anew, and whoever does
    not join within `rebalance_timeout_ms` is not waited for: nobody reads meanwhile.

    `prefetch_bytes` bounds one answer of a broker to a fetch, unless a single message is larger. It is asked only for
    partitions of which a consumer holds nothing. A paused member lets go of what it had fetched, and asks again later.

    `compression` is of what is published from here; readers take every kind.
    """

    bootstrap: str
    max_message_bytes: int = 8 * 1024 * 1024
    replication_factor: int = 1
    request_timeout_ms: int = 5_000
    session_timeout_ms: int = 6_000
    rebalance_timeout_ms: int = 3_000
    heartbeat_ms: int = 500
    max_poll_interval_ms: int = 300_000
    compression: Compression = "none"
    prefetch_bytes: int = 16 * 1024 * 1024

    @classmethod
    def from_url(cls, url: str, *, max_message_bytes: int, **options: Unpack[Options]) -> KafkaBusSettings:
        """Read `kafka://host:port[,host:port...]`; raises `ConfigError` for anything else."""
        parts = urlsplit(url)
        if parts.scheme != "kafka" or "@" in url or not all(map(_is_server, parts.netloc.split(","))):
            raise ConfigError(
                f"bus address {redact_address(url)!r} is not kafka://HOST:PORT", "Give host and port of a broker."
            )
        return cls(bootstrap=parts.netloc, max_message_bytes=max_message_bytes, **options)

    @property
    def request_timeout_s(self) -> float:
        """Return how long one answer of a broker may take."""
        return self.request_timeout_ms / 1_000

    @property
    def session_timeout_s(self) -> float:
        """Return how long a silent member keeps its partitions."""
        return self.session_timeout_ms / 1_000

    @property
    def max_record_bytes(self) -> int:
        """Return how large a message may be with its key, headers and framing."""
        return self.max_message_bytes + _OVERHEAD_BYTES

    @property
    def fetch_max_bytes(self) -> int:
        """Return how large an answer to a fetch may be: the prefetch, or the largest message if that is more."""
        return max(self.prefetch_bytes, self.max_record_bytes)


def _is_server(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isascii() and port.isdigit() and 1 <= int(port) <= _LAST_PORT
