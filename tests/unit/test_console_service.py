"""The console as a service: TLS, addresses that cannot be had, a store that is away at first, and its end."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import stat
import sys
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from alerting.console.context import make_context
from alerting.console.service import ConsoleService
from deploy.app import Role, roles_of
from deploy.roles.console import BesideGates
from shared.clock import SystemClock
from shared.errors import ConfigError
from shared.settings import from_dict
from tests.consoles import PASSWORD, Hall, console_settings, sign_in


@asynccontextmanager
async def served(opened: Hall) -> AsyncIterator[ConsoleService]:
    """Serve a console on any port that is free."""
    service, stop = ConsoleService(opened.context), asyncio.Event()
    running = asyncio.create_task(service.run(stop))
    await asyncio.wait_for(service.started.wait(), 30)
    try:
        yield service
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)
        await opened.close()


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate of this host that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "console")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, key_pem = folder / "console.pem", folder / "console.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    key_pem.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    return pem, key_pem


async def test_it_speaks_tls_by_settings(tmp_path: Path) -> None:
    """With the certificate that it was given; cookies and later visits stay on it, and plain HTTP is no answer."""
    pem, key = certificate(tmp_path)
    opened = Hall(console_settings(port=0, certificate=str(pem), key=str(key)), SystemClock())
    await opened.add_user("anna", "viewer")
    async with served(opened) as service:
        assert service.url.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=str(pem))
        async with httpx.AsyncClient(base_url=service.url, verify=trust) as browser:
            answer = await sign_in(browser, "anna", PASSWORD)
            assert answer.status_code == 303
            assert "Secure" in next(one for one in answer.headers.get_list("set-cookie") if "session" in one)
            assert "max-age" in answer.headers["strict-transport-security"]
            assert (await browser.get("/api/v1/lines")).status_code == 200
        async with httpx.AsyncClient() as plain:
            with pytest.raises(httpx.RemoteProtocolError):
                await plain.get(service.url.replace("https", "http"))


@pytest.mark.parametrize("spoilt", ["certificate", "key"])
async def test_a_certificate_that_cannot_be_used_is_refused_at_the_start(tmp_path: Path, spoilt: str) -> None:
    """By its name, and with what to do."""
    pem, key = certificate(tmp_path)
    (pem if spoilt == "certificate" else key).write_text("nonsense")
    opened = Hall(console_settings(port=0, certificate=str(pem), key=str(key)), SystemClock())
    with pytest.raises(ConfigError, match=r"console\.certificate"):
        await ConsoleService(opened.context).run(asyncio.Event())
    await opened.close()


async def test_an_address_that_is_taken_is_named() -> None:
    """With the setting to change."""
    first = Hall(console_settings(port=0), SystemClock())
    async with served(first) as service:
        second = Hall(console_settings(port=service.port), SystemClock())
        with pytest.raises(ExceptionGroup) as caught:
            await ConsoleService(second.context).run(asyncio.Event())
        (error,) = caught.value.exceptions
        assert isinstance(error, ConfigError)
        assert "Choose another console.port" in str(error)
        await second.close()


async def test_a_console_that_fails_takes_no_gate_along() -> None:
    """Beside gates it says what is wrong, and ends alone."""
    first = Hall(console_settings(port=0), SystemClock())
    async with served(first) as service:
        second = Hall(console_settings(port=service.port), SystemClock())
        with capture_logs() as told:
            await BesideGates(ConsoleService(second.context)).run(asyncio.Event())
        await second.close()
    (failed,) = (one for one in told if one["event"] == "console.failed")
    assert "cannot listen" in failed["error"]


async def test_the_first_password_is_written_to_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once; a second start on the same store writes none."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    opened = Hall(console_settings(port=0), SystemClock())
    async with served(opened):
        await until_printed(capsys, "one-time password")
    again = make_context(opened.settings, store=opened.store, clock=opened.at)
    assert await again.desk.first_password() is None


async def test_the_first_password_is_in_no_log(capsys: pytest.CaptureFixture[str]) -> None:
    """Where standard error is none's screen, it is in a file for its owner alone, which goes with the console."""
    opened = Hall(console_settings(port=0), SystemClock())
    with capture_logs() as told:
        async with served(opened) as service:
            (path,) = await until_told(told, 1)
            password = path.read_text(encoding="utf-8").strip()
            assert stat.S_IMODE(path.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR
            async with httpx.AsyncClient(base_url=service.url) as browser:
                assert (await sign_in(browser, "admin", password)).headers["location"] == "/password"
    assert not path.exists()
    printed = capsys.readouterr()
    assert password not in printed.out + printed.err + str(told)


async def test_it_starts_while_the_store_is_away() -> None:
    """It says so, and makes the first user once it is back."""
    opened = Hall(console_settings(port=0), SystemClock())
    opened.store.away = True
    with capture_logs() as told:
        async with served(opened) as service, httpx.AsyncClient(base_url=service.url) as browser:
            assert (await browser.get("/sign-in")).status_code == 200
            assert not [one for one in told if one["event"] == "console.first_user"]
            opened.store.away = False
            await until_told(told, 1)


async def test_a_store_that_was_emptied_is_given_a_first_user_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The console that runs does so, with another password."""
    monkeypatch.setattr("alerting.console.service._FIRST_S", 0.01)
    opened = Hall(console_settings(port=0), SystemClock())
    with capture_logs() as told:
        async with served(opened) as service, httpx.AsyncClient(base_url=service.url) as browser:
            (first,) = await until_told(told, 1)
            before = first.read_text(encoding="utf-8").strip()
            opened.store.data.clear()
            _, second = await until_told(told, 2)
            assert not first.exists()
            assert (await sign_in(browser, "admin", before)).status_code == 401
            assert (await sign_in(browser, "admin", second.read_text(encoding="utf-8").strip())).status_code == 303


async def until_told(told: list[MutableMapping[str, Any]], count: int) -> list[Path]:
    """Return the files that the log names, once there are so many."""
    async with asyncio.timeout(30):
        while len(found := [one for one in told if one["event"] == "console.first_user"]) < count:
            await SystemClock().sleep(0.01)
    return [Path(one["one_time_password_in"]) for one in found]


async def until_printed(capsys: pytest.CaptureFixture[str], words: str) -> None:
    """Return once it stands on standard error, and nothing secret on standard output."""
    told = ""
    async with asyncio.timeout(30):
        while words not in told:
            await asyncio.sleep(0.01)
            printed = capsys.readouterr()
            told += printed.err
            assert words not in printed.out


async def test_it_ends_at_once_though_a_browser_looks_on() -> None:
    """The stream is ended in order, not cut after a time."""
    opened = Hall(console_settings(port=0), SystemClock())
    user = await opened.add_user("anna", "viewer")
    cookie = await opened.context.sessions.begin(user)
    async with httpx.AsyncClient() as browser:
        async with served(opened) as service:
            browser.cookies.set("linewarden_session", cookie)
            request = browser.build_request("GET", f"{service.url}/api/v1/events")
            answer = await browser.send(request, stream=True)
            lines = answer.aiter_lines()
            assert "retry" in await anext(lines)
            began_s = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began_s < 5
        await answer.aclose()


@pytest.mark.parametrize(
    ("role", "console", "served_roles"),
    [
        ("all", None, "ingest detector alerting"),
        ("all", {}, "ingest detector alerting console"),
        ("alerting", {}, "alerting"),
        ("alerting", {"beside_alerting": True}, "alerting console"),
        ("console", None, "console"),
        ("detector", {"beside_alerting": True}, "detector"),
    ],
)
def test_where_the_pages_are_served(role: str, console: dict[str, object] | None, served_roles: str) -> None:
    """On their own, beside all roles where there is a section, and beside alerting where it says so; they end last."""
    settings = from_dict({"console": console})
    assert [one.value for one in roles_of(Role(role), settings)] == served_roles.split()


def test_a_certificate_without_its_key_is_refused() -> None:
    """By the settings, before anything starts."""
    with pytest.raises(ConfigError, match="certificate and key go together"):
        from_dict({"console": {"certificate": "x.pem"}})
