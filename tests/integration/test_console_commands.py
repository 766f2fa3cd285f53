"""`linewarden console` and `run --role console` on a real Redis: users, tokens, and a process that is killed."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner, Result

from deploy.cli_console import console
from deploy.servers.ports import free_port
from shared.errors import ConfigError
from tests.consoles import PASSWORD, csrf_of, sign_in
from tests.lines import LINE

pytestmark = pytest.mark.redis
SECRET = re.compile(r"shown this once: (\S+)")
FIRST = re.compile(r"one_time_password_in=(\S+)")


@pytest.fixture
def config(redis_url: str, tmp_path: Path) -> Path:
    """Give the settings of a line with a console, of which the store knows nothing yet."""
    path = tmp_path / "line.toml"
    store = f'[store]\nurl = "{redis_url}"\nkey_prefix = "console-{uuid4().hex}"\n'
    path.write_text(f'{store}[console]\nport = {free_port()}\n[[lines]]\nname = "{LINE}"\n')
    return path


def run(config: Path, *arguments: str) -> Result:
    """Run a command."""
    done = CliRunner().invoke(console, [*arguments, "--config", str(config)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def listed(config: Path, *command: str) -> list[dict[str, object]]:
    """Return what a command lists."""
    out = config.with_suffix(".json")
    run(config, *command, "--json", str(out))
    found: list[dict[str, object]] = json.loads(out.read_text())
    return found


def test_users_are_made_changed_and_removed(config: Path) -> None:
    """With a one-time password, and each deed in the audit with who did it."""
    made = run(config, "users", "add", "boss", "--role", "admin", "--by", "carl")
    assert SECRET.search(made.output)
    run(config, "users", "add", "anna", "--role", "line-1=operator,*=viewer")
    run(config, "users", "role", "anna", "--role", "engineer")
    run(config, "users", "disable", "anna")
    assert [(user["name"], user["roles"], user["disabled"]) for user in listed(config, "users", "list")] == [
        ("anna", "engineer", True),
        ("boss", "admin", False),
    ]
    run(config, "users", "enable", "anna")
    assert SECRET.search(run(config, "users", "password", "anna").output)
    run(config, "users", "remove", "anna", "--yes")
    assert [user["name"] for user in listed(config, "users", "list")] == ["boss"]
    audit = listed(config, "audit")
    assert (audit[-1]["who"], audit[-1]["what"]) == ("carl", "user created")
    assert audit[0]["what"] == "user removed"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["users", "add", "Anna B", "--role", "viewer"], "user's name"),
        (["users", "add", "anna", "--role", "boss"], "is no role"),
        (["users", "role", "nobody", "--role", "viewer"], "there is no user"),
        (["users", "remove", "boss", "--yes"], "nobody would be an admin"),
        (["tokens", "add", "boss", "--scope", "everything", "--for", "x"], "scope"),
        (["tokens", "add", "nobody", "--scope", "read", "--for", "x"], "there is no user"),
        (["tokens", "revoke", "none"], "there is no token"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(config: Path, command: list[str], said: str) -> None:
    """And nothing is changed."""
    run(config, "users", "add", "boss", "--role", "admin")
    before = listed(config, "users", "list")
    with pytest.raises(ConfigError, match=said):
        run(config, *command)
    assert listed(config, "users", "list") == before


@contextmanager
def served(config: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the console as a process of its own."""
    command = [sys.executable, "-m", "deploy.cli", "run", "--role", "console", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def url_of(config: Path) -> str:
    """Return where the console of these settings is."""
    (port,) = re.findall(r"port = (\d+)", config.read_text())
    return f"http://127.0.0.1:{port}"


def read_until(running: subprocess.Popen[str], words: str) -> str:
    """Return what a process says on standard error, up to the line with these words."""
    assert running.stderr is not None
    said = ""
    while words not in said:
        line = running.stderr.readline()
        assert line, said
        said += line
    return said


@pytest.mark.timeout(240)
async def test_a_console_that_is_killed_comes_back_as_it_was(config: Path) -> None:
    """Whoever was signed in still is, tokens count, and no second first password is made."""
    url = url_of(config)
    async with httpx.AsyncClient(base_url=url) as browser:
        with served(config) as running:
            said = await asyncio.to_thread(read_until, running, "one_time_password_in")
            found = FIRST.search(said)
            assert found is not None
            password = (await asyncio.to_thread(Path(found[1]).read_text, "utf-8")).strip()
            answer = await sign_in(browser, "admin", password)
            assert answer.headers["location"] == "/password"
            csrf = csrf_of((await browser.get("/password")).text)
            form = {"csrf": csrf, "old": password, "new": PASSWORD, "again": PASSWORD}
            assert (await browser.post("/password", data=form)).headers["location"] == "/"
            command = ("tokens", "add", "admin", "--scope", "read", "--for", "x")
            secret = SECRET.search((await asyncio.to_thread(run, config, *command)).output)
            assert secret is not None
        with served(config) as running:
            said = await asyncio.to_thread(read_until, running, "console.started")
            assert (await browser.get("/api/v1/me")).json()["name"] == "admin"
            program = httpx.Request("GET", f"{url}/api/v1/lines", headers={"authorization": f"Bearer {secret[1]}"})
            async with httpx.AsyncClient() as plain:
                assert (await plain.send(program)).json()[0]["name"] == LINE
            running.send_signal(signal.SIGTERM)
            rest = await asyncio.to_thread(running.communicate, timeout=30)
            assert running.returncode == 0
            assert "console.first_user" not in said + rest[1]


def test_a_console_on_its_own_refuses_a_store_of_another_process(tmp_path: Path) -> None:
    """It would show nothing for ever."""
    path = tmp_path / "line.toml"
    path.write_text('[[lines]]\nname = "line-1"\n')
    command = [sys.executable, "-m", "deploy.cli", "run", "--role", "console", "--config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "memory:// lives in the process that runs the line" in done.stderr
