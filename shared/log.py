"""Structured logging: constant dotted event names with fields, and no password in any of them.

What is said of each part while an outage lasts is shown when it begins, and once a minute with how often it was said.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from shared.redaction import redact

Logger = structlog.typing.FilteringBoundLogger


_REPEATING: Final = frozenset({"store.away"})
_AGAIN_S: Final = 60.0
_OVER_S: Final = 5.0
_MOST: Final = 1_000


def configure(level: str, *, json: bool) -> None:
    """Send log lines at `level` ("debug" to "error") and above to standard error, as text or as JSON lines."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            Repeats(time.monotonic),
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Third parties log connection troubles that our own events already report with a remedy.
    for name in ("aiokafka", "pymodbus", "libav", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def get_logger(name: str) -> Logger:
    """Return a logger whose events carry the component's name."""
    logger: Logger = structlog.get_logger().bind(component=name)
    return logger


class Repeats:
    """Drops what was said a moment ago, by the same component of the same line with the same fields.

    What nobody said for five seconds is new; what goes on is shown once a minute, with `repeats` since.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._said: dict[tuple[tuple[str, str], ...], _Said] = {}

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Pass an event on, or raise `DropEvent`."""
        if event.get("event") not in _REPEATING:
            return event
        now_s = self._now_s()
        key = tuple(sorted((name, str(value)) for name, value in event.items()))
        said = self._said.get(key)
        if said is None or now_s - said.last_s > _OVER_S:
            if len(self._said) >= _MOST:
                self._said.clear()
            self._said[key] = _Said(shown_s=now_s, last_s=now_s)
            return event
        said.last_s = now_s
        said.repeats += 1
        if now_s - said.shown_s < _AGAIN_S:
            raise structlog.DropEvent
        event["repeats"], said.repeats, said.shown_s = said.repeats, 0, now_s
        return event


@dataclass(slots=True)
class _Said:
    """When something was shown and said the last time, and how often it was said and not shown."""

    shown_s: float
    last_s: float
    repeats: int = 0


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Redact every text value of an event, at any depth."""
    return {key: _redacted(value) for key, value in event.items()}


def _redacted(value: Any) -> Any:  # noqa: ANN401 - log fields hold anything
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {_redacted(key): _redacted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(item) for item in value]
    if isinstance(value, BaseException):
        return redact(str(value))
    if value is None or isinstance(value, bool | int | float):
        return value
    # A renderer would print anything else by its repr, and an address may be inside.
    return redact(repr(value))
