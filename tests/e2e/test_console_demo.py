"""The demo's pages, as a new user finds them: by the one line that it prints."""

from __future__ import annotations

import json
import re
import signal
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
    """It signs in once; the first reject is there with its picture; Ctrl-C ends with the report and the exit code."""
    out = tmp_path / "out.json"
    options = [
        "--parts",
        "40",
        "--rate",
        "5",
        "--model",
        str(lite_model),
        "--json",
        str(out),
        "--keep-open",
        "--console-port",
        "0",
    ]
    command = [sys.executable, "-m", "deploy.cli", "demo", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        printed = ""
        while (found := LINK.search(printed)) is None:
            line = running.stdout.readline()
            assert line, printed
            printed += line
        with httpx.Client(base_url=found[1]) as browser:
            assert browser.get(found[2]).headers["location"] == "/"
            assert httpx.get(found[1] + found[2]).status_code == 401
            seen = wait_for_a_reject(browser)
            picture = browser.get(
                "/api/v1/lines/line-1/picture", params={"part_id": seen["part_id"], "camera": "camera"}
            )
            assert picture.headers["content-type"] == "image/jpeg"
            assert "line-1" in browser.get("/").text
            assert browser.get("/admin").status_code == 403
            while browser.get("/api/v1/lines").json()[0]["parts"] != "40":
                time.sleep(0.2)
        assert running.poll() is None, "the pages stay open"
        running.send_signal(signal.SIGINT)
        rest, errors = running.communicate(timeout=REALLY_S)
    assert running.returncode == 0, f"{running.returncode}: {rest}{errors}"
    assert "ledger balances" in rest
    assert "one_time_password_in" in errors
    assert json.loads(out.read_text(encoding="utf-8"))["announced"] == 40


def wait_for_a_reject(browser: httpx.Client) -> dict[str, str]:
    """Return the first part that was rejected, once there is one: another process runs the line."""
    until = time.monotonic() + REALLY_S
    while time.monotonic() < until:
        found: list[dict[str, str]] = browser.get("/api/v1/lines/line-1/parts", params={"outcome": "REJECT"}).json()
        if found:
            return found[-1]
        time.sleep(0.2)
    raise AssertionError("no part was rejected")
