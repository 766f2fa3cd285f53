"""The journals of all lines, written off the event loop: a disk that is full, slow or gone stops no gate.

A record is written at once, so that it survives the process (kill -9), and the disk is told to hold it within
`sync_s`, all lines together: a power cut loses that much at most. What cannot be written is said, counted and held, in
order, until it can be; of too much the oldest goes, and the verifier names the gap.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Final

from alerting.line_journal import LineJournal
from shared import metrics
from shared.clock import NS_PER_S, Clock, wait_event
from shared.errors import ConfigError
from shared.ledger.chain import LedgerRecord
from shared.log import get_logger

_HELD: Final = 10_000
_PATIENCE_S: Final = 0.5
"""How long a record waits for its disk: whoever records does not decide, but must not fall behind for ever."""
_AGAIN_S: Final = 1.0
_LAST_S: Final = 5.0


class Journal:
    """Holds and writes the records of `lines` under `folder`."""

    def __init__(
        self, folder: Path, lines: Sequence[str], *, clock: Clock, rotate_bytes: int, sync_s: float, held: int = _HELD
    ) -> None:
        self._clock = clock
        self._sync_ns = round(sync_s * NS_PER_S)
        self._sync_s = sync_s
        self._held = held
        self._journals = {line: LineJournal(folder / line, rotate_bytes=rotate_bytes) for line in lines}
        self._unopened = dict(self._journals)
        self._waiting: Mapping[str, deque[LedgerRecord]] = {line: deque() for line in lines}
        self._newest: dict[str, LedgerRecord] = {}
        self._disk = Lock()
        self._ends = Lock()
        """Held for no longer than a queue is looked at, since the event loop waits for it."""
        self._wake = asyncio.Event()
        self._written = asyncio.Event()
        self._synced_ns = clock.monotonic_ns()
        self.failing = False
        self._log = get_logger("journal")

    def open(self) -> None:
        """Find what the last run left; raises `ConfigError` for a folder that cannot be used as given."""
        try:
            self._open()
        except (PermissionError, NotADirectoryError, FileExistsError) as error:
            raise ConfigError(
                f"the journal cannot be written: {error.strerror}: {error.filename!r}",
                "Give alerting.journal a folder that this process may write.",
            ) from None
        except OSError as error:
            self._failed(error)

    def newest(self, line: str) -> LedgerRecord | None:
        """Return the newest record that was written or waits to be."""
        return self._newest.get(line)

    async def append(self, line: str, record: LedgerRecord) -> None:
        """Return once the record is written, or held because its disk takes nothing."""
        waiting = self._waiting[line]
        waiting.append(record)
        self._newest[line] = record
        if len(waiting) > self._held:
            with self._ends:
                waiting.popleft()
            metrics.JOURNAL_MISSED.labels(line).inc()
        self._wake.set()
        until_ns = self._clock.monotonic_ns() + round(_PATIENCE_S * NS_PER_S)
        while waiting and not self.failing and (left_ns := until_ns - self._clock.monotonic_ns()) > 0:
            await wait_event(self._clock, self._written, left_ns / NS_PER_S)

    async def run(self) -> None:
        """Write and sync what comes; ends when it is cancelled, with all written that can be."""
        try:
            while True:
                await wait_event(self._clock, self._wake, self._sync_s)
                self._wake.clear()
                await self._turn()
                if self.failing:
                    await self._clock.sleep(_AGAIN_S)
        finally:
            self._last()

    async def _turn(self) -> None:
        now_ns = self._clock.monotonic_ns()
        sync = now_ns - self._synced_ns >= self._sync_ns
        try:
            await asyncio.to_thread(self._write)
            if sync:
                self._synced_ns = now_ns
                await asyncio.to_thread(self._sync)
        except OSError as error:
            self._failed(error)
        else:
            self._works()
        written, self._written = self._written, asyncio.Event()
        written.set()

    def _open(self) -> None:
        for line, journal in list(self._unopened.items()):
            found = journal.open()
            del self._unopened[line]
            if found.newest is not None:
                self._newest.setdefault(line, found.newest)
            if found.cut_bytes:
                self._log.warning("journal.torn_record_cut", line=line, cut_bytes=found.cut_bytes)
            if found.damaged:
                self._log.error("journal.damaged", line=line, remedy="linewarden ledger verify says where")

    def _write(self) -> None:
        """Write what waits: a record leaves the queue only once it is in the file."""
        with self._disk:
            self._open()
            for line, waiting in self._waiting.items():
                for _ in range(len(waiting)):
                    with self._ends:
                        if not waiting:
                            break
                        record = waiting[0]
                    self._journals[line].append(record)
                    with self._ends:
                        # It may have been let go meanwhile, to make room.
                        if waiting and waiting[0] is record:
                            waiting.popleft()

    def _sync(self) -> None:
        with self._disk:
            for journal in self._journals.values():
                journal.sync()

    def _last(self) -> None:
        # A write may still be under way in its thread, on a disk that does not answer.
        if not self._disk.acquire(timeout=_LAST_S):
            return
        self._disk.release()
        try:
            while any(self._waiting.values()):
                self._write()
            self._sync()
        except OSError as error:
            self._failed(error)
        for line, waiting in self._waiting.items():
            metrics.JOURNAL_MISSED.labels(line).inc(len(waiting))
        for journal in self._journals.values():
            journal.close()

    def _failed(self, error: OSError) -> None:
        metrics.JOURNAL_FAILING.set(1)
        if not self.failing:
            self._log.error("journal.away", error=str(error), remedy="give its disk room: records are held until then")
        self.failing = True

    def _works(self) -> None:
        metrics.JOURNAL_FAILING.set(0)
        if self.failing:
            self._log.info("journal.back")
        self.failing = False
