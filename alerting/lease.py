"""One active gate for each line: what a process knows of its hold on one, and how it gets, keeps and loses it.

A lease never expires in the store. Whoever holds it changes its beat several times within `lease_ms`; whoever wants it
takes it by compare-and-set once the beat stood still for `lease_ms` and a tenth on its own monotonic clock. The holder
counts `lease_ms` from before it sent a renewal, the other from after it saw it: the holder stops first (ADR 0024).
"""

from __future__ import annotations

import asyncio
from typing import Final

from shared import metrics
from shared.clock import NS_PER_MS, NS_PER_S, Clock, wait_event
from shared.errors import StoreError
from shared.log import get_logger
from shared.store.base import LeaseRecord, Store

_RENEWALS: Final = 5
"""How often a lease is renewed within its length."""
_LOOKS: Final = 10
_DRIFT: Final = 1.1
"""How much longer than a lease another waits: clocks of two hosts run apart, by far less."""


class Tenure:
    """What this process knows of its hold on one line's gate.

    `whole` says that the store has what it had: a decision may be claimed. Without an end it holds until another
    process took the lease; with one it ends by itself, before another can have.
    """

    def __init__(self, clock: Clock, *, token: int | None = None) -> None:
        self.token = token
        self.whole = token is None
        self.lost_data = False
        """Whether the store is known to have lost data: what was settled since does not prove what was before."""
        self._clock = clock
        self._until_ns: int | None = None
        self._lost = False
        self.doubted = asyncio.Event()
        """Set when the store seems to hold another lease, or none: the keeper looks at once."""
        self.broken = asyncio.Event()
        """Set while the store is not known to be whole."""
        if not self.whole:
            self.broken.set()

    def holds(self) -> bool:
        """Return whether signals may be sent."""
        return not self._lost and (self._until_ns is None or self._clock.monotonic_ns() < self._until_ns)

    @property
    def may_claim(self) -> bool:
        """Return whether decisions may be claimed: a part that is complete need not wait until it is due."""
        return self.whole and self.holds()

    def doubt(self) -> None:
        """Claim nothing more until the store was looked at."""
        self.whole = False
        self.broken.set()
        self.doubted.set()

    def mended(self, token: int | None) -> None:
        """Claim again, if `token` is still the one."""
        if token == self.token:
            self.whole = True
            self.lost_data = False
            self.broken.clear()

    def renewed(self, until_ns: int | None) -> None:
        """Go on until then."""
        self._until_ns = until_ns

    def lost(self) -> None:
        """Signal nothing more."""
        self._lost = True
        self.whole = False


class LeaseKeeper:
    """Gets and keeps one line's lease for this process.

    One that is `alone` waits for nobody when it starts, and goes on while the store is away: only another's token ends
    its tenure. One that shares its lines with a standby lets go in time.
    """

    def __init__(self, line: str, *, holder: str, store: Store, clock: Clock, lease_ms: float, alone: bool) -> None:
        self._line = line
        self._holder = holder
        self._store = store
        self._clock = clock
        self._lease_ns = round(lease_ms * NS_PER_MS)
        self._alone = alone
        self._waits_for_nobody = alone
        self._stands: LeaseRecord | None = None
        """The lease as this process wrote it last; None while it holds none."""
        self._highest = 0
        self._log = get_logger("alerting").bind(line=line)

    async def acquire(self, stop: asyncio.Event) -> Tenure | None:
        """Return once the lease is this process', or None once `stop` is set.

        A process that waits for nobody gets a tenure from a store that is away, too: it may claim nothing yet.
        """
        self._stands = None
        seen: tuple[LeaseRecord | None, int] | None = None
        while not stop.is_set():
            try:
                found = await self._look()
                now_ns = self._clock.monotonic_ns()
                if seen is None or seen[0] != found:
                    seen = (found, now_ns)
                free = found is not None and not found.holder
                if self._waits_for_nobody or free or now_ns - seen[1] >= self._lease_ns * _DRIFT:
                    tenure = Tenure(self._clock, token=0)
                    if await self._take(tenure, found):
                        return tenure
            except StoreError as error:
                if self._waits_for_nobody:
                    self._log.warning("store.away", error=str(error))
                    return Tenure(self._clock, token=0)
                self._log.debug("lease.unknown", error=str(error))
                if seen is not None and seen[0] is None:
                    # Somebody may have taken it, and the store have been emptied again, while nobody here looked.
                    seen = None
            await wait_event(self._clock, stop, self._lease_ns / NS_PER_S / _LOOKS)
        return None

    async def keep(self, tenure: Tenure) -> None:
        """Renew until another process has the lease; ends otherwise by cancellation."""
        lapsed = False
        while True:
            await wait_event(self._clock, tenure.doubted, self._lease_ns / NS_PER_S / _RENEWALS)
            tenure.doubted.clear()
            try:
                if not await self._renew(tenure):
                    tenure.lost()
                    metrics.LEASE_HELD.labels(self._line).set(0)
                    self._waits_for_nobody = False
                    self._log.warning("lease.lost", token=tenure.token)
                    return
            except StoreError as error:
                self._log.debug("lease.unknown", error=str(error))
            if tenure.holds() == lapsed:
                lapsed = not lapsed
                self._log.warning("lease.lapsed" if lapsed else "lease.renewed", token=tenure.token)

    async def release(self, tenure: Tenure) -> None:
        """Let the next one take it at once."""
        tenure.lost()
        metrics.LEASE_HELD.labels(self._line).set(0)
        stands, self._stands = self._stands, None
        if stands is None:
            return
        try:
            free = LeaseRecord("", stands.token, stands.beat + 1)
            await self._store.move_lease(self._line, free, instead_of=stands)
        except StoreError as error:
            self._log.info("lease.not_released", error=str(error))

    async def _renew(self, tenure: Tenure) -> bool:
        """Return False if another process has it."""
        stands, sent_ns = self._stands, self._clock.monotonic_ns()
        if stands is not None:
            to = LeaseRecord(self._holder, stands.token, stands.beat + 1)
            if await self._store.move_lease(self._line, to, instead_of=stands):
                self._stands = to
                self._extend(tenure, sent_ns)
                return True
        found = await self._look()
        if found is not None and stands is not None:
            ours = (found.holder, found.token) == (self._holder, stands.token)
            if ours and found.beat > stands.beat:
                # The answer to an earlier renewal was lost; how long ago it was sent nobody knows here.
                self._stands = found
                tenure.doubted.set()
                return True
            if not ours and found.token >= stands.token:
                return False
        if stands is not None and not tenure.holds():
            # Nobody knows any more who had it before the store lost that.
            return False
        if stands is not None:
            # The store was emptied or set back, and nobody else has had the time to take the lease since.
            tenure.lost_data = True
            self._log.error("store.lost_its_data", remedy="what the decisions topic holds is taken from there")
        if not await self._take(tenure, found):
            tenure.doubted.set()
        return True

    async def _take(self, tenure: Tenure, found: LeaseRecord | None) -> bool:
        stored = 0 if found is None else found.token
        # A store that was emptied remembers no token: what this clock says is above all that were counted up.
        floor = self._clock.utc_ns() // NS_PER_MS if found is None else 0
        to = LeaseRecord(self._holder, max(stored, self._highest, floor) + 1)
        sent_ns = self._clock.monotonic_ns()
        if not await self._store.move_lease(self._line, to, instead_of=found):
            return False
        self._stands, self._highest, tenure.token = to, to.token, to.token
        tenure.whole = False
        tenure.broken.set()
        self._extend(tenure, sent_ns)
        metrics.LEASE_HELD.labels(self._line).set(1)
        self._log.info("lease.taken", token=to.token, before=None if found is None else found.holder)
        return True

    async def _look(self) -> LeaseRecord | None:
        found = await self._store.lease(self._line)
        self._highest = max(self._highest, 0 if found is None else found.token)
        return found

    def _extend(self, tenure: Tenure, sent_ns: int) -> None:
        tenure.renewed(None if self._alone else sent_ns + self._lease_ns)
