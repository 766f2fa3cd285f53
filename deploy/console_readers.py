"""Readers of the console's live stream that render nothing, in a process of their own."""

from __future__ import annotations

import multiprocessing
import threading
from http.client import HTTPConnection, HTTPException
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

_TIMEOUT_S: Final = 60
_PIECE_BYTES: Final = 65_536


class Readers:
    """One for each one-time link, while the block runs."""

    def __init__(self, url: str, links: list[str]) -> None:
        self._url = url
        self._links = links
        self._process: BaseProcess | None = None

    def __enter__(self) -> Self:
        self._process = multiprocessing.get_context("spawn").Process(
            target=read_all, args=(self._url, self._links), daemon=True
        )
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.join()


def read_all(url: str, links: list[str]) -> None:
    """Read until this process is ended."""
    readers = [threading.Thread(target=_read, args=(urlsplit(url).netloc, link)) for link in links]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()


def _read(address: str, link: str) -> None:
    connection = HTTPConnection(address, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", f"/link?key={link}")
        answer = connection.getresponse()
        answer.read()
        cookie = next(
            value.split(";")[0] for name, value in answer.getheaders() if name == "set-cookie" and "session" in value
        )
        connection.request("GET", "/api/v1/events", headers={"cookie": cookie})
        stream = connection.getresponse()
        while stream.read1(_PIECE_BYTES):
            pass
    except (OSError, HTTPException):
        return
    finally:
        connection.close()
