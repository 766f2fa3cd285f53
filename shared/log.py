"""Structured logging: constant dotted event names with fields, and no password in any of them."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from shared.redaction import redact

Logger = structlog.typing.FilteringBoundLogger


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
