"""Passwords: argon2 away from the event loop, one-time ones, and which are too weak."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared.errors import ConfigError

SHORTEST: Final = 10
LONGEST: Final = 256
# 19 MiB and two rounds on one lane (OWASP's least for argon2id): logging in takes no more than one core for some 30 ms.
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# What a password is held against where there is no such user, so that both take the same time.
_NOBODY: Final = "$argon2id$v=19$m=19456,t=2,p=1$BP6b/odB7WtG1+zH/74XoA$4n7qfXAJP8durQW/A4GAEMJd6Vb3v1PtK7Eg6KcurW8"
_WORDS: Final = "abcdefghjkmnpqrstuvwxyz23456789"


class Passwords:
    """Hashes and checks, one at a time: many who log in at once wait for each other, and not the gate for them."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)

    async def hash(self, password: str) -> str:
        """Return the hash to keep."""
        async with self._turn:
            return await asyncio.to_thread(_HASHER.hash, password)

    async def fits(self, password: str, kept: str) -> bool:
        """Return whether it is the password; an empty `kept` is nobody's, and takes as long."""
        async with self._turn:
            return await asyncio.to_thread(_verified, password, kept or _NOBODY) and bool(kept)


def check_password(password: str, *, name: str) -> None:
    """Raise ConfigError for a password that is too weak to be chosen."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ConfigError(f"a password has {SHORTEST} to {LONGEST} letters", "A sentence is easy to remember.")
    if name.lower() in password.lower() or len(set(password)) < SHORTEST // 2:
        raise ConfigError("this password is too easy to guess", "Leave your name out, and use different letters.")


def one_time_password() -> str:
    """Return a password of 79 bits that can be read aloud: `abcd-efgh-jkmn-pqrs`."""
    return "-".join("".join(secrets.choice(_WORDS) for _ in range(4)) for _ in range(4))


def new_secret() -> str:
    """Return a secret of 256 bits, for tokens and sessions."""
    return secrets.token_urlsafe(32)


def fingerprint(secret: str) -> str:
    """Return what is kept of a random secret: nobody who reads the store can use it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _verified(password: str, kept: str) -> bool:
    try:
        return _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False
