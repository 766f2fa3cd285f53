"""The usual attacks on the console, each refused: other roles, other sites, scripts in names, paths out of folders."""

from __future__ import annotations

import httpx
import pytest
from structlog.testing import capture_logs

from alerting.console.rights import Permission
from alerting.console.shield import MOST_BYTES
from shared.domain import Outcome
from tests.consoles import LINE, OTHER, hall, sign_in

SCRIPT = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
WRITE = [
    ("operator", f"/api/v1/lines/{LINE}/alerts/acknowledge", {"key": "GATE_LOST", "reason": "seen"}),
    ("operator", f"/api/v1/lines/{LINE}/alerts/shelve", {"key": "GATE_LOST", "reason": "seen", "minutes": 5}),
    ("operator", f"/api/v1/lines/{LINE}/resume", {"reason": "mended"}),
    ("operator", f"/api/v1/lines/{LINE}/review/say", {"part_id": "p", "said": "overkill", "reason": "dust"}),
    ("operator", f"/api/v1/lines/{LINE}/review/take-back", {"part_id": "p", "step": "1"}),
    ("engineer", f"/api/v1/lines/{LINE}/review/confirm", {"part_id": "p", "standing": "good", "reason": "seen"}),
    ("engineer", f"/api/v1/lines/{LINE}/policy/preview", {"changes": ["reject_at=3"]}),
    ("engineer", f"/api/v1/lines/{LINE}/policy", {"changes": ["reject_at=3"], "version": 0, "reason": "x"}),
    ("engineer", f"/api/v1/lines/{LINE}/policy/undo", {"version": 1, "reason": "x"}),
    ("admin", "/api/v1/users", {"name": "eve", "roles": "admin"}),
    ("admin", "/api/v1/tokens", {"owner": "anna", "scopes": ["users"], "what_for": "x"}),
]
BELOW = {"operator": "viewer", "engineer": "operator", "admin": "engineer"}


def scope_for(role: str, path: str) -> Permission:
    """Return the scope that a call needs."""
    if "/review/" in path:
        return Permission.CONFIRM if path.endswith("confirm") else Permission.REVIEW
    return {"operator": Permission.ALERTS, "engineer": Permission.POLICY, "admin": Permission.USERS}[role]


@pytest.mark.parametrize(("role", "path", "body"), WRITE, ids=[path for _, path, _ in WRITE])
async def test_a_lower_role_is_refused(role: str, path: str, body: dict[str, object]) -> None:
    """The role just below cannot, and nothing is done; nor can one who has the role on another line."""
    async with hall() as opened:
        await opened.stands()
        browser = await opened.signed_in(BELOW[role])
        assert (await browser.post(path, json=body)).status_code == 403
        other = await opened.signed_in(f"{OTHER}={role}", "bert")
        assert (await other.post(path, json=body)).status_code in {403, 404}
        assert not (await opened.store.alert_handling(LINE)).acknowledged
        assert "eve" not in (await opened.context.desk.accounts()).users


@pytest.mark.parametrize(("role", "path", "body"), WRITE, ids=[path for _, path, _ in WRITE])
async def test_a_token_of_another_scope_is_refused(role: str, path: str, body: dict[str, object]) -> None:
    """Though its owner may do everything; and one of the scope whose owner may not."""
    async with hall() as opened:
        await opened.stands()
        rest = [scope for scope in Permission if scope is not scope_for(role, path)]
        robot = await opened.program(*rest)
        assert (await robot.post(path, json=body)).status_code == 403
        weak = await opened.program(scope_for(role, path), roles=BELOW[role], name="weak")
        assert (await weak.post(path, json=body)).status_code == 403


async def test_a_line_that_is_not_ones_own_is_not_there() -> None:
    """Neither in lists, nor by its name, nor in the stream of updates."""
    async with hall() as opened:
        await opened.stands(line=OTHER)
        await opened.settle("secret-part", Outcome.REJECT, line=OTHER)
        browser = await opened.signed_in(f"{LINE}=admin")
        for path in (f"/api/v1/lines/{OTHER}/parts", f"/lines/{OTHER}/policy", "/api/v1/lines/none/parts"):
            assert (await browser.get(path)).status_code == 404
        for path in ("/", "/alerts", "/api/v1/lines", "/api/v1/alerts", "/api/v1/alerts/deeds"):
            assert OTHER not in (await browser.get(path)).text
        assert (await browser.get("/admin")).status_code == 403
        stream = opened.context.hub.stream(lambda line: line == LINE)
        assert OTHER.encode() not in await anext(stream)
        await stream.aclose()


async def test_a_change_without_the_pages_token_is_refused() -> None:
    """A form or script of another site has the cookie sent along at most, and does not know the token."""
    async with hall() as opened:
        browser = await opened.signed_in()
        await opened.stands()
        for token in ("", "wrong"):
            browser.headers["x-csrf-token"] = token
            for _role, path, body in WRITE:
                assert (await browser.post(path, json=body)).status_code == 403
            assert (await browser.post("/sign-out")).status_code == 403
            assert (await browser.patch("/api/v1/users/anna", json={"disabled": True})).status_code == 403
            assert (await browser.delete("/api/v1/users/anna")).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=["origin", "null", "same-site"],
)
async def test_what_another_site_asks_for_is_refused(headers: dict[str, str]) -> None:
    """Even with the right token, and at the sign-in, too."""
    async with hall() as opened:
        browser = await opened.signed_in()
        body = {"name": "bert", "roles": "viewer"}
        assert (await browser.post("/api/v1/users", json=body, headers=headers)).status_code == 403
        assert (await browser.post("/sign-in", data={"name": "anna"}, headers=headers)).status_code == 403
        same = {"origin": "http://console", "sec-fetch-site": "same-origin"}
        assert (await browser.post("/api/v1/users", json=body, headers=same)).status_code == 201


async def test_scripts_in_what_comes_from_outside_stay_text() -> None:
    """In part ids, alerts, reasons, labels and users' purposes, on every page that shows them."""
    async with hall() as opened:
        await opened.runs(halted=SCRIPT)
        await opened.settle(SCRIPT, Outcome.REJECT, score=3.0)
        alert = await opened.stands(text=SCRIPT, subject=SCRIPT)
        browser = await opened.signed_in()
        deed = {"key": alert.key, "reason": SCRIPT}
        assert (await browser.post(f"/api/v1/lines/{LINE}/alerts/acknowledge", json=deed)).status_code == 200
        change = {"changes": ["reject_at=3"], "version": 0, "reason": SCRIPT}
        assert (await browser.post(f"/api/v1/lines/{LINE}/policy", json=change)).status_code == 200
        await browser.post("/api/v1/tokens", json={"owner": "anna", "scopes": ["read"], "what_for": SCRIPT})
        shown = 0
        for path, query in (
            ("/", {}),
            ("/alerts", {"over": "yes"}),
            (f"/lines/{LINE}/part", {"part_id": SCRIPT}),
            (f"/lines/{LINE}/policy", {}),
            ("/admin", {}),
            ("/sign-in", {"next": SCRIPT}),
        ):
            page = await browser.get(path, params=query)
            assert page.status_code == 200
            assert "<script>alert" not in page.text
            assert "<img src=x" not in page.text
            shown += page.text.count("&lt;script&gt;alert(1)")
        assert shown >= 6


async def test_every_answer_keeps_others_out() -> None:
    """Pages, the API, files, refusals and what is not there say the same."""
    async with hall() as opened:
        browser = await opened.signed_in()
        for path in ("/", "/api/v1/lines", "/static/console.css", "/nothing", "/sign-in", "/static/../app.py"):
            answer = await browser.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "strict-transport-security" not in answer.headers
            assert "set-cookie" not in answer.headers or path == "/sign-in"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../service.py",
        "/static/%2e%2e/service.py",
        "/static/..%2f..%2fservice.py",
        "/static//etc/passwd",
        f"/api/v1/lines/{LINE}/picture?part_id=../../counters&camera=top",
        f"/api/v1/lines/{LINE}/picture?part_id=p1&camera=../top",
        f"/api/v1/lines/{LINE}/picture?part_id=p1:top%00&camera=side",
        f"/api/v1/lines/..%2f{OTHER}/parts",
    ],
)
async def test_names_lead_out_of_nowhere(path: str) -> None:
    """Neither files beside the pages' own nor other keys of the store can be had."""
    async with hall() as opened:
        await opened.settle("p1", Outcome.REJECT)
        browser = await opened.signed_in()
        answer = await browser.get(path)
        assert answer.status_code == 404
        assert "ConsoleService" not in answer.text


async def test_pictures_are_had_by_those_who_may_alone() -> None:
    """By the part's id and the camera's name."""
    async with hall() as opened:
        await opened.settle("p1", Outcome.REJECT)
        query = {"part_id": "p1", "camera": "top"}
        path = f"/api/v1/lines/{LINE}/picture"
        assert (await opened.browser().get(path, params=query)).status_code == 401
        viewer = await opened.signed_in("viewer")
        answer = await viewer.get(path, params=query)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/jpeg"
        other = await opened.signed_in(f"{OTHER}=admin", "bert")
        assert (await other.get(path, params=query)).status_code == 404


async def test_a_value_that_is_nested_too_deeply_is_refused() -> None:
    """It is no error of the server."""
    async with hall() as opened:
        browser = await opened.signed_in()
        wish = {"changes": ["masks=" + "[" * 1_500]}
        answer = await browser.post(f"/api/v1/lines/{LINE}/policy/preview", json=wish)
        assert (answer.status_code, "nested too deeply" in answer.json()["error"]) == (422, True)


async def test_an_error_of_the_server_keeps_others_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told without what went wrong, which stands in the log."""
    async with hall() as opened:
        browser = await opened.signed_in()

        async def fail(*_: object) -> None:
            raise RuntimeError("secret")

        monkeypatch.setattr(opened.context.audit, "newest", fail)
        with capture_logs() as told:
            for path in ("/api/v1/audit", "/admin"):
                answer = await browser.get(path)
                assert answer.status_code == 500
                assert "default-src 'none'" in answer.headers["content-security-policy"]
                assert answer.headers["cache-control"] == "no-store"
                assert "secret" not in answer.text
        assert [one["path"] for one in told if one["event"] == "console.error"] == ["/api/v1/audit", "/admin"]


async def test_bodies_that_are_too_large_are_not_read() -> None:
    """Whether they say so, or come in pieces that say nothing."""
    async with hall() as opened:
        browser = await opened.signed_in()
        large = b"x" * (MOST_BYTES + 1)

        async def pieces() -> object:
            for _ in range(70):
                yield b"x" * 1_024

        for content in (large, pieces()):
            answer = await browser.post("/api/v1/users", content=content)  # type: ignore[arg-type]
            assert answer.status_code == 413


async def test_nobody_unknown_writes_into_the_store() -> None:
    """Guesses and forged requests leave no trace there, that might push out what is of use."""
    async with hall() as opened:
        await opened.add_user("anna", "viewer")
        before = await opened.context.audit.newest(1_000)
        guesser = opened.browser()
        for index in range(8):
            await sign_in(guesser, f"{SCRIPT}{index}", "guess")
        await guesser.get("/link", params={"key": "guess"})
        await guesser.post(f"/api/v1/lines/{LINE}/resume", json={"reason": "x"})
        assert await opened.context.audit.newest(1_000) == before
        assert len(opened.store.data.held) == 0


async def test_tokens_end_when_they_are_revoked_or_too_old_or_their_owner_goes() -> None:
    """And what is no token is no way in, though a session stands beside it."""
    async with hall() as opened:
        robot = await opened.program(Permission.READ)
        boss = await opened.signed_in()
        assert (await robot.get("/api/v1/lines")).status_code == 200
        (token,) = (await boss.get("/api/v1/tokens")).json()
        assert await status_after(robot, boss.delete(f"/api/v1/tokens/{token['id']}")) == 401
        made = await boss.post(
            "/api/v1/tokens", json={"owner": "robot", "scopes": ["read"], "what_for": "x", "days": 1}
        )
        robot.headers["authorization"] = f"Bearer {made.json()['token']}"
        assert (await robot.get("/api/v1/lines")).status_code == 200
        await opened.clock.advance(25 * 3_600)
        assert (await robot.get("/api/v1/lines")).status_code == 401
        boss = await opened.signed_in(name="boss")
        boss.headers["authorization"] = "Bearer lwt_made-up"
        assert (await boss.get("/api/v1/lines")).status_code == 401


async def status_after(client: httpx.AsyncClient, deed: object) -> int:
    """Do something, and say how the client fares then."""
    assert (await deed).status_code == 200  # type: ignore[misc]
    return (await client.get("/api/v1/lines")).status_code


async def test_no_secret_is_ever_told_again() -> None:
    """Neither hashes, nor fingerprints, nor tokens stand in any list."""
    async with hall() as opened:
        boss = await opened.signed_in()
        made = (await boss.post("/api/v1/tokens", json={"owner": "anna", "scopes": ["read"], "what_for": "x"})).json()
        for path in ("/api/v1/users", "/api/v1/tokens", "/api/v1/audit", "/admin"):
            text = (await boss.get(path)).text
            assert "argon2" not in text
            assert made["token"] not in text
            assert "fingerprint" not in text
