"""The settings of the alerting service: who signals, what operators are told, and what is kept of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from shared.camera_settings import Member, Section
from shared.signal_settings import OpcUaServerSettings, WebhookSettings


class AlertSettings(Section):
    """What operators are told, and how often.

    The same kind about the same camera or line counts up one alert for `repeat_s`; of more than `most_a_minute` on a
    line the rest is told as one flood; a critical alert that nobody acknowledged for `escalate_s` is told again.
    """

    repeat_s: Annotated[float, Field(ge=1, le=86_400)] = 600.0
    chatter_s: Annotated[float, Field(ge=0, le=3_600)] = 60.0
    most_a_minute: Annotated[int, Field(ge=1, le=600)] = 6
    escalate_s: Annotated[float, Field(ge=10, le=86_400)] = 600.0


class AlertingSettings(Section):
    """The alerting service, and who hears of its decisions beside the gates.

    With `standby` several run, on a bus and a store that they share, and one of them signals for each line: the one
    that stops renewing its lease of `lease_ms` signals no more, and another takes over. Without, the one that runs
    takes its lines at once.

    `journal` is a folder for the ledger on a disk of one's own, which the embedded bus does not have otherwise; it is
    not for a `standby`, each of which would write a part of it. A file begins anew at `journal_mib`, and a power cut
    loses what came within `journal_sync_ms` at most.
    """

    member: Member = "alerting-0"
    standby: bool = False
    lease_ms: Annotated[int, Field(ge=200, le=60_000)] = 1_000
    journal: Path | None = None
    journal_mib: Annotated[int, Field(ge=1, le=4_096)] = 64
    journal_sync_ms: Annotated[int, Field(ge=1, le=60_000)] = 200
    alerts: AlertSettings = AlertSettings()
    webhook: WebhookSettings | None = None
    opcua_server: OpcUaServerSettings | None = None
