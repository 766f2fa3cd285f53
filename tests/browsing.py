"""Real browsers on a console that is really served, on the host's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal

from playwright.async_api import Browser, Page, async_playwright

from alerting.console.context import make_context
from alerting.console.service import ConsoleService
from shared.clock import SystemClock
from shared.settings import Settings
from tests.consoles import Hall, console_settings

FLAGS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
LIVE: Final = '#live[data-live="yes"]'
Theme = Literal["light", "dark"]
THEMES: Final[tuple[Theme, ...]] = ("light", "dark")
_LINK_S: Final = 600


class Served:
    """A console that is served, can be stopped, and comes back on the same port with the same store."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.hall = Hall(settings or console_settings(port=0), SystemClock())
        self._stop = asyncio.Event()
        self._service = ConsoleService(self.hall.context)
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return self._service.url

    async def start(self) -> None:
        """Serve; return once it listens."""
        self._stop = asyncio.Event()
        self._serving = asyncio.create_task(self._service.run(self._stop))
        started = asyncio.create_task(self._service.started.wait())
        await asyncio.wait({self._serving, started}, return_when=asyncio.FIRST_COMPLETED)
        if self._serving.done():
            started.cancel()
            await self._serving

    async def stop(self) -> None:
        """Stop in order."""
        self._stop.set()
        if self._serving is not None:
            await self._serving

    async def come_back(self) -> None:
        """Serve again as another process would: nothing is left but the store."""
        console = self.hall.context.console.model_copy(update={"port": self._service.port})
        settings = self.hall.settings.model_copy(update={"console": console})
        self.hall.context = make_context(settings, store=self.hall.store, clock=self.hall.at)
        self._service = ConsoleService(self.hall.context)
        await self.start()


class Visitors:
    """Browsers of people with roles."""

    def __init__(self, served: Served, browser: Browser) -> None:
        self._served = served
        self._browser = browser
        self.complaints: list[str] = []
        """What pages wrote to their consoles as errors, and what their scripts threw."""

    async def page(
        self, roles: str | None, name: str = "anna", *, theme: Theme = "light", width_px: int = 1_600
    ) -> Page:
        """Return a page of somebody with these roles who has signed in, or of nobody known for None."""
        context = await self._browser.new_context(
            color_scheme=theme, viewport={"width": width_px, "height": 1_000}, base_url=self._served.url
        )
        page = await context.new_page()
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        if roles is not None:
            hall = self._served.hall
            if name not in (await hall.context.desk.accounts()).users:
                await hall.add_user(name, roles)
            key = await hall.context.sessions.sign_in_link(name, ttl_s=_LINK_S)
            await page.goto(f"/link?key={key}")
        return page


@asynccontextmanager
async def visiting(chromium: Path, settings: Settings | None = None) -> AsyncIterator[tuple[Served, Visitors]]:
    """Serve a console, and open browsers on it."""
    served = Served(settings)
    await served.start()
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
            try:
                yield served, Visitors(served, browser)
            finally:
                await browser.close()
    finally:
        await served.stop()
        await served.hall.close()
