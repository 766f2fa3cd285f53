"""Where decisions are told beside the gate: nobody there is waited for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from shared.camera_settings import Section


class WebhookSettings(Section):
    """An address that each decision is posted to, signed with the `secret` that the receiver has, too."""

    url: SecretStr
    secret: Annotated[SecretStr, Field(min_length=16)]
    queue: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    tries: Annotated[int, Field(ge=1, le=100)] = 12


class OpcUaServerSettings(Section):
    """Where MES and SCADA read lines' states and results. Without security: bind it to a trusted network alone."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 4_840
