"""Who is signed in: sessions on the server, in the store, known by a random cookie of which a fingerprint is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from alerting.console.accounts import User
from alerting.console.desk import AccountDesk
from alerting.console.passwords import fingerprint, new_secret
from alerting.console.rights import Principal
from shared.clock import NS_PER_S, Clock
from shared.console_settings import ConsoleSettings
from shared.errors import StoreError
from shared.log import get_logger
from shared.store.base import Store

_TOUCH_S: Final = 30
_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in of one browser."""

    user: str
    epoch: int
    csrf: str
    began_ns: int
    seen_ns: int


@dataclass(frozen=True, slots=True)
class SignInLink:
    """Who a one-time link signs in, and no other user of that name."""

    user: str
    epoch: int = 0


_SESSION: Final = msgspec.json.Decoder(Session)
_LINK: Final = msgspec.json.Decoder(SignInLink)


class SessionDesk:
    """Begins, finds and ends sessions; raises StoreError."""

    def __init__(self, store: Store, clock: Clock, desk: AccountDesk, settings: ConsoleSettings) -> None:
        self._store = store
        self._clock = clock
        self._desk = desk
        self._idle_s = settings.idle_min * _MINUTE_S
        self._longest_s = settings.session_h * _HOUR_S
        # Not each use is written: what is not known of the last one is a quarter of the idle time at most.
        self._touch_s = min(_TOUCH_S, self._idle_s / 4)

    async def begin(self, user: User) -> str:
        """Return the cookie of a new session."""
        cookie, now_ns = new_secret(), self._clock.utc_ns()
        await self._put(cookie, Session(user.name, user.epoch, new_secret(), now_ns, now_ns))
        return cookie

    async def principal(self, cookie: str) -> Principal | None:
        """Return who a browser's cookie stands for; None once the session is over."""
        value = await self._store.held(_key(cookie))
        if value is None:
            return None
        session, now_ns = _SESSION.decode(value), self._clock.utc_ns()
        user = (await self._desk.accounts()).users.get(session.user)
        idle_s, age_s = (now_ns - session.seen_ns) / NS_PER_S, (now_ns - session.began_ns) / NS_PER_S
        over = idle_s > self._idle_s or age_s > self._longest_s
        if over or user is None or user.disabled or user.epoch != session.epoch:
            await self._store.release(_key(cookie))
            return None
        if idle_s > self._touch_s:
            await self._touch(cookie, replace(session, seen_ns=now_ns))
        return Principal(
            user.name, user.roles, csrf=session.csrf, session=cookie, must_change_password=user.must_change
        )

    async def end(self, cookie: str) -> None:
        """End a session."""
        await self._store.release(_key(cookie))

    async def sign_in_link(self, user: str, *, ttl_s: int) -> str:
        """Return the key of a link that signs a user in, once; ConfigError for one that there is not."""
        key, epoch = new_secret(), (await self._desk.accounts()).user(user).epoch
        await self._store.hold(_link(key), msgspec.json.encode(SignInLink(user, epoch)), ttl_s=ttl_s)
        return key

    async def use_link(self, key: str) -> User | None:
        """Return who a link signs in; None for one that was used, or never made."""
        value = await self._store.held(_link(key))
        if value is None or not await self._store.release(_link(key)):
            return None
        link = _LINK.decode(value)
        user = (await self._desk.accounts()).users.get(link.user)
        return None if user is None or user.disabled or user.epoch != link.epoch else user

    async def _touch(self, cookie: str, session: Session) -> None:
        # A store that is full, or gone this moment, takes no page away; the session's time then goes on from before.
        try:
            await self._put(cookie, session, again=True)
        except StoreError as error:
            get_logger("console").warning("store.away", error=str(error))

    async def _put(self, cookie: str, session: Session, *, again: bool = False) -> None:
        # Again: a session that was ended meanwhile stays ended.
        left_s = self._longest_s - (self._clock.utc_ns() - session.began_ns) / NS_PER_S
        ttl_s = max(1, math.ceil(min(self._idle_s + self._touch_s, left_s)))
        await self._store.hold(_key(cookie), msgspec.json.encode(session), ttl_s=ttl_s, again=again)


def _key(cookie: str) -> str:
    return f"console-session.{fingerprint(cookie)}"


def _link(key: str) -> str:
    return f"console-link.{fingerprint(key)}"
