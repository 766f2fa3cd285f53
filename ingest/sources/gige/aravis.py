"""A GigE Vision camera through Aravis, by PyGObject. The only place that imports gi."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import gi

gi.require_version("Aravis", "0.8")
from gi.repository import Aravis, Gio, GLib  # noqa: E402 - the version is chosen before

from ingest.sources.gige.camera import FeatureKind, RawFrame, RefusedError, Value  # noqa: E402
from ingest.sources.gige.receive_buffer import widen  # noqa: E402
from shared.errors import LossCause, SourceUnavailableError  # noqa: E402

_STATISTICS: Final = {
    "n_completed_buffers": "frames_completed",
    "n_failures": "frames_failed",
    "n_underruns": "frames_without_buffer",
    "n_missing_frames": "frames_unseen",
    "n_missing_packets": "packets_missing",
    "n_resend_requests": "packets_asked_again",
    "n_resent_packets": "packets_resent",
    "n_duplicated_packets": "packets_duplicated",
    "n_ignored_packets": "packets_ignored",
    "n_error_packets": "packets_with_error",
}
_SOCKET_FRAMES: Final = 4
_MOST_SOCKET_BYTES: Final = 64 * 2**20
_DEVICE: Final = "arv-device-error-quark"
_HELD: Final = {Aravis.DeviceError.NOT_CONTROLLER, Aravis.DeviceError.PROTOCOL_ERROR_ACCESS_DENIED}
_AWAY: Final = {
    Aravis.DeviceError.NOT_CONNECTED,
    Aravis.DeviceError.TIMEOUT,
    Aravis.DeviceError.TRANSFER_ERROR,
    Aravis.DeviceError.PROTOCOL_ERROR,
    Aravis.DeviceError.NOT_FOUND,
    Aravis.DeviceError.PROTOCOL_ERROR_BUSY,
}


def map_error(error: GLib.Error, address: str) -> Exception:
    """Return our error for one of Aravis': the camera is away, held by another, or refuses what it was told."""
    domain, code, text = str(error.domain), int(error.code), str(error.message)
    if domain == _DEVICE and code in _HELD:
        return SourceUnavailableError(
            f"camera {address} is controlled by another client ({text})", "Close that client.", cause=LossCause.HELD
        )
    if domain == _DEVICE and code not in _AWAY:
        return RefusedError(text)
    if domain.startswith("arv-gc"):
        return RefusedError(text)
    return SourceUnavailableError(f"camera {address} does not answer ({text})", "Check its cable and its power.")


class AravisCamera:
    """A camera that this process controls; see `Camera` for what each method does and raises."""

    def __init__(self, address: str, interface: str) -> None:
        self._address = address
        self._stream: Any = None
        self._parser: Any = None
        self._chunks: Sequence[str] = ()
        try:
            # Not by its name: Aravis would ask all networks for it, and this asks the camera alone.
            self._device: Any = Aravis.GvDevice.new(
                Gio.InetAddress.new_from_string(interface), Gio.InetAddress.new_from_string(address)
            )
            if not self._device.is_controller():
                raise SourceUnavailableError(
                    f"camera {address} is controlled by another client", "Close that client.", cause=LossCause.HELD
                )
            self._camera: Any = Aravis.Camera.new_with_device(self._device)
            self._camera.set_range_check_policy(Aravis.RangeCheckPolicy.ENABLE)
            # As root Aravis would listen to the whole interface. Until its filter is in place it takes any packet for a
            # part of a picture, and with it a frame id that makes it throw away the next hundred frames.
            self._camera.gv_set_stream_options(Aravis.GvStreamOption.PACKET_SOCKET_DISABLED)
            self._camera.gv_set_packet_size_adjustment(Aravis.GvPacketSizeAdjustment.NEVER)
        except GLib.Error as error:
            raise map_error(error, address) from error

    def has(self, name: str) -> bool:
        """Return whether the camera has the feature, and lets it be used now."""
        return bool(self._ask(self._camera.is_feature_available, name))

    def kind(self, name: str) -> FeatureKind:
        """Return what a feature takes."""
        node = self._device.get_feature(name)
        match node:
            case Aravis.GcCommand():
                return FeatureKind.COMMAND
            case Aravis.GcEnumeration():
                return FeatureKind.CHOICE
            case Aravis.GcBoolean():
                return FeatureKind.BOOLEAN
            # A converter or a register node may be both: the interfaces tell, floats first.
            case Aravis.GcFloat():
                return FeatureKind.FLOAT
            case Aravis.GcInteger():
                return FeatureKind.INTEGER
            case _:
                return FeatureKind.TEXT

    def choices(self, name: str) -> Sequence[str]:
        """Return what a choice can be set to now."""
        return tuple(self._ask(self._camera.dup_available_enumerations_as_strings, name))

    def bounds(self, name: str) -> tuple[float, float]:
        """Return the lowest and the highest value of a number."""
        whole = self.kind(name) is FeatureKind.INTEGER
        ask = self._camera.get_integer_bounds if whole else self._camera.get_float_bounds
        lowest, highest = self._ask(ask, name)
        return lowest, highest

    def get(self, name: str) -> Value:
        """Return the feature's value."""
        match self.kind(name):
            case FeatureKind.BOOLEAN:
                return bool(self._ask(self._camera.get_boolean, name))
            case FeatureKind.INTEGER:
                return int(self._ask(self._camera.get_integer, name))
            case FeatureKind.FLOAT:
                return float(self._ask(self._camera.get_float, name))
            case _:
                return str(self._ask(self._camera.get_string, name))

    def set(self, name: str, value: Value) -> None:
        """Set the feature, or execute a command."""
        match self.kind(name):
            case FeatureKind.COMMAND:
                self._ask(self._camera.execute_command, name)
            case FeatureKind.BOOLEAN:
                self._ask(self._camera.set_boolean, name, bool(value))
            case FeatureKind.INTEGER:
                self._ask(self._camera.set_integer, name, int(value))
            case FeatureKind.FLOAT:
                self._ask(self._camera.set_float, name, float(value))
            case _:
                self._ask(self._camera.set_string, name, str(value))

    def set_packet_size(self, size_bytes: int | None) -> int:
        """Set the packets' size, or negotiate it; return it in bytes."""
        if size_bytes is None:
            return int(self._ask(self._camera.gv_auto_packet_size))
        self._ask(self._camera.gv_set_packet_size, size_bytes)
        return int(self._ask(self._camera.gv_get_packet_size))

    def start(self, *, buffers: int, resend: bool, chunks: Sequence[str]) -> None:
        """Begin to take pictures."""
        self._chunks = chunks
        if chunks:
            self._parser = self._camera.create_chunk_parser()
        size_bytes = self._ask(self._camera.get_payload)
        self._stream = self._ask(self._camera.create_stream, None, None)
        choice = Aravis.GvStreamPacketResend
        self._stream.set_property("packet-resend", choice.ALWAYS if resend else choice.NEVER)
        socket_bytes = min(_SOCKET_FRAMES * size_bytes, _MOST_SOCKET_BYTES)
        self._stream.set_property("socket-buffer", Aravis.GvStreamSocketBuffer.FIXED)
        self._stream.set_property("socket-buffer-size", socket_bytes)
        widen(self._stream.get_port(), socket_bytes)
        for _ in range(buffers):
            self._give(Aravis.Buffer.new_allocate(size_bytes))
        self._ask(self._camera.start_acquisition)

    def pop(self, timeout_ms: int) -> RawFrame | None:
        """Return the next frame, whole or not, or None when none came in time."""
        buffer = self._stream.timeout_pop_buffer(timeout_ms * 1_000)
        if buffer is None:
            return None
        try:
            return self._frame(buffer)
        finally:
            self._give(buffer)

    def trigger(self) -> None:
        """Trigger by software."""
        camera = self._camera
        if camera is None:
            raise SourceUnavailableError(f"camera {self._address} was closed meanwhile", "Open it again.")
        self._ask(camera.software_trigger)

    def in_control(self) -> bool:
        """Return whether the camera was still ours when Aravis' heartbeat asked last."""
        return bool(self._device.is_controller())

    def statistics(self) -> Mapping[str, int]:
        """Return what the stream counted since it was started, by name."""
        if self._stream is None:
            return {}
        return {ours: int(self._stream.get_info_uint64_by_name(theirs)) for theirs, ours in _STATISTICS.items()}

    def close(self, *, alive: bool) -> None:
        """Stop and leave control. Aravis takes 10 s for a camera that is gone."""
        if alive:
            try:
                if self._stream is not None:
                    self._camera.stop_acquisition()
                self._device.leave_control()
            except GLib.Error:
                pass  # It went away just now: its control of us lapses by itself.
        # The last references: Aravis ends its threads and closes its sockets with them.
        self._parser = self._stream = self._camera = self._device = None

    def _give(self, buffer: Any) -> None:  # noqa: ANN401 - Aravis has no types
        # A frame whose first packet is lost would come with the id and the time of the buffer's frame before.
        buffer.set_frame_id(0)
        buffer.set_system_timestamp(0)
        self._stream.push_buffer(buffer)

    def _frame(self, buffer: Any) -> RawFrame | None:  # noqa: ANN401 - Aravis has no types
        status = buffer.get_status()
        if status == Aravis.BufferStatus.CLEARED:
            # Nothing of a picture came. Of a frame that lost everything but its end the next frame's id tells.
            return None
        if status != Aravis.BufferStatus.SUCCESS:
            received_ns = buffer.get_system_timestamp() or GLib.get_real_time() * 1_000
            return RawFrame(buffer.get_frame_id() or None, str(status.value_nick), None, received_ns)
        padding_bytes, _ = buffer.get_image_padding()
        return RawFrame(
            frame_id=buffer.get_frame_id(),
            problem=None,
            camera_ns=buffer.get_timestamp() or None,
            received_ns=buffer.get_system_timestamp(),
            format_code=buffer.get_image_pixel_format(),
            width_px=buffer.get_image_width(),
            height_px=buffer.get_image_height(),
            padding_bytes=padding_bytes,
            data=buffer.get_image_data(),
            chunks=self._chunk_values(buffer),
        )

    def _chunk_values(self, buffer: Any) -> Mapping[str, int]:  # noqa: ANN401 - Aravis has no types
        values: dict[str, int] = {}
        if self._parser is None or not buffer.has_chunks():
            return values
        for name in self._chunks:
            try:
                values[name] = int(self._parser.get_integer_value(buffer, name))
            except GLib.Error:
                continue  # A chunk that this frame lacks.
        return values

    def _ask(self, question: Any, *arguments: object) -> Any:  # noqa: ANN401 - Aravis has no types
        try:
            return question(*arguments)
        except GLib.Error as error:
            raise map_error(error, self._address) from error
