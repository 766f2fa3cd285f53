"""Live updates: one reader for each line feeds all browsers, and what comes within 100 ms is sent once to each.

All browsers read from one bounded list of messages: a browser that is slower than it, or was away for longer, is given
a snapshot of what there is, and costs no memory meanwhile. While nobody looks on, nothing is read.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final

from alerting.console.follower import RIBBON, LineFollower
from alerting.console.views import LineCard, dot, line_card, unreadable_card
from shared.clock import NS_PER_S, Clock, wait_event
from shared.errors import StoreError
from shared.log import get_logger
from shared.settings import LineSettings
from shared.store.base import Store

GATHER_S: Final = 0.1
MOST_WATCHERS: Final = 200
MOST_EACH: Final = 10
"""So many pages of one user or token look on at a time."""
_AWAY_S: Final = 1.0
_ALIVE_S: Final = 15.0
_FRESH_NS: Final = NS_PER_S
_MOST_MESSAGES: Final = 4_096
_MOST_BYTES: Final = 8 * 1024 * 1024
_MOST_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """What all browsers that may see `line` are told: the text of a server-sent event without its id."""

    number: int
    line: str
    event: bytes


class Hub:
    """Follows lines while somebody looks on."""

    def __init__(self, lines: tuple[LineSettings, ...], store: Store, clock: Clock, *, history: int) -> None:
        # Numbers of all lines at once would have a browser draw its whole page at once.
        self._followers = {
            line.name: LineFollower(line, store, clock, history=history, turn=index / len(lines))
            for index, line in enumerate(lines)
        }
        self._store = store
        self._clock = clock
        # Numbers of another process, or of this one before a restart, are not this one's.
        self._era = secrets.token_hex(4)
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._number = 0
        self._told: dict[str, dict[str, Any]] = {}
        self._unreadable: set[tuple[str, str]] = set()
        self._looked_ns: int | None = None
        self._looking = asyncio.Lock()
        self._news = asyncio.Event()
        self._wanted = asyncio.Event()
        self._closed = False
        self._watching_each: Counter[str] = Counter()
        self.watchers = 0
        self.away = ""
        self._log = get_logger("console")

    @property
    def lines(self) -> Mapping[str, LineFollower]:
        """Return what is known of each line."""
        return self._followers

    async def run(self) -> None:
        """Read while somebody looks on; ends when it is cancelled."""
        while True:
            await self._wanted.wait()
            try:
                await self.look()
            except StoreError as error:
                if not self.away:
                    self._log.warning("store.away", error=str(error))
                    self._say_all("away", {"away": True})
                self.away = str(error)
                await self._clock.sleep(_AWAY_S)
            else:
                if self.away:
                    self.away = ""
                    self._say_all("away", {"away": False})
            await self._clock.sleep(GATHER_S)

    async def look(self) -> None:
        """Read what is new of every line, and tell it; raises StoreError."""
        async with self._looking:
            await self._look()

    async def fresh(self) -> None:
        """Return once what is known is at most a second old; raises StoreError."""
        if self._stale():
            async with self._looking:
                # Many browsers that come at once look once.
                if self._stale():
                    await self._look()

    def close(self) -> None:
        """Let every stream end."""
        self._closed = True
        self._ring()

    def is_full(self, who: str) -> bool:
        """Return whether no more pages may look on, at all or of this user or token."""
        return self.watchers >= MOST_WATCHERS or self._watching_each[who] >= MOST_EACH

    async def stream(
        self, may: Callable[[str], bool], last_id: str = "", *, who: str = ""
    ) -> AsyncGenerator[bytes, None]:
        """Yield server-sent events of the lines that somebody may see, from `last_id` on or from a snapshot.

        An empty chunk says that nothing came for a while. It ends at once where `who` looks on too often already.
        """
        if who and self.is_full(who):
            return
        with self._watching(who):
            place, sent_ns = self._resume(last_id), self._clock.monotonic_ns()
            while not self._closed:
                news, chunk = self._news, b""
                if place is None or place < self._floor():
                    answered = await self.fresh_or_away()
                    place = self._number
                    chunk = self._snapshot(may, place, away=bool(self.away) or not answered)
                else:
                    chunk, place = self._chunk(may, place)
                left_s = _ALIVE_S - (self._clock.monotonic_ns() - sent_ns) / NS_PER_S
                # What others are told keeps nobody's stream alive.
                if chunk or left_s <= 0 or not await wait_event(self._clock, news, left_s):
                    yield chunk
                    sent_ns = self._clock.monotonic_ns()

    async def fresh_or_away(self) -> bool:
        """Make what is known fresh; return whether the store answered."""
        try:
            await self.fresh()
        except StoreError:
            return False
        return True

    @contextmanager
    def _watching(self, who: str) -> Iterator[None]:
        self.watchers += 1
        self._watching_each[who] += 1
        self._wanted.set()
        try:
            yield
        finally:
            self.watchers -= 1
            self._watching_each[who] -= 1
            if not self._watching_each[who]:
                del self._watching_each[who]
            if not self.watchers:
                self._wanted.clear()

    async def _look(self) -> None:
        try:
            await self._look_at_each()
        finally:
            # Once for all lines: a browser that hears of each by itself draws its page for each.
            self._ring()

    async def _look_at_each(self) -> None:
        for name, follower in self._followers.items():
            try:
                parts = await follower.parts()
                rested = await follower.rest()
                if follower.began_anew:
                    self._begin_anew()
                self._tell(follower, [asdict(dot(entry)) for entry in parts[-RIBBON:]], numbers=rested)
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001 - of one line: other lines' pages go on, and of it what is known stays
                self._cannot_read(name, "line", error)
                continue
            self._unreadable.discard((name, "line"))
        self._looked_ns = self._clock.monotonic_ns()

    def card(self, follower: LineFollower) -> LineCard:
        """Return what the wall shows of a line, and that nothing can be shown where what is kept is damaged."""
        name = follower.line.name
        try:
            card = line_card(follower, self._clock.utc_ns())
        except Exception as error:  # noqa: BLE001 - whatever is kept of one line, the others' pages go on
            self._cannot_read(name, "card", error)
            return unreadable_card(follower)
        self._unreadable.discard((name, "card"))
        return card

    def _card(self, follower: LineFollower) -> dict[str, Any]:
        """Return what the wall shows, and what other pages follow."""
        revisions = {"alerts_revision": _revision(follower), "review_revision": follower.said}
        return {**self.card(follower).to_json(), **revisions}

    def _cannot_read(self, name: str, what: str, error: Exception) -> None:
        if (name, what) not in self._unreadable:
            self._log.warning("store.unreadable", line=name, where=what, error=f"{type(error).__name__}: {error}")
        self._unreadable.add((name, what))

    def _stale(self) -> bool:
        return self._looked_ns is None or self._clock.monotonic_ns() - self._looked_ns > _FRESH_NS

    def _tell(self, follower: LineFollower, parts: list[dict[str, Any]], *, numbers: bool) -> None:
        """Tell parts at once, and the numbers about them as often as they are read: nobody reads faster."""
        name = follower.line.name
        if not numbers:
            if parts:
                self._say("line", name, {"line": name, "card": {}, "parts": parts})
            return
        card = self._card(follower)
        before = self._told.get(name, {})
        changed = {key: value for key, value in card.items() if before.get(key) != value}
        self._told[name] = card
        if parts or changed:
            # More than a ribbon's worth is a first look, or a browser's own snapshot holds it.
            self._say("line", name, {"line": name, "card": changed, "parts": parts})

    def _say_all(self, kind: str, value: dict[str, Any]) -> None:
        self._say(kind, "", value)
        self._ring()

    def _say(self, kind: str, line: str, value: dict[str, Any]) -> None:
        self._number += 1
        message = Message(self._number, line, _event(kind, value))
        self._messages.append(message)
        self._bytes += len(message.event)
        while len(self._messages) > _MOST_MESSAGES or self._bytes > _MOST_BYTES:
            self._bytes -= len(self._messages.popleft().event)

    def _ring(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _resume(self, last_id: str) -> int | None:
        era, _, number = last_id.partition("-")
        if era != self._era or not number.isdecimal() or int(number) > self._number:
            return None
        return int(number)

    def _floor(self) -> int:
        """Return the first place from which all that came since is kept."""
        return self._messages[0].number - 1 if self._messages else self._number

    def _begin_anew(self) -> None:
        """Let every browser be given a snapshot: what it shows is nothing any more."""
        self._number += 1
        self._messages.clear()
        self._bytes = 0
        self._ring()

    def _chunk(self, may: Callable[[str], bool], place: int) -> tuple[bytes, int]:
        """Return what somebody is told next, no more than fits into a chunk, and the place behind it."""
        pieces: list[bytes] = []
        size = 0
        for message in islice(self._messages, max(0, len(self._messages) - (self._number - place)), None):
            if not message.line or may(message.line):
                framed = self._framed(message)
                if pieces and size + len(framed) > _MOST_CHUNK:
                    break
                pieces.append(framed)
                size += len(framed)
            place = message.number
        return b"".join(pieces), place

    def _framed(self, message: Message) -> bytes:
        return b"id: %s-%d\n%s" % (self._era.encode(), message.number, message.event)

    def _snapshot(self, may: Callable[[str], bool], place: int, *, away: bool) -> bytes:
        lines = [
            {
                "line": name,
                "card": self._card(follower),
                "parts": [asdict(dot(entry)) for entry in follower.ribbon],
            }
            for name, follower in self._followers.items()
            if may(name)
        ]
        event = _event("snapshot", {"lines": lines, "away": away})
        return b"id: %s-%d\n%s" % (self._era.encode(), place, event)


def _event(kind: str, value: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


def _revision(follower: LineFollower) -> str:
    """Return what changes whenever an alert or what was done about it does."""
    told = sum(alert.last_ns + alert.cleared_ns + alert.count for alert in follower.standing.values())
    deeds = [*follower.handling.acknowledged.values(), *follower.handling.shelved.values()]
    return f"{told}.{len(follower.standing)}.{max((deed.at_ns for deed in deeds), default=0)}"
