"""Settings of different sections that cannot go together, each with its remedy. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import ConfigError

if TYPE_CHECKING:
    from shared.settings import Settings


def check_together(settings: Settings) -> None:
    """Raise ConfigError for the first sections that contradict each other."""
    _check_payloads(settings)
    _check_standby(settings)
    _check_retention(settings)


def _check_payloads(settings: Settings) -> None:
    payloads = settings.store.payload_url or settings.store.url
    if settings.bus.claim_check_kib and not settings.bus.embedded and payloads.get_secret_value() == "memory://":
        raise ConfigError(
            "bus.claim_check_kib puts frames into a store that all processes share, and memory:// is in this one",
            "Set store.url, or store.payload_url, to redis://HOST:PORT/DB, or leave claim_check_kib out.",
        )


def _check_standby(settings: Settings) -> None:
    if not settings.alerting.standby:
        return
    for section, embedded, remedy in (
        ("store", settings.store.embedded, "redis://HOST:PORT/DB"),
        ("bus", settings.bus.embedded, "kafka://HOST:PORT"),
    ):
        if embedded:
            # Each process would take the lease in a store of its own, and two would signal for one line.
            raise ConfigError(
                f"alerting.standby is for processes that share a {section}, and {section}.url memory:// is in this one",
                f"Set {section}.url to {remedy} in all of them, or leave standby out.",
            )
    if settings.alerting.journal is not None:
        raise ConfigError(
            "alerting.journal would have gaps with alerting.standby: each process writes only what it decides itself",
            "Leave journal out: the decisions topic holds the whole ledger.",
        )


def _check_retention(settings: Settings) -> None:
    retention_s = settings.store.retention_s
    for line in settings.lines:
        if line.gate_delay_ms >= 1_000 * retention_s:
            raise ConfigError(
                f"line {line.name!r} takes gate_delay_ms = {line.gate_delay_ms} to decide a part, which the store"
                f" forgets after {retention_s} s",
                f"Set store.part_retention_s to more than {-(-line.gate_delay_ms // 1_000)}.",
            )
