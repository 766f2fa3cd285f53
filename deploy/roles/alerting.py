"""Build the alerting service with the signals of its lines, and those who hear of decisions beside them."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

from alerting.journal import Journal
from alerting.service import AlertingService
from alerting.signals.absent import AbsentGateSignals
from alerting.signals.base import GateSignals
from alerting.signals.sink import DecisionFeed, DecisionSink
from deploy.adapters import Adapters
from deploy.model_making import needs_extra
from shared.clock import Clock
from shared.domain import GateMode
from shared.errors import ConfigError
from shared.lifecycle import Service
from shared.log import get_logger
from shared.redaction import redact_address
from shared.settings import LineSettings, Settings

_MIB: Final = 1024 * 1024


class WithSinks:
    """The alerting service, and the feeds of those who hear of decisions: they end after the service."""

    name = "alerting"

    def __init__(self, service: AlertingService, *feeds: DecisionFeed) -> None:
        self._service = service
        self._feeds = feeds

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, and tell of what was decided by then."""
        decided = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for feed in self._feeds:
                tasks.create_task(self._feed_sinks(feed, decided), name="decisions")
            await self._service.run(stop)
            decided.set()

    @staticmethod
    async def _feed_sinks(feed: DecisionFeed, decided: asyncio.Event) -> None:
        try:
            await feed.run(decided)
        except Exception as error:  # noqa: BLE001 - whatever befalls those beside the gate, the gate goes on
            get_logger("signals").error("sinks.failed", error=repr(error), remedy="restart alerting once it is mended")


def build(settings: Settings, adapters: Adapters) -> Service:
    """Return the service that owns the gates."""
    service = AlertingService(
        settings,
        plan=adapters.plan.plan,
        bus=adapters.bus,
        store=adapters.store,
        clock=adapters.clock,
        signals=lambda line: make_signals(line, adapters.clock),
        journal=make_journal(settings, adapters.clock),
    )
    sinks = make_sinks(settings, adapters)
    if not sinks:
        return service
    feeds = [
        DecisionFeed(
            [sink],
            bus=adapters.bus,
            topics=settings.topics,
            group=group,
            member=settings.alerting.member,
            clock=adapters.clock,
        )
        for group, sink in sinks
    ]
    return WithSinks(service, *feeds)


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
    """Return the adapter for the line's gate, loading its library alone; ConfigError for an address of no adapter."""
    url = line.signal.url.get_secret_value()
    ack_ms = line.signal.acknowledge_ms
    scheme = urlsplit(url).scheme
    if line.signal.photo_eye and scheme in {"opcua", "mqtt", "mqtts", "gpio"}:
        raise ConfigError(
            f"line {line.name!r}: signal.photo_eye is for modbus:// alone",
            "Leave it out: there the PLC has a photo-eye of its own.",
        )
    with needs_extra("alerting"):
        match "none" if url == "none" else scheme:
            case "none":
                return AbsentGateSignals()
            case "modbus":
                from alerting.signals.modbus import ModbusGateSignals

                return ModbusGateSignals(url, clock, ack_timeout_ms=ack_ms)
            case "opcua":
                from alerting.signals.opcua import OpcUaGateSignals

                return OpcUaGateSignals(url, clock, ack_timeout_ms=ack_ms)
            case "mqtt" | "mqtts":
                from alerting.signals.mqtt import MqttGateSignals

                return MqttGateSignals(url, clock, ack_timeout_ms=ack_ms)
            case "gpio":
                return _gpio_signals(url, line, clock)
            case _:
                raise ConfigError(
                    f"line {line.name!r}: no gate is known for {redact_address(url)!r}",
                    "Use modbus://HOST:PORT, opcua://HOST:PORT, mqtt://HOST:PORT?prefix=TOPIC,"
                    " gpio://gpiochip0?reject=LINE, or none.",
                )


def make_sinks(settings: Settings, adapters: Adapters) -> list[tuple[str, DecisionSink]]:
    """Return those who hear of decisions beside the gate, each with the group that it shares with other processes.

    A webhook is fed once, by whichever process; each process's OPC UA server shows all lines.
    """
    sinks: list[tuple[str, DecisionSink]] = []
    with needs_extra("alerting"):
        if (hook := settings.alerting.webhook) is not None:
            from alerting.signals.http import HttpPoster
            from alerting.signals.webhook import Webhook

            secret = hook.secret.get_secret_value().encode()
            poster = HttpPoster(hook.url.get_secret_value())
            webhook = Webhook(poster, adapters.clock, secret=secret, queue=hook.queue, tries=hook.tries)
            sinks.append(("sinks", webhook))
        if (served := settings.alerting.opcua_server) is not None:
            from alerting.signals.opcua_server import OpcUaLineServer

            names = [line.name for line in settings.lines]
            server = OpcUaLineServer(names, adapters.store, adapters.clock, host=served.host, port=served.port)
            sinks.append((f"sinks-of-{settings.alerting.member}", server))
    return sinks


def _gpio_signals(url: str, line: LineSettings, clock: Clock) -> GateSignals:
    from alerting.signals.gpio import READY, REJECT, GpioGateSignals
    from alerting.signals.gpio_lines import GpioLines, parse_gpio_url

    address = parse_gpio_url(url)
    offsets = {REJECT: address.reject} | ({} if address.ready is None else {READY: address.ready})
    # A gate that rests on reject must reject without power: there `reject` is on at a low level.
    resting = frozenset({REJECT}) if line.gate is GateMode.PASS_ASSERTED else frozenset[str]()
    return GpioGateSignals(
        lambda: GpioLines(address.chip, offsets, active_low=resting, on=resting),
        clock,
        mode=line.gate,
        lead_ns=line.actuation_lead_ns,
        has_ready=address.ready is not None,
    )
