"""Who may do what on which line. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from shared.errors import ConfigError

ALL_LINES: Final = "*"


class Role(StrEnum):
    """What somebody is on a line; each role may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Return a number that grows with the rights."""
        return list(Role).index(self)


class Permission(StrEnum):
    """What can be done, and the scope that an API token needs for it."""

    READ = "read"
    ALERTS = "alerts"
    REVIEW = "review"
    CONFIRM = "confirm"
    POLICY = "policy"
    USERS = "users"

    @property
    def needs(self) -> Role:
        """Return the least role that may."""
        return _NEEDS[self]


_NEEDS: Final = {
    Permission.READ: Role.VIEWER,
    Permission.ALERTS: Role.OPERATOR,
    Permission.REVIEW: Role.OPERATOR,
    Permission.CONFIRM: Role.ENGINEER,
    Permission.POLICY: Role.ENGINEER,
    Permission.USERS: Role.ADMIN,
}
EVERYTHING: Final = frozenset(Permission)


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who asks: a person, or a program with a token.

    `roles` are by line, `*` for those that are not named. `scopes` bound what a token may do of it. `csrf` is what a
    browser must send along with every change, empty for a token, which no browser sends by itself.
    """

    name: str
    roles: Mapping[str, Role]
    scopes: frozenset[Permission] = EVERYTHING
    csrf: str = ""
    session: str = field(default="", repr=False)
    must_change_password: bool = False

    def role_on(self, line: str) -> Role | None:
        """Return the role on a line; None for no right at all."""
        return self.roles.get(line, self.roles.get(ALL_LINES))

    def may(self, permission: Permission, line: str) -> bool:
        """Return whether they may do it on a line."""
        role = self.role_on(line)
        return permission in self.scopes and role is not None and role.rank >= permission.needs.rank

    def may_administer(self) -> bool:
        """Return whether they may change users: that is for admins of all lines."""
        return Permission.USERS in self.scopes and self.roles.get(ALL_LINES) is Role.ADMIN


def roles_from(text: str) -> dict[str, Role]:
    """Read `operator`, or `line-1=operator,*=viewer`; ConfigError for anything else."""
    roles: dict[str, Role] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        line, equals, role = word.partition("=")
        name, said = (line.strip(), role.strip()) if equals else (ALL_LINES, word)
        try:
            roles[name] = Role(said)
        except ValueError:
            known = ", ".join(Role)
            raise ConfigError(f"{said!r} is no role", f"Known: {known}; by line as line-1=operator,*=viewer.") from None
    if not roles:
        raise ConfigError("no role is given", "Write operator, or by line line-1=operator,*=viewer.")
    return roles


def roles_text(roles: Mapping[str, Role]) -> str:
    """Return roles as `roles_from` reads them."""
    return ",".join(role if line == ALL_LINES else f"{line}={role}" for line, role in sorted(roles.items()))


def scopes_from(names: list[str]) -> frozenset[Permission]:
    """Read a token's scopes; ConfigError for an unknown one, or for none."""
    try:
        scopes = frozenset(Permission(name) for name in names)
    except ValueError as error:
        raise ConfigError(f"{error}", f"Known scopes: {', '.join(Permission)}.") from None
    if not scopes:
        raise ConfigError("a token needs a scope", f"Known scopes: {', '.join(Permission)}.")
    return scopes
