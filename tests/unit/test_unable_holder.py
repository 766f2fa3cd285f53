"""A holder that renews its lease and cannot work lets go of it, and a gate that says nonsense is no gate."""

from __future__ import annotations

import asyncio

import pytest

from alerting.plc_sim.gate_log import GateAction
from alerting.plc_sim.simulator import GateSimulator
from alerting.signals.memory import MemoryGateSignals
from shared.domain import Outcome
from shared.errors import SignalUnreachableError, WireError
from shared.plc import ACK, U32_MAX, Accepted, unpack_acknowledge
from tests.lines import LINE, Plant, running
from tests.outages import CuttableBus

GOOD = 0.5


class Unreachable(MemoryGateSignals):
    """A gate that one process cannot reach."""

    async def open(self) -> Accepted:
        """Fail."""
        raise SignalUnreachableError("no route to the PLC")


class Nonsense(MemoryGateSignals):
    """A gate whose acknowledge holds all ones, until somebody clears it."""

    cleared = False

    async def open(self) -> Accepted:
        """Say so."""
        accepted = await super().open()
        return accepted if self.cleared else Accepted(U32_MAX, "x", None)


class Two:
    """Two processes of the service, each with its own cables."""

    def __init__(self) -> None:
        self.plant = Plant(standby=True)
        self.buses = [CuttableBus(self.plant.bus), CuttableBus(self.plant.bus)]
        self.signals = [MemoryGateSignals(self.plant.plc), MemoryGateSignals(self.plant.plc)]

    async def start(self) -> None:
        """Start both; the first gets the line."""
        plant = self.plant
        self.tasks = []
        for number, name in enumerate(("first", "second")):
            stop = asyncio.Event()
            self.tasks.append(
                await plant.serve(self.buses[number], plant.store, self.signals[number], stop, member=name)
            )
            await plant.run(1)

    async def parts(self, name: str, count: int) -> None:
        """Let good parts come, one each 0.2 s."""
        for number in range(count):
            await self.plant.announce(f"{name}{number}")
            await self.plant.say(f"{name}{number}", GOOD)
            await self.plant.run(0.2)

    async def holder(self) -> str:
        """Return who has the line."""
        lease = await self.plant.store.lease(LINE)
        assert lease is not None
        return lease.holder.partition("/")[0]

    async def end(self) -> None:
        """End both."""
        while not all(task.done() for task in self.tasks):
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)
        await self.plant.store.close()


async def test_a_holder_that_hears_nothing_lets_its_standby_go_on() -> None:
    """Only its bus is cut: the other has the line within four leases, and passes parts."""
    two = Two()
    await two.start()
    await two.parts("before", 5)
    assert await two.holder() == "first"
    two.buses[0].away = True
    await two.parts("lost", 20)
    await two.parts("after", 30)
    assert await two.holder() == "second"
    await two.plant.run(2)
    actions = two.plant.actions()
    assert all(actions[f"after{number}"] is GateAction.PASSED for number in range(30))
    await two.end()


async def test_a_holder_that_cannot_reach_the_gate_lets_its_standby_go_on() -> None:
    """The PLC answers the other alone."""
    two = Two()
    two.signals[0] = Unreachable(two.plant.plc)
    await two.start()
    await two.plant.run(5)
    assert await two.holder() == "second"
    await two.parts("after", 5)
    await two.plant.run(2)
    assert set(two.plant.actions().values()) == {GateAction.PASSED}
    await two.end()


async def test_processes_that_cannot_work_take_turns_and_go_on_once_they_can() -> None:
    """The bus is away for both, for a minute: whoever has the line then passes parts soon after."""
    two = Two()
    await two.start()
    for bus in two.buses:
        bus.away = True
    await two.plant.run(60)
    for bus in two.buses:
        bus.away = False
    await two.plant.run(4)
    await two.parts("after", 5)
    await two.plant.run(2)
    assert set(two.plant.actions().values()) == {GateAction.PASSED}
    await two.end()


async def test_a_gate_that_holds_a_sequence_without_end_is_not_connected_until_it_is_cleared() -> None:
    """No process ends by it: parts default, and pass again afterwards."""

    def nonsense(plc: GateSimulator) -> Nonsense:
        return Nonsense(plc)

    async with running(Plant(signals=nonsense)) as plant:
        await plant.announce("lost")
        await plant.say("lost", GOOD)
        await plant.run(3)
        assert isinstance(plant.signals, Nonsense)
        plant.signals.cleared = True
        await plant.run(1)
        await plant.announce("after")
        await plant.say("after", GOOD)
        await plant.run(3)
        assert plant.actions() == {"lost": GateAction.DEFAULTED, "after": GateAction.PASSED}
        await plant.assert_balanced()


@pytest.mark.parametrize("word", [-1, 65_536])
def test_words_that_are_no_registers_are_no_block(word: int) -> None:
    """An OPC UA server may hand on signed numbers."""
    with pytest.raises(WireError, match="without sign"):
        unpack_acknowledge([word, *[0] * (ACK.count - 1)])


async def test_the_last_sequences_are_used_and_then_the_gate_must_be_cleared() -> None:
    """After seven years: no process ends by it; parts default until the PLC counts from the start again."""
    async with running(Plant()) as plant:
        plant.plc._accepted = Accepted(U32_MAX - 3, "old", Outcome.PASS)
        await plant.kill()
        await plant.start()
        for number in range(4):
            await plant.announce(f"p{number}")
            await plant.say(f"p{number}", GOOD)
            await plant.run(0.2)
        await plant.run(3)
        done = [plant.actions()[f"p{number}"] for number in range(4)]
        assert done == [GateAction.PASSED, GateAction.PASSED, GateAction.DEFAULTED, GateAction.DEFAULTED]
        plant.plc.forget_results()
        await plant.run(1)
        await plant.announce("after")
        await plant.say("after", GOOD)
        await plant.run(3)
        assert plant.actions()["after"] is GateAction.PASSED
