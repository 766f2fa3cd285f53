"""Which gate and which listeners the settings choose."""

from __future__ import annotations

import asyncio
import sys

import httpx2
import pytest

from alerting.service import AlertingService
from alerting.signals.absent import AbsentGateSignals
from alerting.signals.gpio import GpioGateSignals
from alerting.signals.http import HttpPoster
from alerting.signals.modbus import ModbusGateSignals
from alerting.signals.mqtt import MqttGateSignals
from alerting.signals.opcua import OpcUaGateSignals
from alerting.signals.sink import DecisionFeed
from alerting.signals.webhook import Webhook
from deploy.adapters import adapters_for
from deploy.roles.alerting import WithSinks, make_signals, make_sinks
from shared.bus.memory import MemoryBus
from shared.clock import ManualClock, SystemClock
from shared.domain import Decision, GateMode, Outcome
from shared.errors import ConfigError
from shared.policy_record import PolicyChange
from shared.settings import LineSettings, SignalSettings, from_dict
from shared.wire import encode
from tests.outages import CuttableBus

CLOCK = SystemClock()


def line(url: str, *, photo_eye: bool = False, gate: GateMode = GateMode.PASS_ASSERTED) -> LineSettings:
    """Make a line with a gate at `url`."""
    return LineSettings(gate=gate, signal=SignalSettings.model_validate({"url": url, "photo_eye": photo_eye}))


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("none", AbsentGateSignals),
        ("modbus://plc", ModbusGateSignals),
        ("opcua://plc", OpcUaGateSignals),
        ("mqtt://broker?prefix=line-1", MqttGateSignals),
        ("mqtts://broker", MqttGateSignals),
        ("gpio://gpiochip0?reject=17&ready=18", GpioGateSignals),
    ],
)
async def test_the_address_chooses_the_gate(url: str, kind: type) -> None:
    """Each scheme has its adapter, which connects to nothing before it is opened."""
    assert type(make_signals(line(url), CLOCK)) is kind


@pytest.mark.parametrize("url", ["plc:502", "http://plc", "opc.tcp://plc"])
def test_other_addresses_are_refused(url: str) -> None:
    """An address of no adapter is an error with all that there are."""
    with pytest.raises(ConfigError, match="Use modbus://HOST:PORT, opcua://"):
        make_signals(line(url), CLOCK)


def test_a_photo_eye_of_ours_needs_modbus() -> None:
    """Where nobody would hear of the parts, the settings are refused at the start."""
    with pytest.raises(ConfigError, match="for modbus:// alone"):
        make_signals(line("opcua://plc", photo_eye=True), CLOCK)


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without the extra says what to install."""
    monkeypatch.setitem(sys.modules, "asyncua", None)
    monkeypatch.delitem(sys.modules, "alerting.signals.opcua", raising=False)
    monkeypatch.delitem(sys.modules, "shared.opcua", raising=False)
    with pytest.raises(ConfigError, match=r"'asyncua'.*linewarden\[alerting\]"):
        make_signals(line("opcua://plc"), CLOCK)


async def test_decisions_on_the_bus_reach_a_webhook_past_the_gate() -> None:
    """What is on the topic of decisions is posted, and a message that is none costs no other."""
    bus = MemoryBus(CLOCK)
    topics = from_dict({}).topics
    await bus.ensure_topics({topics.decisions: 1})
    posted: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        posted.append(request.content)
        return httpx2.Response(204)

    hook = Webhook(HttpPoster("https://mes/hook", transport=httpx2.MockTransport(answer)), CLOCK, secret=b"s" * 16)
    feed = DecisionFeed([hook], bus=bus, topics=topics, group="sinks", member="alerting-0", clock=CLOCK)
    stop = asyncio.Event()
    running = asyncio.create_task(feed.run(stop))
    while not running.done() and not posted:
        for value in (b"no message", encode(Decision("line", "p", Outcome.PASS, "good", 2.0, (), 1, 2, 3))):
            await bus.publish(topics.decisions, value, key=None, partition=0)
        await asyncio.sleep(0.01)
    stop.set()
    await running
    assert b'"part_id":"p"' in posted[0]
    await bus.close()


async def test_who_hears_of_decisions_outlives_a_bus_that_is_away_at_the_start() -> None:
    """A plant's own systems must not stay without decisions because the broker came up last."""
    clock = ManualClock()
    bus, listener, stop = CuttableBus(MemoryBus(clock)), Heard(), asyncio.Event()
    topics = from_dict({}).topics
    await bus.ensure_topics({topics.decisions: 1})
    decision = Decision("line", "p", Outcome.PASS, "good", 2.0, (), 1, 2, 3)
    await bus.publish(topics.decisions, encode(decision), key=None, partition=0)
    bus.away = True
    feed = DecisionFeed([listener], bus=bus, topics=topics, group="sinks", member="alerting-0", clock=clock)
    running = asyncio.create_task(feed.run(stop))
    await clock.advance(5)
    assert bus.refused > 1
    assert not running.done()
    bus.away = False
    await clock.advance(1)
    stop.set()
    await clock.advance(1)
    await running
    assert listener.parts == ["p"]
    await bus.close()


class Heard:
    """Somebody beside the gate who keeps the parts of which it heard."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def offer(self, decision: Decision) -> None:
        """Keep it."""
        self.parts.append(decision.part_id)

    async def run(self) -> None:
        """Have nothing to do until cancelled."""
        await asyncio.Event().wait()

    async def drain(self) -> None:
        """Have nothing left."""


async def test_each_process_shows_all_lines_and_one_of_them_posts_to_the_webhook() -> None:
    """Processes share the webhook's group, and each has one for its own OPC UA server."""
    groups: dict[str, set[str]] = {"Webhook": set(), "OpcUaLineServer": set()}
    hook = {"url": "http://mes/hook", "secret": "0123456789abcdef"}
    served = {"host": "127.0.0.1", "port": 4840}
    for member in ("alerting-0", "alerting-1"):
        settings = from_dict({"alerting": {"member": member, "webhook": hook, "opcua_server": served}})
        async with adapters_for(settings) as adapters:
            for group, sink in make_sinks(settings, adapters):
                groups[type(sink).__name__].add(group)
    assert groups == {"Webhook": {"sinks"}, "OpcUaLineServer": {"sinks-of-alerting-0", "sinks-of-alerting-1"}}


@pytest.mark.parametrize(("groups", "times"), [(("sinks", "sinks"), 1), (("sinks-of-a", "sinks-of-b"), 2)])
async def test_a_group_hears_of_each_decision_once(groups: tuple[str, str], times: int) -> None:
    """Feeds of one group split the lines between them; those with groups of their own all hear of every line."""
    bus = MemoryBus(CLOCK)
    topics = from_dict({}).topics
    await bus.ensure_topics({topics.decisions: 2})
    listeners, stop = (Heard(), Heard()), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for member, (group, listener) in enumerate(zip(groups, listeners, strict=True)):
            feed = DecisionFeed(
                [listener], bus=bus, topics=topics, group=group, member=f"alerting-{member}", clock=CLOCK
            )
            tasks.create_task(feed.run(stop))
        await asyncio.sleep(0.01)
        for part in range(4):
            decision = Decision(f"line-{part % 2}", f"p{part}", Outcome.PASS, "good", 2.0, (), 1, 2, 3)
            await bus.publish(topics.decisions, encode(decision), key=None, partition=part % 2)
        stop.set()
    heard = sorted(listeners[0].parts + listeners[1].parts)
    assert heard == sorted([f"p{part}" for part in range(4)] * times)
    await bus.close()


async def test_a_changed_policy_is_no_unreadable_decision(capsys: pytest.CaptureFixture[str]) -> None:
    """Changes of policies are on the topic for auditors: who hears of decisions leaves them out, quietly."""
    bus, listener, stop = MemoryBus(CLOCK), Heard(), asyncio.Event()
    topics = from_dict({}).topics
    await bus.ensure_topics({topics.decisions: 1})
    feed = DecisionFeed([listener], bus=bus, topics=topics, group="sinks", member="alerting-0", clock=CLOCK)
    running = asyncio.create_task(feed.run(stop))
    await asyncio.sleep(0.01)
    decision = Decision("line", "p", Outcome.PASS, "good", 2.0, (), 1, 2, 3)
    for value in (encode(PolicyChange("line", 1, "me", 0, "why", "{}", "{}")), encode(decision)):
        await bus.publish(topics.decisions, value, key=None, partition=0)
    stop.set()
    await running
    assert listener.parts == ["p"]
    assert "sinks.unreadable" not in capsys.readouterr().out
    await bus.close()


async def test_what_fails_beside_the_gate_leaves_the_gate_alone() -> None:
    """A listener that breaks is told in the log, and the service serves on."""
    bus = MemoryBus(CLOCK)
    served: list[bool] = []

    class BrokenFeed(DecisionFeed):
        async def run(self, stop: asyncio.Event) -> None:  # noqa: ARG002
            raise RuntimeError("a bug")

    class Serving(AlertingService):
        def __init__(self) -> None:
            """Need nothing."""

        async def run(self, stop: asyncio.Event) -> None:
            await stop.wait()
            served.append(True)

    feed = BrokenFeed([], bus=bus, topics=from_dict({}).topics, group="sinks", member="alerting-0", clock=CLOCK)
    stop = asyncio.Event()
    running = asyncio.create_task(WithSinks(Serving(), feed).run(stop))
    await asyncio.sleep(0)
    stop.set()
    await running
    assert served == [True]
    await bus.close()


def test_a_webhook_s_secret_is_never_printed() -> None:
    """Settings show stars, and a secret that is too short is refused."""
    hook = {"url": "https://mes/hook?token=t0p", "secret": "0123456789abcdef"}
    settings = from_dict({"alerting": {"webhook": hook}})
    assert "0123456789abcdef" not in repr(settings)
    assert "t0p" not in repr(settings)
    with pytest.raises(ConfigError, match="secret"):
        from_dict({"alerting": {"webhook": {**hook, "secret": "short"}}})
