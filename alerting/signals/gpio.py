"""The gate on a digital output: no PLC follows the part, so the output itself is set when the part is at the gate."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from shared.clock import NS_PER_S
from shared.domain import GateMode, Outcome
from shared.errors import SignalError
from shared.log import get_logger
from shared.plc import Accepted, Delivery, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from alerting.signals.lines import DigitalLines
    from shared.clock import Clock
    from shared.domain import Signal

REJECT: Final = "reject"
READY: Final = "ready"
DEFAULT_PULSE_MS: Final = 100.0
_REMEMBERED: Final = 10_000


class GpioGateSignals:
    """Sets the output `reject` for `pulse_ms` around each part, and turns `ready` over with each beat.

    A gate that rests on reject has `reject` on, and off only while a part with a PASS is there; one that rests open has
    it on only while a part to be thrown out is there. The gate begins to move `lead_ns` before the part is there. There
    is nobody to acknowledge: a signal in time is accepted, and what the wire or the gate then do is not known.
    """

    def __init__(
        self,
        lines: Callable[[], DigitalLines],
        clock: Clock,
        *,
        mode: GateMode,
        lead_ns: int,
        has_ready: bool,
        pulse_ms: float = DEFAULT_PULSE_MS,
    ) -> None:
        self._make_lines = lines
        self._clock = clock
        self._rests_on = mode is GateMode.PASS_ASSERTED
        self._lead_ns = lead_ns
        self._has_ready = has_ready
        self._pulse_s = pulse_ms / 1_000
        self._lines: DigitalLines | None = None
        self._accepted = Accepted()
        self._known: OrderedDict[str, Outcome] = OrderedDict()
        self._acting: set[asyncio.Task[None]] = set()
        self._turn = 0
        self._ready = False

    async def open(self) -> Accepted:
        """Take the outputs unless they are taken; what an earlier process sent nobody remembers."""
        self._taken()
        return self._accepted

    async def send(self, signal: Signal) -> Delivery:
        """Plan the output for the part's time at the gate; LATE when that has begun."""
        Result.of(signal)  # the same bounds on part ids and sequences as everywhere
        self._taken()
        earlier = self._known.get(signal.part_id)
        if earlier is signal.outcome:
            return Delivery.DUPLICATE
        if signal.sequence <= self._accepted.sequence:
            return Delivery.OUT_OF_ORDER
        if earlier is not None:
            return Delivery.CONFLICTING
        passing = signal.outcome is Outcome.PASS
        # A PASS is due when the gate must begin to move, a reject when the part is there.
        act_at_ns = signal.deadline_ns if passing else signal.deadline_ns - self._lead_ns
        left_ns = act_at_ns - self._clock.utc_ns()
        if left_ns < (0 if passing else -self._lead_ns):
            return Delivery.LATE
        self._accepted = Accepted(signal.sequence, signal.part_id, signal.outcome)
        self._known[signal.part_id] = signal.outcome
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        acting = asyncio.create_task(self._act(left_ns, reject=not passing), name="gpio-pulse")
        self._acting.add(acting)
        acting.add_done_callback(self._acting.discard)
        return Delivery.ACCEPTED

    async def last_accepted(self) -> Accepted:
        """Return what this process planned last."""
        self._taken()
        return self._accepted

    async def beat(self) -> None:
        """Turn the ready output over: whoever watches it sees edges only while parts are decided."""
        lines = self._taken()
        if self._has_ready:
            self._ready = not self._ready
            try:
                lines.set(READY, on=self._ready)
            except SignalError:
                self._give_up(lines)
                raise

    async def close(self) -> None:
        """Put the gate to rest, forget what was planned, and let go of the outputs."""
        for acting in self._acting:
            acting.cancel()
        if self._acting:
            await asyncio.wait(self._acting)
        lines, self._lines = self._lines, None
        if lines is not None:
            with suppress(SignalError):
                lines.close()

    def _taken(self) -> DigitalLines:
        if self._lines is None:
            self._lines = self._make_lines()
        return self._lines

    async def _act(self, left_ns: int, *, reject: bool) -> None:
        await self._clock.sleep(left_ns / NS_PER_S)
        self._turn += 1
        turn = self._turn
        self._set(on=reject)
        await self._clock.sleep(self._pulse_s)
        if turn == self._turn:  # else the next part is there already, and the gate is its own
            self._set(on=self._rests_on)

    def _set(self, *, on: bool) -> None:
        lines = self._lines
        if lines is None:
            return
        try:
            lines.set(REJECT, on=on)
        except SignalError as error:
            get_logger("signals").warning("gpio.lost", error=str(error))
            self._give_up(lines)

    def _give_up(self, lines: DigitalLines) -> None:
        """Let go of outputs that failed: the next call takes them anew, at rest, and its failure reaches the line."""
        if self._lines is lines:
            self._lines = None
        with suppress(SignalError):
            lines.close()
