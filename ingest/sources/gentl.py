"""Cameras through a vendor's GenTL producer, by harvesters. The only place that imports harvesters and genicam.

Untried on hardware: no producer can be installed without its vendor's camera software, so that only what needs none is
tested. GigE Vision cameras have an adapter of their own that needs no producer (`ingest.sources.gige`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, urlsplit

from genicam import genapi, gentl
from harvesters.core import Harvester

from ingest.sources.base import Fault, Shot
from ingest.sources.exposure_clock import ExposureClock
from ingest.sources.gige.camera import FeatureKind, RefusedError, Value
from ingest.sources.gige.configure import configure
from ingest.sources.pixel_formats import by_name, decode
from shared.camera_settings import CameraSettings
from shared.clock import Clock
from shared.domain import Picture
from shared.errors import ConfigError, LossCause, PictureError, SourceError, SourceUnavailableError

SCHEME: Final = "gentl://"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class GentlAddress:
    """A producer's file and a camera's serial number; "" for the only one."""

    producer: Path
    serial: str


def parse_address(address: str) -> GentlAddress:
    """Return the parts of `gentl://PRODUCER.cti?id=SERIAL`; raises `ConfigError` for what is none."""
    parts = urlsplit(address)
    query = parse_qs(parts.query, keep_blank_values=True)
    producer = Path(parts.netloc + parts.path)
    if producer.suffix != ".cti" or not set(query) <= {"id"} or len(query.get("id", [""])) != 1:
        raise ConfigError(f"{address!r} is no GenTL camera", "Write gentl:///PATH/PRODUCER.cti?id=SERIAL.")
    return GentlAddress(producer, query.get("id", [""])[0])


def map_error(error: BaseException, address: GentlAddress) -> SourceError | ConfigError:
    """Return our error for one of a producer's."""
    camera = f"camera {address.serial or 'of'} {address.producer.name}"
    match error:
        case FileNotFoundError():
            return ConfigError(
                f"the GenTL producer {str(address.producer)!r} does not exist", "Install the camera's GenTL producer."
            )
        case OSError():
            return ConfigError(
                f"the GenTL producer {str(address.producer)!r} cannot be loaded ({error})",
                "Is it one for this machine, whole, and are the libraries there that it needs?",
            )
        case gentl.AccessDeniedException() | gentl.ResourceInUseException():
            return SourceUnavailableError(
                f"{camera} is held by another client", "Close that client.", cause=LossCause.HELD
            )
        case gentl.TimeoutException():
            return SourceUnavailableError(f"{camera} sends no picture", "Check its trigger.", cause=LossCause.STALLED)
        case _:
            return SourceUnavailableError(f"{camera} does not answer ({error})", "Check its cable and its power.")


class GentlFeatures:
    """A GenTL camera's features; see `ingest.sources.gige.camera.Features`."""

    _KINDS: Final = (
        (genapi.ICommand, FeatureKind.COMMAND),
        (genapi.IEnumeration, FeatureKind.CHOICE),
        (genapi.IBoolean, FeatureKind.BOOLEAN),
        (genapi.IFloat, FeatureKind.FLOAT),
        (genapi.IInteger, FeatureKind.INTEGER),
    )

    def __init__(self, node_map: Any) -> None:  # noqa: ANN401 - genicam has no types
        self._nodes = node_map

    def has(self, name: str) -> bool:
        """Return whether the camera has the feature, and lets it be used now."""
        node = getattr(self._nodes, name, None)
        return node is not None and genapi.EAccessMode.values[node.get_access_mode()].name not in {"NI", "NA"}

    def kind(self, name: str) -> FeatureKind:
        """Return what a feature takes."""
        node = getattr(self._nodes, name)
        return next((kind for type_, kind in self._KINDS if isinstance(node, type_)), FeatureKind.TEXT)

    def choices(self, name: str) -> Sequence[str]:
        """Return what a choice can be set to."""
        return tuple(getattr(self._nodes, name).symbolics)

    def bounds(self, name: str) -> tuple[float, float]:
        """Return the lowest and the highest value of a number."""
        node = getattr(self._nodes, name)
        return node.min, node.max

    def get(self, name: str) -> Value:
        """Return the feature's value."""
        value: Value = getattr(self._nodes, name).value
        return value

    def set(self, name: str, value: Value) -> None:
        """Set the feature, or execute a command."""
        node = getattr(self._nodes, name)
        try:
            if self.kind(name) is FeatureKind.COMMAND:
                node.execute()
            else:
                node.value = int(value) if self.kind(name) is FeatureKind.INTEGER else value
        except genapi.GenericException as error:
            raise RefusedError(str(error)) from error

    def set_packet_size(self, size_bytes: int | None) -> int:
        """Set the packets' size; without one the producer decides."""
        if size_bytes is not None:
            self.set("GevSCPSPacketSize", size_bytes)
        return size_bytes or 0


class GentlSource:
    """A camera of a GenTL producer. Everything of the producer's runs in a thread of this source's own."""

    numbers_parts = False

    def __init__(self, camera: CameraSettings, clock: Clock) -> None:
        self._address = parse_address(camera.source.get_secret_value())
        self._settings = camera.gige
        self._stall_s = camera.stall_ms / 1_000
        self._clock = clock
        self._exposure_clock = ExposureClock(camera.clock)
        self._limit = camera.limit
        self._read = 0
        self._harvester: Any = None
        self._acquirer: Any = None
        self._thread: ThreadPoolExecutor | None = None
        self.counts: Counter[str] = Counter()

    async def open(self) -> None:
        """Load the producer, take the camera and start it."""
        await self.close()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gentl")
        await self._in_thread(self._open)

    async def read(self) -> Shot | None:
        """Return the next exposure."""
        if self._acquirer is None:
            raise AssertionError("read() before open()")
        if self._limit is not None and self._read >= self._limit:
            return None
        while (shot := await self._in_thread(self._fetch)) is None:
            pass
        self._read += 1
        return shot

    async def close(self) -> None:
        """Let go of the camera and of the producer."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown(wait=False)

    def _open(self) -> None:
        self._harvester = Harvester()
        self._harvester.add_file(str(self._address.producer), check_existence=True, check_validity=True)
        self._harvester.update()
        found = [device.serial_number for device in self._harvester.device_info_list]
        if self._address.serial not in found and (self._address.serial or len(found) != 1):
            raise SourceUnavailableError(
                f"{self._address.producer.name} finds no camera {self._address.serial!r}",
                f"It finds {', '.join(map(str, found)) or 'none'}.",
            )
        self._acquirer = self._harvester.create({"serial_number": self._address.serial or found[0]})
        configure(GentlFeatures(self._acquirer.remote_device.node_map), self._settings, synchronise=True)
        self._acquirer.start()

    def _fetch(self) -> Shot | None:
        try:
            buffer = self._acquirer.fetch(timeout=self._stall_s)
        except gentl.TimeoutException:
            if self._settings.trigger == "none":
                raise
            return None
        received_ns = self._clock.utc_ns()
        with buffer:
            at_ns, source = self._exposure_clock.exposed_at(buffer.timestamp_ns, received_ns)
            pixels = _picture(buffer.payload.components)
        if pixels is None:
            self.counts["frames_incomplete"] += 1
            return Shot(None, at_ns, time_source=source, fault=Fault.INCOMPLETE)
        return Shot(pixels, at_ns, time_source=source)

    def _close(self) -> None:
        acquirer, self._acquirer = self._acquirer, None
        harvester, self._harvester = self._harvester, None
        try:
            if acquirer is not None:
                acquirer.destroy()
        finally:
            if harvester is not None:
                harvester.reset()

    async def _in_thread(self, step: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, step)
        except (gentl.GenericException, genapi.GenericException, OSError) as error:
            raise map_error(error, self._address) from error


def _picture(components: Sequence[Any]) -> Picture | None:
    """Return the picture of a payload's first part, or None when there is none that is whole and known."""
    if not components:
        return None
    part = components[0]
    pixel_format = by_name(part.data_format)
    if pixel_format is None:
        return None
    try:
        return decode(pixel_format, part.data.tobytes(), part.width, part.height)
    except PictureError:
        return None
