"""Posts over HTTP. The only import of httpx2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx2

from shared.errors import ConfigError, SignalUnreachableError
from shared.redaction import redact_address

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_TIMEOUT_S: Final = 5.0
MAPPED: Final = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, httpx2.CookieConflict, OSError)
"""All that httpx2 raises."""


class HttpPoster:
    """Posts to one address; redirects are not followed, since the signature is meant for that address alone."""

    def __init__(
        self, url: str, *, timeout_s: float = DEFAULT_TIMEOUT_S, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        if not url.startswith(("https://", "http://")):
            raise ConfigError(f"{redact_address(url)!r} is no address for a webhook", "Write it as https://HOST/PATH.")
        self._url = url
        self._name = redact_address(url)
        self._client = httpx2.AsyncClient(timeout=timeout_s, follow_redirects=False, transport=transport)

    async def post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Return the answer's status; SignalUnreachableError without one."""
        try:
            answer = await self._client.post(self._url, content=body, headers=dict(headers))
        except MAPPED as error:
            raise SignalUnreachableError(
                f"{self._name} does not answer: {type(error).__name__}", "Check the receiver of the webhook."
            ) from error
        return answer.status_code

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
