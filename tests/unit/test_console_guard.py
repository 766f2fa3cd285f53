"""Who has to wait after wrong passwords, and from where somebody asks."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from alerting.console.login_guard import FREE, FREE_ADDRESS, FREE_USER, LoginGuard, keys_of
from alerting.console.visitors import visitor
from shared.clock import NS_PER_S
from shared.errors import ConfigError
from tests.consoles import PASSWORD, console_settings, hall, sign_in

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def test_one_address_has_so_many_tries_for_all_users() -> None:
    """Whoever tries one password with each name waits, too."""
    guard = LoginGuard()
    for index in range(FREE_ADDRESS):
        keys = keys_of(f"user-{index}", "10.0.0.1")
        assert guard.wait_s(keys, 0) == 0
        guard.failed(keys, 0)
    assert guard.wait_s(keys_of("anna", "10.0.0.1"), 0) == 1
    assert guard.wait_s(keys_of("anna", "10.0.0.2"), 0) == 0


def test_many_addresses_make_one_user_wait_a_little() -> None:
    """Not in a known browser, no longer than half a minute, and no longer once they let up."""
    guard = LoginGuard()
    for index in range(FREE_USER + 20):
        guard.failed(keys_of("anna", f"10.0.{index}.1"), 0)
    keys = keys_of("anna", "10.1.0.1")
    assert guard.wait_s(keys, 0) == 30
    assert guard.wait_s(keys_of("anna", "10.1.0.1", browser="f"), 0) == 0
    assert guard.wait_s(keys_of("bert", "10.1.0.1"), 0) == 0
    assert guard.wait_s(keys, 30 * NS_PER_S) == 0


def test_one_guesser_never_uses_up_the_patience_with_a_user() -> None:
    """However long they go on from one address, as often as they may: another new browser does not wait."""
    guard, now_ns = LoginGuard(), 0
    mine, theirs = keys_of("anna", "10.6.6.6"), keys_of("anna", "10.0.0.5")
    for _ in range(2_000):
        now_ns += round(guard.wait_s(mine, now_ns) * NS_PER_S)
        guard.failed(mine, now_ns)
        assert guard.wait_s(theirs, now_ns) == 0


def test_one_site_is_one_address() -> None:
    """Whoever has an IPv6 address has 2^64 of them; IPv4 addresses stand for themselves, however they are written."""
    assert keys_of("anna", "fd00::1") == keys_of("anna", "fd00::ffff:1")
    assert keys_of("anna", "fd00::1") != keys_of("anna", "fd00:0:0:1::1")
    assert keys_of("anna", "::ffff:10.0.0.1") != keys_of("anna", "::ffff:10.0.0.2")
    assert keys_of("anna", "not an address") != keys_of("anna", "")


@pytest.mark.parametrize(
    ("peer", "forwarded", "who"),
    [
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.5", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.5", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.5", "203.0.113.9, 198.51.100.7, 10.0.0.6", "198.51.100.7"),
        ("10.0.0.5", "198.51.100.7, nonsense", "10.0.0.5"),
        ("10.0.0.5", "10.0.0.7, 10.0.0.6", "10.0.0.7"),
        ("fd00::5", "2001:db8::7", "2001:db8::7"),
        ("", "198.51.100.7", ""),
    ],
)
def test_a_trusted_proxy_says_who_asked_it(peer: str, forwarded: str, who: str) -> None:
    """And nobody else does: what stood there before is whatever the one who asks made up."""
    assert visitor(peer, forwarded, TRUSTED) == who


@pytest.mark.parametrize(("proxies", "second"), [([], 429), (["10.0.0.0/8"], 303)])
async def test_behind_a_proxy_that_is_trusted_guesses_are_told_apart(proxies: list[str], second: int) -> None:
    """By default nobody is: made-up headers win nothing."""
    async with hall(console_settings(trusted_proxies=proxies)) as opened:
        await opened.add_user("anna", "viewer")
        for _ in range(FREE):
            guesser = opened.browser("10.0.0.5")
            guesser.headers["x-forwarded-for"] = "203.0.113.9"
            await sign_in(guesser, "anna", "guess")
        browser = opened.browser("10.0.0.5")
        browser.headers["x-forwarded-for"] = "203.0.113.9, 198.51.100.7"
        assert (await sign_in(browser, "anna", PASSWORD)).status_code == second


def test_a_proxy_is_named_by_its_network() -> None:
    """Anything else is refused by the settings."""
    with pytest.raises(ConfigError, match="trusted_proxies"):
        console_settings(trusted_proxies=["proxy.example"])
