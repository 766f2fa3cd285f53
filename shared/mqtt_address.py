"""Addresses of MQTT brokers: `mqtt://[USER:PASSWORD@]HOST[:PORT][?prefix=TOPIC]`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from shared.errors import ConfigError
from shared.redaction import redact_address

DEFAULT_PORT: Final = 1883
DEFAULT_TLS_PORT: Final = 8883
DEFAULT_PREFIX: Final = "linewarden/gate"


@dataclass(frozen=True, slots=True)
class MqttAddress:
    """A broker, who we are there, and what all topics of one gate begin with."""

    host: str
    port: int = DEFAULT_PORT
    prefix: str = DEFAULT_PREFIX
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False

    @property
    def name(self) -> str:
        """Return the address for people: without the password."""
        return f"mqtt{'s' if self.tls else ''}://{self.host}:{self.port}?prefix={self.prefix}"


def parse_mqtt_url(url: str) -> MqttAddress:
    """Read `mqtt://[USER:PASSWORD@]HOST[:PORT][?prefix=TOPIC]`, or mqtts:// for TLS; ConfigError for anything else."""
    remedy = "Write it as mqtt://HOST:PORT?prefix=line-1/gate, or mqtts:// for TLS."
    refused = ConfigError(f"{redact_address(url)!r} is not an MQTT address", remedy)
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    prefix = options.pop("prefix", DEFAULT_PREFIX)
    tls = parts.scheme == "mqtts"
    try:
        port = parts.port or (DEFAULT_TLS_PORT if tls else DEFAULT_PORT)
    except ValueError:
        raise refused from None
    plain = parts.scheme in {"mqtt", "mqtts"} and parts.path in {"", "/"} and not options
    if not plain or not parts.hostname or not prefix.strip("/") or set(prefix) & {"+", "#", "\0"}:
        raise refused
    user = unquote(parts.username) if parts.username is not None else None
    password = unquote(parts.password) if parts.password is not None else None
    return MqttAddress(parts.hostname, port, prefix.strip("/"), user, password, tls)
