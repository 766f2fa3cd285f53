"""The demo's pages, as a new user finds them: by the one line that it prints."""

from __future__ import annotations

import html
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

LINK = re.compile(r"See it live: (http://127\.0\.0\.1:\d+)(/link\?key=\S+)")
REALLY_S = 80.0


@pytest.mark.timeout(120)
def test_the_printed_link_shows_the_line_and_the_demo_ends_as_it_does(tmp_path: Path, lite_model: Path) -> None:
    """It signs in once; the first reject is there with its picture; in a terminal Enter ends it with the report."""
    out = tmp_path / "out.json"
    options = ["--parts", "40", "--rate", "5", "--model", str(lite_model), "--json", str(out), "--console-port", "0"]
    command = [sys.executable, "-m", "deploy.cli", "demo", *options]
    ours, its = pty.openpty()
    plain = {**os.environ, "TERM": "dumb"}
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=subprocess.PIPE, text=True, env=plain) as running:
        os.close(its)
        found = LINK.search(read_until(ours, "good for"))
        assert found is not None
        with httpx.Client(base_url=found[1]) as browser:
            assert browser.get(found[2]).headers["location"] == "/"
            assert httpx.get(found[1] + found[2]).status_code == 401
            seen = wait_for_a_reject(browser)
            picture = browser.get(
                "/api/v1/lines/line-1/picture", params={"part_id": seen["part_id"], "camera": "camera"}
            )
            assert picture.headers["content-type"] == "image/jpeg"
            wall = browser.get("/").text
            assert "line-1" in wall
            wait_for_the_heat_map(browser, seen["part_id"])
            click = re.search(r'<a class="picture"[^>]*href="([^"]+)"', browser.get("/").text)
            assert click is not None, "the wall's picture leads to its part"
            assert "From exposure to gate" in browser.get(html.unescape(click[1])).text
            assert browser.get("/admin").status_code == 403
            read_until(ours, "press Enter")
            assert browser.get("/api/v1/lines").json()[0]["parts"] == "40"
        assert running.poll() is None, "the pages stay open"
        os.write(ours, b"\n")
        rest = read_until(ours, "ledger balances")
        _, errors = running.communicate(timeout=REALLY_S)
    os.close(ours)
    assert running.returncode == 0, f"{running.returncode}: {rest}{errors}"
    assert json.loads(out.read_text(encoding="utf-8"))["announced"] == 40


def read_until(terminal: int, text: str) -> str:
    """Return what comes on a terminal up to a text."""
    printed, until = "", time.monotonic() + REALLY_S
    while text not in printed:
        ready, _, _ = select.select([terminal], [], [], until - time.monotonic())
        assert ready, printed
        try:
            printed += os.read(terminal, 65_536).decode()
        except OSError:
            raise AssertionError(printed) from None
    return printed


def wait_for_a_reject(browser: httpx.Client) -> dict[str, str]:
    """Return the first part that was rejected, once there is one: another process runs the line."""
    until = time.monotonic() + REALLY_S
    while time.monotonic() < until:
        found: list[dict[str, str]] = browser.get("/api/v1/lines/line-1/parts", params={"outcome": "REJECT"}).json()
        if found:
            return found[-1]
        time.sleep(0.2)
    raise AssertionError("no part was rejected")


def wait_for_the_heat_map(browser: httpx.Client, part_id: str) -> None:
    """Return once the part's page shows its heat map, and the map is there: a detector keeps it after the gate."""
    until = time.monotonic() + REALLY_S
    page = "/lines/line-1/part"
    while 'class="heat"' not in browser.get(page, params={"part_id": part_id}).text:
        assert time.monotonic() < until, "no evidence was kept"
        time.sleep(0.2)
    query = {"part_id": part_id, "camera": "camera", "kind": "heat_map"}
    heat = browser.get("/api/v1/lines/line-1/evidence/picture", params=query)
    assert heat.content.startswith(b"\x89PNG")
    assert browser.get("/lines/line-1/trends").status_code == 200
