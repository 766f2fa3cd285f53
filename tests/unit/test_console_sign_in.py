"""Signing in: the first user, one-time passwords and links, sessions and their ends, and guesses."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from alerting.console.login_guard import FREE, FREE_ADDRESS
from alerting.console.passwords import fingerprint
from alerting.console.rights import ALL_LINES, Role
from shared.errors import ConfigError
from tests.consoles import LINE, PASSWORD, Hall, console_settings, csrf_of, hall, sign_in


async def test_the_first_start_makes_one_admin_with_a_one_time_password() -> None:
    """A second start makes none, and no password is known to anybody else."""
    async with hall() as opened:
        password = await opened.context.desk.first_password()
        assert password is not None
        assert await opened.context.desk.first_password() is None
        (user,) = (await opened.context.desk.accounts()).users.values()
        assert (user.name, user.roles, user.must_change) == ("admin", {ALL_LINES: Role.ADMIN}, True)
        kept = await opened.store.kept("console-accounts")
        assert kept is not None
        assert password.encode() not in kept


async def test_a_guest_is_no_admin() -> None:
    """Where there are others, but nobody who may change users, the first admin is made all the same."""
    async with hall() as opened:
        await opened.context.desk.add_guest("demo", {ALL_LINES: Role.ENGINEER}, why="the demo")
        assert await opened.context.desk.first_password() is not None
        assert set((await opened.context.desk.accounts()).users) == {"demo", "admin"}


async def test_a_one_time_password_must_be_changed_before_anything_else() -> None:
    """Pages lead to the change, the API refuses; afterwards the old one is nothing."""
    async with hall() as opened:
        password = await opened.context.desk.first_password()
        assert password is not None
        browser = opened.browser()
        answer = await sign_in(browser, "admin", password)
        assert answer.headers["location"] == "/password"
        assert (await browser.get("/")).headers["location"] == "/password"
        assert (await browser.get("/api/v1/lines")).status_code == 403
        page = await browser.get("/password")
        form = {"csrf": csrf_of(page.text), "old": password, "new": PASSWORD, "again": PASSWORD}
        assert (await browser.post("/password", data=form | {"again": "another one"})).status_code == 422
        assert (await browser.post("/password", data=form | {"old": "wrong"})).status_code == 401
        assert (await browser.post("/password", data=form)).headers["location"] == "/"
        assert (await browser.get("/api/v1/lines")).status_code == 200
        assert (await sign_in(opened.browser(), "admin", password)).status_code == 401
        assert (await sign_in(opened.browser(), "admin", PASSWORD)).status_code == 303


async def test_nobody_sees_anything_without_signing_in() -> None:
    """Pages lead to the sign-in, and back to what was wanted; the API says 401."""
    async with hall() as opened:
        browser = opened.browser()
        for path in ("/", "/alerts", "/admin", "/api", "/policy", f"/lines/{LINE}/policy", "/password"):
            answer = await browser.get(path)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/sign-in?next=%2F")
        for path in ("/api/v1/lines", "/api/v1/events", "/api/v1/users", "/api/openapi.json"):
            assert (await browser.get(path)).status_code == 401


async def test_cookies_are_for_this_server_alone() -> None:
    """No script reads them, no other site sends them, and with TLS they stay on it."""
    async with hall(console_settings(behind_tls=True)) as opened:
        await opened.add_user("anna", "viewer")
        answer = await sign_in_over_tls(opened)
        (cookie,) = (one for one in answer.headers.get_list("set-cookie") if one.startswith("linewarden_session"))
        for word in ("HttpOnly", "SameSite=strict", "Secure"):
            assert word in cookie
        assert "strict-transport-security" in answer.headers


async def sign_in_over_tls(opened: Hall) -> httpx.Response:
    """Sign in with a browser that speaks HTTPS."""
    browser = opened.browser()
    browser.base_url = "https://console"
    return await sign_in(browser, "anna", PASSWORD)


async def test_a_session_ends_when_it_is_not_used_and_at_its_age() -> None:
    """Using it puts off the first, not the second."""
    async with hall(console_settings(idle_min=10, session_h=1)) as opened:
        browser = await opened.signed_in()
        await opened.clock.advance(9 * 60)
        assert (await browser.get("/api/v1/me")).status_code == 200
        await opened.clock.advance(9 * 60)
        assert (await browser.get("/api/v1/me")).status_code == 200
        await opened.clock.advance(11 * 60)
        assert (await browser.get("/api/v1/me")).status_code == 401
        again = await opened.signed_in(name="bert")
        for _ in range(7):
            assert (await again.get("/api/v1/me")).status_code == 200
            await opened.clock.advance(9 * 60)
        assert (await again.get("/api/v1/me")).status_code == 401


async def test_signing_out_ends_the_session_on_the_server() -> None:
    """Whoever kept the cookie has nothing."""
    async with hall() as opened:
        browser = await opened.signed_in()
        cookie = browser.cookies["linewarden_session"]
        assert (await browser.post("/sign-out")).status_code == 303
        thief = opened.browser()
        thief.cookies.set("linewarden_session", cookie)
        assert (await thief.get("/api/v1/me")).status_code == 401


async def test_the_store_holds_no_cookie() -> None:
    """Only its fingerprint, with which nobody can sign in."""
    async with hall() as opened:
        browser = await opened.signed_in()
        cookie = browser.cookies["linewarden_session"]
        names = list(opened.store.data.held.newest_first())
        assert any(fingerprint(cookie) in name for name in names)
        assert not any(cookie in name for name in names)


async def test_keeping_somebody_out_ends_their_sessions_at_once() -> None:
    """So do a new password and the end of the user."""
    async with hall() as opened:
        await opened.add_user("boss", "admin")
        desk = opened.context.desk
        for name, deed in (
            ("anna", lambda: desk.set_disabled("anna", disabled=True, by="boss")),
            ("bert", lambda: desk.reset_password("bert", by="boss")),
            ("cleo", lambda: desk.remove_user("cleo", by="boss")),
        ):
            browser = await opened.signed_in("viewer", name)
            assert (await browser.get("/api/v1/me")).status_code == 200
            await deed()
            assert (await browser.get("/api/v1/me")).status_code == 401


async def test_guesses_wait_longer_and_longer_and_the_right_one_waits_too() -> None:
    """By the clock: once the wait is over, the right password is looked at."""
    async with hall() as opened:
        await opened.add_user("anna", "viewer")
        browser = opened.browser()
        for _ in range(FREE):
            assert (await sign_in(browser, "anna", "guess")).status_code == 401
        answer = await sign_in(browser, "anna", PASSWORD)
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "1"
        await opened.clock.advance(1.1)
        assert (await sign_in(browser, "anna", "guess")).status_code == 401
        await opened.clock.advance(1.1)
        assert (await sign_in(browser, "anna", PASSWORD)).status_code == 429
        await opened.clock.advance(1)
        assert (await sign_in(browser, "anna", PASSWORD)).status_code == 303


async def test_a_wrong_name_and_a_wrong_password_are_told_alike() -> None:
    """Nobody learns who there is."""
    async with hall() as opened:
        await opened.add_user("anna", "viewer")
        wrong = [await sign_in(opened.browser(), name, "guess") for name in ("anna", "nobody")]
        assert [answer.status_code for answer in wrong] == [401, 401]
        assert len({answer.text.split('name="form"')[0] for answer in wrong}) == 1


async def test_a_one_time_link_signs_in_once() -> None:
    """The second to use it is refused."""
    async with hall() as opened:
        await opened.context.desk.add_guest("demo", {ALL_LINES: Role.ENGINEER}, why="the demo")
        key = await opened.context.sessions.sign_in_link("demo", ttl_s=600)
        browser = opened.browser()
        assert (await browser.get("/link", params={"key": key})).headers["location"] == "/"
        assert (await browser.get("/api/v1/me")).json()["name"] == "demo"
        assert (await opened.browser().get("/link", params={"key": key})).status_code == 401
        assert (await sign_in(opened.browser("10.0.0.9"), "demo", "")).status_code == 401


async def test_a_sign_in_form_of_another_page_is_refused() -> None:
    """One who is to be signed in as somebody else, unaware, is not."""
    async with hall() as opened:
        await opened.add_user("anna", "viewer")
        form = {"name": "anna", "password": PASSWORD, "form": "made up"}
        assert (await opened.browser().post("/sign-in", data=form)).status_code == 403


async def test_there_is_always_an_admin() -> None:
    """The last one can neither be removed, nor kept out, nor made less."""
    async with hall() as opened:
        await opened.add_user("anna", "admin")
        desk = opened.context.desk
        for deed in (
            desk.remove_user("anna", by="anna"),
            desk.set_disabled("anna", disabled=True, by="anna"),
            desk.set_roles("anna", {ALL_LINES: Role.VIEWER}, by="anna"),
        ):
            with pytest.raises(ConfigError, match="nobody would be an admin"):
                await deed


async def test_who_did_what_to_users_is_in_the_audit() -> None:
    """With when, by whom, and what it was before and after; and no password is in it."""
    async with hall() as opened:
        browser = await opened.signed_in()
        made = (await browser.post("/api/v1/users", json={"name": "bert", "roles": "viewer"})).json()
        await browser.patch("/api/v1/users/bert", json={"roles": "line-1=operator"})
        entries = (await browser.get("/api/v1/audit")).json()
        changed, created, *_ = entries
        assert (created["who"], created["what"], created["subject"]) == ("anna", "user created", "bert")
        assert (changed["old"], changed["new"]) == ("viewer", "line-1=operator")
        assert [entry["number"] for entry in entries] == sorted((e["number"] for e in entries), reverse=True)
        assert made["one_time_password"] not in str(entries)


async def test_a_one_time_password_is_good_once() -> None:
    """Not for the second who has it, nor for two at the same time; what it let in may change it all the same."""
    async with hall() as opened:
        password = await opened.context.desk.add_user("anna", {ALL_LINES: Role.VIEWER}, by="test")
        browsers = [opened.browser(f"10.0.0.{index}") for index in range(3)]
        first = await asyncio.gather(*(sign_in(browser, "anna", password) for browser in browsers))
        assert sorted(answer.status_code for answer in first) == [303, 401, 401]
        late = await sign_in(opened.browser("10.0.0.9"), "anna", password)
        assert (late.status_code, "used already" in late.text) == (401, True)
        (let_in,) = (browser for browser, done in zip(browsers, first, strict=True) if done.status_code == 303)
        form = {"csrf": csrf_of((await let_in.get("/password")).text), "old": password}
        answer = await let_in.post("/password", data=form | {"new": PASSWORD, "again": PASSWORD})
        assert answer.headers["location"] == "/"
        for address in ("10.0.1.1", "10.0.1.2"):
            assert (await sign_in(opened.browser(address), "anna", PASSWORD)).status_code == 303


async def test_a_one_time_password_ends() -> None:
    """After the time of the settings; a password of one's own does not."""
    async with hall(console_settings(one_time_h=2)) as opened:
        await opened.add_user("bert", "viewer")
        password = await opened.context.desk.add_user("anna", {ALL_LINES: Role.VIEWER}, by="test")
        renewed = await opened.context.desk.add_user("cleo", {ALL_LINES: Role.VIEWER}, by="test")
        await opened.clock.advance(2 * 3_600)
        assert (await sign_in(opened.browser(), "anna", password)).status_code == 401
        assert (await sign_in(opened.browser(), "cleo", renewed)).status_code == 401
        assert (await sign_in(opened.browser(), "bert", PASSWORD)).status_code == 303
        renewed = await opened.context.desk.reset_password("cleo", by="test")
        assert (await sign_in(opened.browser(), "cleo", renewed)).status_code == 303


async def test_who_has_a_password_is_no_guest() -> None:
    """A demo on a plant's store takes nobody's name, and lets nobody in who is kept out."""
    async with hall() as opened:
        await opened.add_user("boss", "admin")
        with pytest.raises(ConfigError, match="is no guest"):
            await opened.context.desk.add_guest("boss", {ALL_LINES: Role.VIEWER}, why="the demo")
        await opened.context.desk.add_guest("demo", {ALL_LINES: Role.VIEWER}, why="the demo")
        await opened.context.desk.set_disabled("demo", disabled=True, by="boss")
        await opened.context.desk.add_guest("demo", {ALL_LINES: Role.ENGINEER}, why="the demo")
        guest = (await opened.context.desk.accounts()).user("demo")
        assert (guest.disabled, guest.roles) == (True, {ALL_LINES: Role.ENGINEER})


async def test_what_was_signed_in_for_a_removed_user_is_nothing_for_the_next_of_that_name() -> None:
    """Neither a session nor a link, though nobody used them since."""
    async with hall() as opened:
        old = await opened.signed_in("viewer", "anna")
        key = await opened.context.sessions.sign_in_link("anna", ttl_s=60)
        await opened.add_user("boss", "admin")
        await opened.context.desk.remove_user("anna", by="boss")
        await opened.add_user("anna", "admin")
        assert (await old.get("/api/v1/me")).status_code == 401
        assert (await opened.browser().get("/link", params={"key": key})).status_code == 401


async def test_nobody_is_kept_out_by_others_guesses() -> None:
    """Neither by guesses from elsewhere, nor in a browser that they signed in with, by those from the same address."""
    async with hall() as opened:
        await opened.add_user("anna", "viewer")
        known = opened.browser("10.0.0.5")
        assert (await sign_in(known, "anna", PASSWORD)).status_code == 303
        for address in ("10.6.6.6", "10.0.0.5"):
            guesser = opened.browser(address)
            answers = [(await sign_in(guesser, "anna", "guess")).status_code for _ in range(FREE + 2)]
            assert answers == [401] * FREE + [429] * 2
        assert (await sign_in(opened.browser("10.0.0.7"), "anna", PASSWORD)).status_code == 303
        assert (await sign_in(known, "anna", PASSWORD)).status_code == 303
        assert (await sign_in(opened.browser("10.0.0.5"), "anna", PASSWORD)).status_code == 429


async def test_a_known_browser_is_known_for_its_own_user_alone() -> None:
    """And guesses with it wait: whoever took it along has four."""
    async with hall() as opened:
        await opened.add_user("anna", "viewer")
        await opened.add_user("bert", "viewer")
        browser = opened.browser()
        assert (await sign_in(browser, "anna", PASSWORD)).status_code == 303
        for name in ("anna", "bert"):
            answers = [(await sign_in(browser, name, "guess")).status_code for _ in range(FREE + 1)]
            assert answers == [401] * FREE + [429]
        elsewhere = opened.browser("10.0.0.9")
        assert (await sign_in(elsewhere, "anna", PASSWORD)).status_code == 303


async def test_wrong_links_keep_nobody_out() -> None:
    """Any site's page can make a browser ask for them; and a good one is good after any number."""
    async with hall() as opened:
        await opened.add_user("anna", "viewer")
        key = await opened.context.sessions.sign_in_link("anna", ttl_s=600)
        browser = opened.browser()
        for _ in range(2 * FREE_ADDRESS):
            assert (await browser.get("/link", params={"key": "guess"})).status_code == 401
        assert (await sign_in(browser, "anna", PASSWORD)).status_code == 303
        assert (await opened.browser().get("/link", params={"key": key})).status_code == 303


async def test_sign_ins_push_no_deed_out() -> None:
    """They are told in the same list, and kept in another."""
    async with hall() as opened:
        await opened.add_user("anna", "admin")
        for _ in range(3):
            await opened.clock.advance(1)
            await sign_in(opened.browser(), "anna", PASSWORD)
        found = await opened.context.audit.newest(2)
        assert [entry.what for entry in found] == ["signed in from 10.0.0.1"] * 2 + ["password changed", "user created"]
        assert [json.loads(note)["what"] for note in await opened.store.notes("console-audit", newest=9)] == [
            "password changed",
            "user created",
        ]


async def test_a_store_that_takes_no_writes_shows_its_pages() -> None:
    """That somebody was here cannot be noted then: their session ends by its earlier use."""
    async with hall(console_settings(idle_min=10)) as opened:
        browser = await opened.signed_in("viewer")
        opened.store.refuses.add("hold")
        await opened.clock.advance(5 * 60)
        assert (await browser.get("/")).status_code == 200
        await opened.clock.advance(5 * 60 + 1)
        assert (await browser.get("/api/v1/me")).status_code == 401
