"""Build the alerting service with the signals of its lines."""

from __future__ import annotations

from typing import Final

from alerting.journal import Journal
from alerting.service import AlertingService
from alerting.signals.absent import AbsentGateSignals
from alerting.signals.base import GateSignals
from alerting.signals.modbus import ModbusGateSignals
from deploy.adapters import Adapters
from shared.clock import Clock
from shared.settings import LineSettings, Settings

_MIB: Final = 1024 * 1024


def build(settings: Settings, adapters: Adapters) -> AlertingService:
    """Return the service that owns the gates."""
    return AlertingService(
        settings,
        plan=adapters.plan.plan,
        bus=adapters.bus,
        store=adapters.store,
        clock=adapters.clock,
        signals=lambda line: make_signals(line, adapters.clock),
        journal=make_journal(settings, adapters.clock),
    )


def make_journal(settings: Settings, clock: Clock) -> Journal | None:
    """Return the lines' journal with what the last run left in it, where one is wanted."""
    wanted = settings.alerting
    if wanted.journal is None:
        return None
    journal = Journal(
        wanted.journal,
        [line.name for line in settings.lines],
        clock=clock,
        rotate_bytes=wanted.journal_mib * _MIB,
        sync_s=wanted.journal_sync_ms / 1_000,
    )
    journal.open()
    return journal


def make_signals(line: LineSettings, clock: Clock) -> GateSignals:
    """Return the adapter for the line's gate."""
    url = line.signal.url.get_secret_value()
    if url == "none":
        return AbsentGateSignals()
    return ModbusGateSignals(url, clock, ack_timeout_ms=line.signal.acknowledge_ms)
