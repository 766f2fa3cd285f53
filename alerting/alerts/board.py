"""The alerts of all lines, from where they happen to the store."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from typing import Final

from alerting.alerts.desk import AlertDesk, AlertLimits, Told
from shared import metrics
from shared.alerts import AlertState, Handling, Severity, state_of
from shared.clock import Clock
from shared.log import get_logger
from shared.store.base import Alert, Store

_NOTED: Final = 1_000


class AlertBoard:
    """Takes alerts at once, and writes what comes of them when it is told to."""

    def __init__(self, store: Store, clock: Clock, limits: AlertLimits) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._noted: dict[str, deque[Alert]] = defaultdict(lambda: deque(maxlen=_NOTED))
        self._unwritten: dict[str, deque[Told]] = defaultdict(deque)
        self._desks: dict[str, AlertDesk] = {}
        self._handling: dict[str, Handling] = {}
        self._writing: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._log = get_logger("alerts")

    def note(self, alert: Alert) -> None:
        """Take an alert; nothing is lost of it while the store is away, but of too many the oldest."""
        self._noted[alert.line].append(alert)

    async def flush(self, line: str) -> None:
        """Write what was noted of a line; may be repeated, and raises `StoreError` while the store is away."""
        async with self._writing[line]:
            desk = await self._desk(line)
            noted = self._noted[line]
            while noted:
                alert = noted.popleft()
                self._took(desk.happened(alert, alert.at_ns or self._clock.utc_ns(), self._handling[line]))
            await self._write(line)

    async def tick(self, line: str) -> None:
        """Let time go by for a line's alerts, with what operators did meanwhile; raises like `flush`."""
        await self.flush(line)
        async with self._writing[line]:
            desk = await self._desk(line)
            handling = self._handling[line] = await self._store.alert_handling(line)
            now_ns = self._clock.utc_ns()
            self._took(desk.tick(now_ns, handling))
            await self._write(line)
            for severity in Severity:
                unseen = sum(
                    alert.severity is severity and state_of(alert, handling, now_ns) is AlertState.OPEN
                    for alert in desk.standing.values()
                )
                metrics.ALERTS_OPEN.labels(line, severity.value).set(unseen)

    def _took(self, told: list[Told]) -> None:
        for one in told:
            self._unwritten[one.standing.line].append(one)

    async def _write(self, line: str) -> None:
        unwritten = self._unwritten[line]
        while unwritten:
            one = unwritten[0]
            await self._store.put_alert(one.standing, told=one.alert)
            unwritten.popleft()
            if one.alert is not None:
                severity = Severity(one.alert.severity)
                metrics.ALERTS_TOLD.labels(line, one.alert.kind, severity.value).inc()
                say = self._log.warning if severity is not Severity.INFO else self._log.info
                say("alert.told", line=line, kind=one.alert.kind, subject=one.alert.subject, text=one.alert.text)

    async def _desk(self, line: str) -> AlertDesk:
        desk = self._desks.get(line)
        if desk is None:
            # What the last process told is not told again.
            standing = await self._store.standing_alerts(line)
            self._handling[line] = await self._store.alert_handling(line)
            desk = self._desks[line] = AlertDesk(line, self._limits, standing)
        return desk
