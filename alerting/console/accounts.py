"""What is kept of users and API tokens: one document, changed as a whole. Pure."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from alerting.console.rights import Permission, Role
from shared.errors import ConfigError, StoreError

FORMAT: Final = 1
MOST: Final = 1_000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,30}")


@dataclass(frozen=True, slots=True)
class User:
    """A person. `epoch` grows when all their sessions are to end; without a hash nobody signs in by a password.

    It begins anywhere: what was signed in for one who had the name before counts for nobody. A password that
    `must_change` is good for one sign-in, until `expires_ns` (0: no end).
    """

    name: str
    roles: dict[str, Role]
    password_hash: str = ""
    must_change: bool = False
    disabled: bool = False
    epoch: int = 0
    created_ns: int = 0
    expires_ns: int = 0
    spent: bool = False

    def may_use_password(self, now_ns: int) -> bool:
        """Return whether the right password signs them in: a one-time one does so once, in its time."""
        return not self.must_change or not (self.spent or 0 < self.expires_ns <= now_ns)


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A program's token: it may do what its `owner` may, within `scopes`. Only a fingerprint of it is kept."""

    id: str
    fingerprint: str
    owner: str
    scopes: frozenset[Permission]
    what_for: str
    created_ns: int
    expires_ns: int = 0

    def valid_at(self, now_ns: int) -> bool:
        """Return whether it still counts."""
        return not self.expires_ns or now_ns < self.expires_ns


@dataclass(frozen=True, slots=True)
class Accounts:
    """All of them."""

    users: Mapping[str, User] = field(default_factory=dict)
    tokens: Mapping[str, ApiToken] = field(default_factory=dict)
    format: int = FORMAT

    def user(self, name: str) -> User:
        """Return a user; ConfigError for one that there is not."""
        found = self.users.get(name)
        if found is None:
            raise ConfigError(f"there is no user {name!r}", f"Known: {', '.join(sorted(self.users)) or 'none'}.")
        return found

    def with_user(self, user: User) -> Accounts:
        """Return them with one user as given."""
        if user.name not in self.users and len(self.users) >= MOST:
            raise ConfigError(f"there are {MOST} users already", "Remove those who are gone.")
        return Accounts({**self.users, user.name: user}, self.tokens)

    def without_user(self, name: str) -> Accounts:
        """Return them without a user and that user's tokens."""
        self.user(name)
        users = {key: user for key, user in self.users.items() if key != name}
        return Accounts(users, {key: token for key, token in self.tokens.items() if token.owner != name})

    def with_token(self, token: ApiToken) -> Accounts:
        """Return them with one token more."""
        if len(self.tokens) >= MOST:
            raise ConfigError(f"there are {MOST} tokens already", "Revoke those that nobody uses.")
        return Accounts(self.users, {**self.tokens, token.id: token})

    def without_token(self, token_id: str) -> Accounts:
        """Return them with a token revoked; ConfigError for one that there is not."""
        if token_id not in self.tokens:
            raise ConfigError(f"there is no token {token_id!r}", "`linewarden console tokens list` names them.")
        return Accounts(self.users, {key: token for key, token in self.tokens.items() if key != token_id})


def new_epoch() -> int:
    """Return an epoch that no user had before."""
    return secrets.randbits(62)


def check_name(name: str) -> str:
    """Return a user's name; ConfigError for one that cannot be one."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name[:40]!r} cannot be a user's name", "Use small letters, digits, dots and dashes: anna.b"
        )
    return name


_DECODER: Final = msgspec.json.Decoder(Accounts)


def encode_accounts(accounts: Accounts) -> bytes:
    """Return the document."""
    return msgspec.json.encode(accounts)


def decode_accounts(value: bytes | None) -> Accounts:
    """Read the document; StoreError for one that is damaged or newer: nobody signs in by guesswork."""
    if value is None:
        return Accounts()
    try:
        accounts = _DECODER.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(f"the console's users cannot be read: {error}", "Restore kept:console-accounts.") from None
    if accounts.format > FORMAT:
        raise StoreError(f"the console's users have format {accounts.format}", "Update this console.")
    return accounts
