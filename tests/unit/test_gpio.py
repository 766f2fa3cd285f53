from __future__ import annotations

import inspect

import gpiod
import pytest

from alerting.signals.base import Accepted, Delivery
from alerting.signals.gpio import READY, REJECT, GpioGateSignals
from alerting.signals.gpio_lines import MAPPED, GpioAddress, GpioLines, gpio_error, parse_gpio_url
from shared.clock import NS_PER_MS, NS_PER_S, ManualClock
from shared.domain import GateMode, Outcome, Signal
from shared.errors import ConfigError, SignalUnreachableError

LEAD_NS = 20 * NS_PER_MS


class FakeLines:
    """Outputs that remember when they changed, and can break."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.changes: list[tuple[int, str, bool]] = []
        self.closed = False
        self.broken = False

    def set(self, name: str, *, on: bool) -> None:
        """Set an output."""
        if self.broken:
            raise SignalUnreachableError("the chip is gone")
        self.changes.append((self._clock.monotonic_ns() // NS_PER_MS, name, on))

    def close(self) -> None:
        """Let go."""
        self.closed = True


class Rig:
    """A gate on outputs, with parts that are at the gate one second after they are told of."""

    def __init__(self, mode: GateMode) -> None:
        self.clock = ManualClock()
        self.lines = FakeLines(self.clock)
        self.signals = GpioGateSignals(
            lambda: self.lines, self.clock, mode=mode, lead_ns=LEAD_NS, has_ready=True, pulse_ms=100
        )
        self.sequence = 0

    async def tell(self, part_id: str, outcome: Outcome, *, in_s: float = 1.0, sequence: int | None = None) -> Delivery:
        """Send a signal for a part that is at the gate in `in_s`."""
        self.sequence += 1
        at_gate_ns = self.clock.utc_ns() + round(in_s * NS_PER_S)
        deadline_ns = at_gate_ns - LEAD_NS if outcome is Outcome.PASS else at_gate_ns
        return await self.signals.send(Signal(sequence or self.sequence, "line", part_id, outcome, deadline_ns))


async def test_a_gate_that_rests_on_reject_opens_for_a_pass_alone() -> None:
    """The output is off from the gate's lead before the part until the pulse is over, and never else."""
    rig = Rig(GateMode.PASS_ASSERTED)
    assert await rig.tell("good", Outcome.PASS) is Delivery.ACCEPTED
    assert await rig.tell("bad", Outcome.REJECT, in_s=3) is Delivery.ACCEPTED
    await rig.clock.advance(5)
    reject = [(at_ms, on) for at_ms, name, on in rig.lines.changes if name == REJECT]
    assert reject == [(980, False), (1_080, True), (2_980, True), (3_080, True)]


async def test_a_gate_that_rests_open_fires_for_a_reject_alone() -> None:
    """The output is on while a part to be thrown out is there."""
    rig = Rig(GateMode.REJECT_ASSERTED)
    await rig.tell("good", Outcome.PASS)
    await rig.tell("default", Outcome.DEFAULT_REJECT, in_s=3)
    await rig.clock.advance(5)
    reject = [(at_ms, on) for at_ms, name, on in rig.lines.changes if name == REJECT]
    assert reject == [(980, False), (1_080, False), (2_980, True), (3_080, False)]


async def test_a_part_that_follows_within_the_pulse_takes_the_gate_over() -> None:
    """The end of the first pulse does not cut the second short."""
    rig = Rig(GateMode.PASS_ASSERTED)
    await rig.tell("good", Outcome.PASS)
    await rig.tell("too", Outcome.PASS, in_s=1.05)
    await rig.clock.advance(2)
    reject = [(at_ms, on) for at_ms, name, on in rig.lines.changes if name == REJECT]
    assert reject == [(980, False), (1_030, False), (1_130, True)]


async def test_refusals_are_those_of_a_plc_as_far_as_they_can_be_known() -> None:
    """Late, told twice, told otherwise and out of order are refused; that a part is unknown cannot be."""
    rig = Rig(GateMode.PASS_ASSERTED)
    assert await rig.tell("late", Outcome.PASS, in_s=0.01) is Delivery.LATE
    assert await rig.tell("late", Outcome.REJECT, in_s=0.01) is Delivery.ACCEPTED
    assert await rig.tell("p", Outcome.PASS) is Delivery.ACCEPTED
    assert await rig.tell("p", Outcome.PASS) is Delivery.DUPLICATE
    assert await rig.tell("p", Outcome.REJECT) is Delivery.CONFLICTING
    assert await rig.tell("q", Outcome.PASS, sequence=1) is Delivery.OUT_OF_ORDER
    assert await rig.signals.last_accepted() == Accepted(3, "p", Outcome.PASS)
    with pytest.raises(ConfigError):
        await rig.tell("x" * 33, Outcome.PASS)


async def test_closing_puts_the_gate_to_rest_and_forgets_what_was_planned() -> None:
    """A service that ends leaves no gate open behind it."""
    rig = Rig(GateMode.PASS_ASSERTED)
    await rig.tell("p", Outcome.PASS)
    await rig.signals.close()
    await rig.clock.advance(5)
    assert rig.lines.closed
    assert rig.lines.changes == []


async def test_beats_turn_the_ready_output_over() -> None:
    """Whoever watches it sees edges only while parts are decided."""
    rig = Rig(GateMode.PASS_ASSERTED)
    for _ in range(3):
        await rig.signals.beat()
    assert [(name, on) for _, name, on in rig.lines.changes] == [(READY, True), (READY, False), (READY, True)]


async def test_a_chip_that_breaks_is_told_by_the_next_call() -> None:
    """A pulse that could not be set makes the outputs be taken anew."""
    rig = Rig(GateMode.PASS_ASSERTED)
    await rig.tell("p", Outcome.PASS)
    rig.lines.broken = True
    await rig.clock.advance(2)
    assert rig.lines.closed
    with pytest.raises(SignalUnreachableError):
        await rig.signals.beat()
    rig.lines.broken = False
    await rig.signals.beat()
    assert rig.lines.changes[-1][1] == READY


def test_addresses_of_outputs() -> None:
    """An address names a chip, the gate's line, and perhaps a ready line."""
    assert parse_gpio_url("gpio://gpiochip0?reject=17&ready=18") == GpioAddress("gpiochip0", 17, 18)
    assert parse_gpio_url("gpio://gpiochip0?reject=17") == GpioAddress("gpiochip0", 17, None)


@pytest.mark.parametrize(
    "url",
    [
        "gpio://gpiochip0",
        "gpio://?reject=1",
        "gpio://c?reject=x",
        "gpio://c?reject=1&ready=1",
        "gpio://c?reject=1&up=2",
        "gpio://a/b?reject=1",
        "gpio://..?reject=1",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    """What is not an address of outputs is a configuration error with an example of one."""
    with pytest.raises(ConfigError, match=r"gpio://gpiochip0"):
        parse_gpio_url(url)


def test_every_gpiod_exception_is_mapped() -> None:
    """A release of gpiod with a new kind of exception fails here, not on a line."""
    kinds = [kind for _, kind in inspect.getmembers(gpiod, inspect.isclass) if issubclass(kind, Exception)]
    assert kinds
    assert [kind for kind in kinds if not issubclass(kind, MAPPED)] == []
    assert "gpioinfo" in str(gpio_error(OSError(16, "busy"), "gpiochip0"))


def test_a_missing_chip_is_unreachable() -> None:
    """A host without that chip says so, in one line with a remedy."""
    with pytest.raises(SignalUnreachableError, match="gpiodetect"):
        GpioLines("gpiochip99", {REJECT: 1}, active_low=frozenset({REJECT}), on=frozenset({REJECT}))
