"""The settings of the operators' console."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.camera_settings import Section


class ConsoleSettings(Section):
    """Where the web pages are served, and how long somebody stays signed in.

    `run --role console` serves them on their own; `run --role all` does wherever `[console]` is written, and
    `run --role alerting` with `beside_alerting`. TLS is on with `certificate` and `key`, PEM files: without it the
    pages are for this host, or for a proxy in front, which says so by `behind_tls`: cookies then never leave HTTPS.

    A session ends `idle_min` after its last use, and `session_h` after it began. `history` decisions of a line are
    looked through for its newest rejects, and judged by a preview. A one-time password is good for `one_time_h`. What
    comes from `trusted_proxies` (networks) is from whoever their X-Forwarded-For names.
    """

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8710
    certificate: Path | None = None
    key: Path | None = None
    behind_tls: bool = False
    beside_alerting: bool = False
    idle_min: Annotated[float, Field(gt=0, le=1_440)] = 60.0
    session_h: Annotated[float, Field(gt=0, le=168)] = 12.0
    one_time_h: Annotated[float, Field(gt=0, le=720)] = 24.0
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    history: Annotated[int, Field(ge=100, le=100_000)] = 2_000

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: both PEM files, or neither")
        return self

    @property
    def tls(self) -> bool:
        """Return whether browsers speak HTTPS with the console."""
        return self.certificate is not None or self.behind_tls
