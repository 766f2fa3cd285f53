"""Roles by line, waits after wrong passwords, passwords that are too weak: what the console decides without a store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.console.login_guard import FREE, FREE_ADDRESS, LONGEST_S, LoginGuard, keys_of
from alerting.console.passwords import Passwords, check_password, one_time_password
from alerting.console.rights import ALL_LINES, EVERYTHING, Permission, Principal, Role, roles_from, roles_text
from alerting.console.sign_in import _safe_path
from shared.clock import NS_PER_S
from shared.errors import ConfigError

KEYS = keys_of("anna", "10.0.0.7")


@pytest.mark.parametrize("role", Role)
def test_each_role_may_what_those_before_it_may(role: Role) -> None:
    """And nothing that takes a higher one."""
    somebody = Principal("anna", {ALL_LINES: role})
    for permission in Permission:
        assert somebody.may(permission, "line-1") is (role.rank >= permission.needs.rank)


def test_a_role_on_a_line_outdoes_that_on_all_lines() -> None:
    """Up and down; without either there is no right at all."""
    somebody = Principal("anna", {"line-1": Role.ENGINEER, "line-2": Role.VIEWER, ALL_LINES: Role.OPERATOR})
    assert somebody.may(Permission.POLICY, "line-1")
    assert not somebody.may(Permission.ALERTS, "line-2")
    assert somebody.may(Permission.ALERTS, "line-3")
    assert not Principal("bert", {"line-1": Role.ADMIN}).may(Permission.READ, "line-2")


def test_a_scope_bounds_what_a_role_may() -> None:
    """A token of an admin that is for reading reads."""
    token = Principal("anna (token 1)", {ALL_LINES: Role.ADMIN}, frozenset({Permission.READ}))
    assert token.may(Permission.READ, "line-1")
    assert not token.may(Permission.ALERTS, "line-1")
    assert not token.may_administer()


def test_only_admins_of_all_lines_administer() -> None:
    """One who is an admin of a line cannot make themselves one of another."""
    assert Principal("anna", {ALL_LINES: Role.ADMIN}).may_administer()
    assert not Principal("bert", {"line-1": Role.ADMIN}).may_administer()
    assert frozenset(Permission) == EVERYTHING


@given(st.dictionaries(st.sampled_from(["*", "line-1", "line-2"]), st.sampled_from(list(Role)), min_size=1))
def test_roles_are_read_as_they_are_written(roles: dict[str, Role]) -> None:
    """Whatever they are."""
    assert roles_from(roles_text(roles)) == roles


@pytest.mark.parametrize("text", ["", "  ", "boss", "line-1=boss", "line-1="])
def test_what_is_no_role_is_refused(text: str) -> None:
    """The error names those that there are."""
    with pytest.raises(ConfigError, match="operator"):
        roles_from(text)


def test_waits_grow_with_each_wrong_password_up_to_a_bound() -> None:
    """The first few are free, as people mistype."""
    guard, now_ns, waits = LoginGuard(), 0, []
    for _ in range(FREE + 12):
        waits.append(guard.wait_s(KEYS, now_ns))
        now_ns += round(waits[-1] * NS_PER_S)
        guard.failed(KEYS, now_ns)
    assert waits[:FREE] == [0] * FREE
    assert waits[FREE : FREE + 5] == [1, 2, 4, 8, 16]
    assert waits[-1] == LONGEST_S


def test_a_guesser_waits_and_nobody_else() -> None:
    """Neither another user from the same address, nor the same user from another address."""
    guard = LoginGuard()
    for _ in range(FREE):
        guard.failed(KEYS, 0)
    assert guard.wait_s(KEYS, 0) == 1
    assert guard.wait_s(keys_of("bert", "10.0.0.7"), 0) == 0
    assert guard.wait_s(keys_of("anna", "10.0.0.8"), 0) == 0


def test_a_login_of_ones_own_clears_no_address() -> None:
    """A guesser who signs in as themselves between guesses waits all the same."""
    guard = LoginGuard()
    own = keys_of("guesser", "10.0.0.7")
    for index in range(FREE_ADDRESS):
        guard.failed(keys_of(f"user-{index}", "10.0.0.7"), 0)
        guard.failed(own, 0)
        guard.succeeded(own)
    assert guard.wait_s(KEYS, 0) > 0
    assert guard.wait_s(keys_of("guesser", "10.0.0.8"), 0) == 0


def test_the_guard_forgets_after_an_hour_and_holds_no_more_than_it_may() -> None:
    """Many addresses do not fill the memory."""
    guard = LoginGuard()
    for _ in range(FREE):
        guard.failed(KEYS, 0)
    assert guard.wait_s(KEYS, 3_601 * NS_PER_S) == 0
    for index in range(11_000):
        guard.failed(keys_of("anna", f"10.0.{index // 250}.{index % 250}"), 0)
    assert len(guard._tries) == 10_000


@pytest.mark.parametrize("weak", ["short", "anna-anna-anna", "aaaaaaaaaaaaaa", "x" * 300])
def test_weak_passwords_are_refused(weak: str) -> None:
    """Those that are short, hold the name, or repeat a letter."""
    with pytest.raises(ConfigError):
        check_password(weak, name="anna")


async def test_a_password_fits_its_own_hash_alone() -> None:
    """Without a hash none fits, however it is asked."""
    passwords = Passwords()
    kept = await passwords.hash("correct horse battery")
    assert await passwords.fits("correct horse battery", kept)
    assert not await passwords.fits("correct horse batterie", kept)
    assert not await passwords.fits("", "")
    assert not await passwords.fits("anything", "not a hash")


def test_one_time_passwords_differ() -> None:
    """And are long enough to be nobody's guess."""
    made = {one_time_password() for _ in range(100)}
    assert len(made) == 100
    assert {len(password) for password in made} == {19}


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("/alerts?line=line-1", "/alerts?line=line-1"),
        ("//evil.example/x", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nset-cookie: x=y", "/"),
        ("", "/"),
    ],
)
def test_a_sign_in_leads_nowhere_else(path: str, safe: str) -> None:
    """An address of another site, however it is written, is none of ours."""
    assert _safe_path(path) == safe
