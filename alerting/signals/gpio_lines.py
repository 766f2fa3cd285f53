"""Digital outputs by Linux GPIO. The only import of gpiod; written against version 2, and untried on hardware."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

import gpiod
from gpiod.line import Direction, Value

from shared.errors import ConfigError, SignalUnreachableError
from shared.redaction import redact_address

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONSUMER: Final = "linewarden"


@dataclass(frozen=True, slots=True)
class GpioAddress:
    """A chip, and which of its lines is the gate's and which, if any, says that the service is ready."""

    chip: str
    reject: int
    ready: int | None = None


def parse_gpio_url(url: str) -> GpioAddress:
    """Read `gpio://CHIP?reject=LINE[&ready=LINE]`; ConfigError for anything else."""
    remedy = "Write it as gpio://gpiochip0?reject=17&ready=18."
    refused = ConfigError(f"{redact_address(url)!r} is not an address of digital outputs", remedy)
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    try:
        reject = int(options.pop("reject"))
        ready = int(options.pop("ready")) if "ready" in options else None
    except (KeyError, ValueError):
        raise refused from None
    plain = parts.scheme == "gpio" and parts.path in {"", "/"} and not options and parts.netloc.isalnum()
    if not plain or reject < 0 or (ready is not None and (ready < 0 or ready == reject)):
        raise refused
    return GpioAddress(parts.netloc, reject, ready)


def gpio_error(error: Exception, chip: str) -> SignalUnreachableError:
    """Map what gpiod or the kernel raised."""
    return SignalUnreachableError(
        f"the digital outputs of {chip} cannot be set: {error}",
        "Check that the chip is there (gpiodetect), that nobody else has the line (gpioinfo), and the rights to it.",
    )


MAPPED: Final = (OSError, gpiod.ChipClosedError, gpiod.RequestReleasedError)
"""What gpiod raises while lines are used."""


class GpioLines:
    """Lines of the chip, by name. `active_low` ones are on at a low level, which a host without power has, too."""

    def __init__(
        self, chip: str, offsets: Mapping[str, int], *, active_low: frozenset[str], on: frozenset[str]
    ) -> None:
        self._chip = chip
        self._offsets = dict(offsets)
        self._at_rest = {name: name in on for name in offsets}
        settings = {
            offset: gpiod.LineSettings(
                direction=Direction.OUTPUT, active_low=name in active_low, output_value=_value(on=name in on)
            )
            for name, offset in offsets.items()
        }
        try:
            self._request = gpiod.request_lines(f"/dev/{chip}", consumer=_CONSUMER, config=dict(settings.items()))
        except MAPPED as error:
            raise gpio_error(error, chip) from error

    def set(self, name: str, *, on: bool) -> None:
        """Set an output."""
        try:
            self._request.set_value(self._offsets[name], _value(on=on))
        except MAPPED as error:
            raise gpio_error(error, self._chip) from error

    def close(self) -> None:
        """Put every output to rest and let go of them; what the kernel makes of free lines is the board's matter."""
        try:
            for name, on in self._at_rest.items():
                self.set(name, on=on)
        finally:
            self._request.release()


def _value(*, on: bool) -> Value:
    return Value.ACTIVE if on else Value.INACTIVE
