"""Users and API tokens in the store: each change by compare-and-set, and in the audit."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from alerting.console.accounts import (
    Accounts,
    ApiToken,
    User,
    check_name,
    decode_accounts,
    encode_accounts,
    new_epoch,
)
from alerting.console.audit import Audit
from alerting.console.passwords import Passwords, check_password, fingerprint, new_secret, one_time_password
from alerting.console.rights import ALL_LINES, Permission, Principal, Role, roles_text
from shared.clock import NS_PER_S, Clock
from shared.errors import ConfigError
from shared.store.base import Store

TOKEN_PREFIX: Final = "lwt_"  # noqa: S105 - how tokens begin, so that a leak is recognised
FIRST_USER: Final = "admin"
_NAME: Final = "console-accounts"
_DAY_NS: Final = 86_400 * NS_PER_S
_HOUR_NS: Final = 3_600 * NS_PER_S


class AccountDesk:
    """Reads and changes what is kept; raises StoreError, or ConfigError for what cannot be asked."""

    def __init__(self, store: Store, clock: Clock, passwords: Passwords, audit: Audit, *, one_time_h: float) -> None:
        self._store = store
        self._clock = clock
        self._passwords = passwords
        self._audit = audit
        self._one_time_ns = round(one_time_h * _HOUR_NS)
        self._known: tuple[bytes | None, Accounts] = (None, Accounts())
        self._looked_ns: int | None = None
        self._looking = asyncio.Lock()

    async def accounts(self) -> Accounts:
        """Return all users and tokens: the same object as before, where nothing was changed."""
        value = await self._store.kept(_NAME)
        if value != self._known[0]:
            self._known = (value, decode_accounts(value))
        self._looked_ns = self._clock.monotonic_ns()
        return self._known[1]

    async def recent(self) -> Accounts:
        """Return them as they were at most a second ago: however many ask, the store is asked once a second."""
        if self._stale():
            async with self._looking:
                if self._stale():
                    return await self.accounts()
        return self._known[1]

    def _stale(self) -> bool:
        return self._looked_ns is None or self._clock.monotonic_ns() - self._looked_ns > NS_PER_S

    async def first_password(self) -> str | None:
        """Make the first admin, where there is none, and return the one-time password: it is never to be had again."""
        if _governed(await self.accounts()):
            return None
        password = one_time_password()
        kept = await self._passwords.hash(password)
        first = self._new(FIRST_USER, {ALL_LINES: Role.ADMIN}, kept)
        await self._note("console", "user created", FIRST_USER, new="admin", why="there was no admin")
        while True:
            before = await self._store.kept(_NAME)
            accounts = decode_accounts(before)
            if _governed(accounts):
                return None
            if await self._store.keep(_NAME, encode_accounts(accounts.with_user(first)), instead_of=before):
                return password

    async def add_user(self, name: str, roles: Mapping[str, Role], *, by: str) -> str:
        """Make a user, and return their one-time password."""
        check_name(name)
        password = one_time_password()
        kept = await self._passwords.hash(password)

        def change(accounts: Accounts) -> Accounts:
            if name in accounts.users:
                raise ConfigError(f"there is a user {name!r} already", "Choose another name, or change that one.")
            return accounts.with_user(self._new(name, roles, kept))

        await self._change(change, by, "user created", name, new=roles_text(roles))
        return password

    async def add_guest(self, name: str, roles: Mapping[str, Role], *, why: str) -> None:
        """Make a user who signs in by a one-time link alone, or give one other roles; not one who has a password."""
        check_name(name)
        new = User(name, dict(roles), created_ns=self._clock.utc_ns(), epoch=new_epoch())

        def change(accounts: Accounts) -> Accounts:
            before = accounts.users.get(name, new)
            if before.password_hash:
                raise ConfigError(f"the user {name!r} has a password, and is no guest", "Choose another name.")
            return accounts.with_user(replace(before, roles=dict(roles)))

        await self._change(change, "console", "guest created", name, why=why)

    async def spend(self, name: str, password_hash: str) -> User | None:
        """Return who signs in by their password, which was checked; None where a one-time one is good no more."""
        while True:
            before = await self._store.kept(_NAME)
            accounts = decode_accounts(before)
            user = accounts.users.get(name)
            if user is None or user.disabled or user.password_hash != password_hash:
                return None
            if not user.may_use_password(self._clock.utc_ns()):
                return None
            if not user.must_change:
                return user
            spent = replace(user, spent=True)
            if await self._store.keep(_NAME, encode_accounts(accounts.with_user(spent)), instead_of=before):
                return spent

    async def set_roles(self, name: str, roles: Mapping[str, Role], *, by: str) -> None:
        """Give a user other roles; the last admin stays one."""
        old = (await self.accounts()).user(name)

        def change(accounts: Accounts) -> Accounts:
            return _still_governed(accounts.with_user(replace(accounts.user(name), roles=dict(roles))))

        await self._change(change, by, "roles changed", name, old=roles_text(old.roles), new=roles_text(roles))

    async def set_disabled(self, name: str, *, disabled: bool, by: str) -> None:
        """Keep a user out, at once and everywhere, or let them in again."""

        def change(accounts: Accounts) -> Accounts:
            user = accounts.user(name)
            return _still_governed(accounts.with_user(replace(user, disabled=disabled, epoch=user.epoch + 1)))

        await self._change(change, by, "user disabled" if disabled else "user enabled", name)

    async def reset_password(self, name: str, *, by: str) -> str:
        """End a user's sessions, and return a one-time password."""
        password = one_time_password()
        kept = await self._passwords.hash(password)

        def change(accounts: Accounts) -> Accounts:
            user = accounts.user(name)
            renewed = self._new(name, user.roles, kept)
            return accounts.with_user(
                replace(renewed, disabled=user.disabled, epoch=user.epoch + 1, created_ns=user.created_ns)
            )

        await self._change(change, by, "password reset", name)
        return password

    async def change_password(self, name: str, new: str) -> None:
        """Take a user's own new password, whose old one was checked; their other sessions end."""
        check_password(new, name=name)
        if await self._passwords.fits(new, (await self.accounts()).user(name).password_hash):
            raise ConfigError("this is the password that you have", "Choose another one.")
        kept = await self._passwords.hash(new)

        def change(accounts: Accounts) -> Accounts:
            user = accounts.user(name)
            return accounts.with_user(
                replace(user, password_hash=kept, must_change=False, spent=False, expires_ns=0, epoch=user.epoch + 1)
            )

        await self._change(change, name, "password changed", name)

    async def remove_user(self, name: str, *, by: str) -> None:
        """Remove a user with their tokens."""
        (await self.accounts()).user(name)
        await self._change(lambda old: _still_governed(old.without_user(name)), by, "user removed", name)

    async def add_token(
        self, owner: str, scopes: frozenset[Permission], what_for: str, *, days: int | None, by: str
    ) -> tuple[str, ApiToken]:
        """Make a token, and return it: only its fingerprint is kept."""
        secret = TOKEN_PREFIX + new_secret()
        now_ns = self._clock.utc_ns()
        expires_ns = 0 if days is None else now_ns + days * _DAY_NS
        token = ApiToken(secrets.token_hex(4), fingerprint(secret), owner, scopes, what_for[:200], now_ns, expires_ns)

        def change(accounts: Accounts) -> Accounts:
            accounts.user(owner)
            return accounts.with_token(token)

        said = f"{owner}: {', '.join(sorted(scopes))}"
        await self._change(change, by, "token created", token.id, new=said, why=what_for)
        return secret, token

    async def revoke_token(self, token_id: str, *, by: str) -> None:
        """End a token."""
        await self._change(lambda old: old.without_token(token_id), by, "token revoked", token_id)

    async def principal_of(self, secret: str) -> Principal | None:
        """Return who a token acts for; None for one that does not count."""
        wanted, now_ns = fingerprint(secret), self._clock.utc_ns()
        accounts = await self.accounts()
        for token in accounts.tokens.values():
            if secrets.compare_digest(token.fingerprint, wanted) and token.valid_at(now_ns):
                user = accounts.users.get(token.owner)
                if user is None or user.disabled:
                    return None
                return Principal(f"{user.name} (token {token.id})", user.roles, token.scopes)
        return None

    def _new(self, name: str, roles: Mapping[str, Role], password_hash: str) -> User:
        """Return a user with a one-time password."""
        now_ns = self._clock.utc_ns()
        return User(
            name,
            dict(roles),
            password_hash,
            must_change=True,
            epoch=new_epoch(),
            created_ns=now_ns,
            expires_ns=now_ns + self._one_time_ns,
        )

    async def _change(
        self,
        change: Callable[[Accounts], Accounts],
        by: str,
        what: str,
        subject: str,
        *,
        old: str = "",
        new: str = "",
        why: str = "",
    ) -> None:
        noted = False
        while True:
            before = await self._store.kept(_NAME)
            after = encode_accounts(change(decode_accounts(before)))
            if not noted:
                await self._note(by, what, subject, old=old, new=new, why=why)
                noted = True
            if await self._store.keep(_NAME, after, instead_of=before):
                return

    async def _note(self, by: str, what: str, subject: str, *, old: str = "", new: str = "", why: str = "") -> None:
        await self._audit.note(by, what, subject, at_ns=self._clock.utc_ns(), old=old, new=new, why=why)


def _governed(accounts: Accounts) -> bool:
    """Return whether somebody may change users."""
    admins = (user for user in accounts.users.values() if user.roles.get(ALL_LINES) is Role.ADMIN)
    return any(not user.disabled for user in admins)


def _still_governed(accounts: Accounts) -> Accounts:
    """Return them, if somebody may still change them."""
    if not _governed(accounts):
        raise ConfigError("nobody would be an admin of all lines any more", "Make another user one first.")
    return accounts
