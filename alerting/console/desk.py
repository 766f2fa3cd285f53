"""Users and API tokens in the store: each change by compare-and-set, and in the audit."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from alerting.console.accounts import Accounts, ApiToken, User, check_name, decode_accounts, encode_accounts
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


class AccountDesk:
    """Reads and changes what is kept; raises StoreError, or ConfigError for what cannot be asked."""

    def __init__(self, store: Store, clock: Clock, passwords: Passwords, audit: Audit) -> None:
        self._store = store
        self._clock = clock
        self._passwords = passwords
        self._audit = audit

    async def accounts(self) -> Accounts:
        """Return all users and tokens."""
        return decode_accounts(await self._store.kept(_NAME))

    async def first_password(self) -> str | None:
        """Make the first admin, where there is none, and return the one-time password: it is never to be had again."""
        if _governed(await self.accounts()):
            return None
        password = one_time_password()
        kept = await self._passwords.hash(password)
        first = User(FIRST_USER, {ALL_LINES: Role.ADMIN}, kept, must_change=True, created_ns=self._clock.utc_ns())
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
        now_ns = self._clock.utc_ns()

        def change(accounts: Accounts) -> Accounts:
            if name in accounts.users:
                raise ConfigError(f"there is a user {name!r} already", "Choose another name, or change that one.")
            return accounts.with_user(User(name, dict(roles), kept, must_change=True, created_ns=now_ns))

        await self._change(change, by, "user created", name, new=roles_text(roles))
        return password

    async def add_guest(self, name: str, roles: Mapping[str, Role], *, why: str) -> None:
        """Make, or renew, a user who signs in by a one-time link alone."""
        now_ns = self._clock.utc_ns()
        guest = User(check_name(name), dict(roles), "", created_ns=now_ns)
        await self._change(lambda old: old.with_user(guest), "console", "guest created", name, why=why)

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
            renewed = replace(user, password_hash=kept, must_change=True, epoch=user.epoch + 1)
            return accounts.with_user(renewed)

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
            return accounts.with_user(replace(user, password_hash=kept, must_change=False, epoch=user.epoch + 1))

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
