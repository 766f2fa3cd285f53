"""Make the store whole after it lost its data, and whenever this process takes a line: before anything is claimed."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from alerting.lease import Tenure
from alerting.line import LineGate
from alerting.reader import LineReader
from alerting.rebuild import Rebuilder
from shared.clock import Clock
from shared.errors import BusError, StoreError
from shared.log import get_logger
from shared.store.base import Store

_AGAIN_S: Final = 0.05


class Mender:
    """Serves one line: the topic's decisions, and the parts that this process has in hand, go back into the store."""

    def __init__(
        self, gate: LineGate, *, reader: LineReader, rebuilder: Rebuilder, store: Store, clock: Clock, tenure: Tenure
    ) -> None:
        self._gate = gate
        self._reader = reader
        self._rebuilder = rebuilder
        self._store = store
        self._clock = clock
        self._tenure = tenure
        self._log = get_logger("alerting").bind(line=gate.line.name)

    async def run(self) -> None:
        """Mend whenever it is needed; ends when it is cancelled."""
        while True:
            await self._tenure.broken.wait()
            await self.mend()
            if self._tenure.broken.is_set():
                await self._clock.sleep(_AGAIN_S)

    async def mend(self) -> None:
        """Try once."""
        # Away: whoever needs the two says so, and this is tried again.
        with suppress(StoreError, BusError):
            await self._mend()

    async def _mend(self) -> None:
        token, line = self._tenure.token, self._gate.line.name
        stands = await self._store.lease(line)
        if stands is None or stands.token != token:
            self._tenure.doubted.set()
            return
        lost = await self._rebuilder.rebuild(
            line, utc_ns=self._clock.utc_ns(), token=token, lost=self._tenure.lost_data
        )
        if lost:
            self._log.warning("store.rebuilt", parts=lost)
            self._gate.rules.tell("STORE_REBUILT", f"the store had lost {lost} parts: they are there again")
        for part in list(self._gate.unrecorded()):
            if part.counted and part.counted_under == token:
                continue
            await self._reader.count(part)
            if part.claimed is not None:
                await self._store.claim(part.claimed, token=token)
        self._tenure.mended(token)
        self._gate.wake()
