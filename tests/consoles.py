"""A console on an embedded store with a clock turned by hand, and browsers and programs that speak with it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import cv2
import httpx
import numpy as np

from alerting.console.accounts import User
from alerting.console.app import make_app
from alerting.console.context import make_context
from alerting.console.rights import Permission, roles_from
from shared.alerts import Severity, StandingAlert
from shared.clock import NS_PER_MS, NS_PER_S, Clock, ManualClock
from shared.domain import CameraFinding, Decision, NotInspected, Outcome, PartAnnouncement, VerdictStatus
from shared.evidence import Why
from shared.settings import Settings, from_dict
from shared.store.base import Alert
from tests.exhibits import seen
from tests.outages import CuttableStore

LINE = "line-1"
OTHER = "line-2"
CAMERAS = ("top", "side")
PASSWORD = "correct horse battery"  # noqa: S105 - of nobody but tests
_CSRF = re.compile(r'name="csrf" (?:content|value)="([^"]+)"')
_FORM = re.compile(r'name="form" value="([^"]+)"')


def console_settings(*, lines: int = 2, cameras: Sequence[str] = CAMERAS, **console: object) -> Settings:
    """Return settings of `lines` lines with a console."""
    line = {"reject_at": 2.0, "cameras": [{"name": name} for name in cameras]}
    return from_dict(
        {"console": console, "lines": [{**line, "name": f"line-{index + 1}"} for index in range(lines)]},
        origin="the test",
    )


def decision(
    part_id: str,
    outcome: Outcome = Outcome.PASS,
    *,
    at_ns: int,
    line: str = LINE,
    score: float = 0.4,
    cameras: Sequence[str] = CAMERAS,
    place: tuple[float, float] | None = None,
) -> Decision:
    """Return a decision as the service records it."""
    findings = tuple(
        CameraFinding(
            camera,
            VerdictStatus.INSPECTED if outcome is not Outcome.DEFAULT_REJECT else VerdictStatus.NOT_INSPECTED,
            None if outcome is not Outcome.DEFAULT_REJECT else NotInspected.NO_VERDICT,
            score / 10 if outcome is not Outcome.DEFAULT_REJECT else None,
            score if outcome is not Outcome.DEFAULT_REJECT else None,
            "lite-0123456789ab",
            "0123456789ab",
            place=place,
        )
        for camera in cameras
    )
    return Decision(
        line,
        part_id,
        outcome,
        reason=f"{cameras[0]}: score {score:.2f} >= 2.00" if outcome is Outcome.REJECT else "all scores < 2.00",
        reject_at=2.0,
        findings=findings,
        captured_at_ns=at_ns,
        decide_by_ns=at_ns + 1_300 * NS_PER_MS,
        decided_at_ns=at_ns + 60 * NS_PER_MS,
        stamps_ns={"published": at_ns + 5 * NS_PER_MS, "signalled": at_ns + 62 * NS_PER_MS},
    )


class Hall:
    """A console, its store, and what happens on its lines; on a clock turned by hand, unless there is another."""

    def __init__(
        self, settings: Settings | None = None, clock: Clock | None = None, store: CuttableStore | None = None
    ) -> None:
        self.clock = clock if isinstance(clock, ManualClock) else ManualClock()
        self.at = clock or self.clock
        self.settings = settings or console_settings()
        self.store = store or CuttableStore.embedded(self.at)
        self.context = make_context(self.settings, store=self.store, clock=self.at)
        self.app = make_app(self.context)
        self.jpeg = grey_jpeg()
        """The picture of every reject."""
        self._clients: list[httpx.AsyncClient] = []

    def browser(self, address: str = "10.0.0.1") -> httpx.AsyncClient:
        """Return a browser that nobody has signed in with."""
        transport = httpx.ASGITransport(self.app, client=(address, 1_234))
        client = httpx.AsyncClient(transport=transport, base_url="http://console")
        self._clients.append(client)
        return client

    async def add_user(self, name: str, roles: str) -> User:
        """Make a user whose password is `PASSWORD`, and their own."""
        await self.context.desk.add_user(name, roles_from(roles), by="test")
        await self.context.desk.change_password(name, PASSWORD)
        return (await self.context.desk.accounts()).user(name)

    async def signed_in(self, roles: str = "admin", name: str = "anna", address: str = "10.0.0.1") -> httpx.AsyncClient:
        """Return a browser of a user with these roles; it sends its token along with changes."""
        user = await self.add_user(name, roles)
        client = self.browser(address)
        client.cookies.set("linewarden_session", await self.context.sessions.begin(user))
        client.headers["x-csrf-token"] = csrf_of((await client.get("/alerts")).text)
        return client

    async def program(self, *scopes: Permission, roles: str = "admin", name: str = "robot") -> httpx.AsyncClient:
        """Return a program with a token of these scopes."""
        await self.context.desk.add_guest(name, roles_from(roles), why="test")
        secret, _ = await self.context.desk.add_token(name, frozenset(scopes), "test", days=None, by="test")
        client = self.browser()
        client.headers["authorization"] = f"Bearer {secret}"
        return client

    async def settle(
        self,
        part_id: str,
        outcome: Outcome = Outcome.PASS,
        *,
        line: str = LINE,
        score: float = 0.4,
        place: tuple[float, float] | None = None,
        ago_s: float = 0.0,
    ) -> Decision:
        """Let a part be decided now, or so long ago."""
        at_ns = self.at.utc_ns() - 60 * NS_PER_MS - round(ago_s * NS_PER_S)
        cameras = tuple(camera.name for camera in self.settings.lines[0].cameras)
        found = decision(part_id, outcome, at_ns=at_ns, line=line, score=score, cameras=cameras, place=place)
        await self.store.announce(PartAnnouncement(line, part_id, cameras, at_ns, found.decide_by_ns))
        await self.store.claim(found)
        if outcome is Outcome.REJECT:
            for camera in cameras:
                await self.store.put_picture(line, part_id, camera, self.jpeg)
        await self.store.settle(found, latency_ms=62.0)
        return found

    async def forgets(self, part_id: str, *, line: str = LINE) -> None:
        """Let the record of a part expire, so that its number may come again."""
        self.store.data.line(line).parts.pop(part_id)

    async def keeps(self, decided: Decision, why: Why = Why.REJECTED, *, notes: Sequence[str] = ()) -> None:
        """Let evidence of a part be kept, of all its cameras."""
        for found in decided.findings:
            assert await self.store.put_evidence(decided, why, found.camera, seen(decided, found.camera, notes=notes))

    async def runs(self, *, line: str = LINE, **fields: str) -> None:
        """Let the service say that the line runs."""
        state = {
            "state": "RUNNING",
            "gate_connected": "true",
            "open_parts": "1",
            "reject_at": "2",
            "policy_version": "0",
            "policy_trial": "false",
            "halted": "",
            "updated_ms": str(self.at.utc_ns() // NS_PER_MS),
        }
        cameras = {f"camera.{camera.name}.state": "online" for camera in self.settings.lines[0].cameras}
        await self.store.set_state(line, {**state, **cameras, **fields})

    async def stands(
        self,
        kind: str = "GATE_LOST",
        subject: str = "",
        *,
        severity: Severity = Severity.CRITICAL,
        line: str = LINE,
        text: str = "the gate does not answer",
    ) -> StandingAlert:
        """Let an alert stand."""
        now_ns = self.at.utc_ns()
        alert = StandingAlert(line, kind, subject, severity, text, now_ns, now_ns)
        told = Alert(line, kind, text, "", now_ns, subject, severity)
        await self.store.put_alert(alert, told=told)
        return alert

    async def close(self) -> None:
        """Let go of browsers and store."""
        for client in self._clients:
            await client.aclose()
        await self.store.close()


@asynccontextmanager
async def hall(settings: Settings | None = None) -> AsyncIterator[Hall]:
    """Open a hall for a test."""
    opened = Hall(settings)
    try:
        yield opened
    finally:
        await opened.close()


def grey_jpeg() -> bytes:
    """Return a picture that browsers show."""
    done, encoded = cv2.imencode(".jpg", np.full((24, 32), 128, np.uint8))
    assert done
    return encoded.tobytes()


def csrf_of(page: str) -> str:
    """Return the token that a page carries."""
    found = _CSRF.search(page)
    assert found is not None, "the page carries no token"
    return found[1]


async def sign_in(client: httpx.AsyncClient, name: str, password: str, next_path: str = "/") -> httpx.Response:
    """Send the sign-in form as a person would."""
    page = await client.get("/sign-in")
    found = _FORM.search(page.text)
    assert found is not None
    form = {"name": name, "password": password, "form": found[1], "next": next_path}
    return await client.post("/sign-in", data=form)
