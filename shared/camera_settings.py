"""What a camera is told: where it is, how it takes pictures, and what is done to them before anybody looks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from shared.domain import Picture
from shared.wire import Encoding

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,30}$")]
# As long as a pod's name, which is given as it is: cut to fewer letters, two replicas could be taken for one.
Member = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Pixels = Annotated[int, Field(ge=0, le=65_535)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
_CORNERS = 3


class Section(BaseModel):
    """Frozen, complete, and never printing what it was given."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class GigeSettings(Section):
    """A GigE Vision camera's features; None leaves what the camera has.

    `trigger` is `none` for free run, `software`, or the input that triggers, such as `Line1`. `packet_size_bytes` None
    negotiates the largest that the network carries. `features` sets any other GenICam feature by its name, in order.
    """

    pixel_format: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,40}$")] | None = None
    exposure_us: Annotated[float, Field(gt=0)] | None = None
    gain_db: Annotated[float, Field(ge=0)] | None = None
    frame_rate_hz: Annotated[float, Field(gt=0)] | None = None
    region_px: tuple[Pixels, Pixels, Pixels, Pixels] | None = None
    trigger: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,40}$")] = "none"
    packet_size_bytes: Annotated[int, Field(ge=576, le=16_384)] | None = None
    packet_delay_ns: Annotated[int, Field(ge=0)] | None = None
    packet_resend: bool = True
    buffers: Annotated[int, Field(ge=2, le=256)] = 8
    chunks: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,40}$")], ...] = ()
    features: dict[str, bool | int | float | str] = {}


class RtspSettings(Section):
    """How a stream is fetched: over TCP, which loses nothing, or UDP, where a loss is not always noticed.

    A camera that has not opened within `open_ms` is away. An rtsps:// camera has to show a certificate that names its
    address and is signed by an authority of `ca_file` (which may be that very certificate), or else of the system;
    without `verify_certificate` any will do, and the login can be read by whoever stands between.
    """

    transport: Literal["tcp", "udp"] = "tcp"
    open_ms: Annotated[int, Field(ge=100)] = 1_800
    verify_certificate: bool = True
    ca_file: Path | None = None


class PartsSettings(Section):
    """How the cameras of a line know which part they see.

    `camera`: each source numbers them itself, or counts its exposures. `trigger`: the camera's count of its triggers.
    `encoder`: the conveyor's count, of the camera's chunk data or of a PLC register, divided by `pitch_counts`.
    `register`: the number in a PLC register. `window`: exposures within `window_ms` of each other, less the cameras'
    `offset_ms`, show one part. The register is `words` holding registers from `address` on, high word first, at `url`,
    or at the line's signal. The PLC must hold a part's number until the next part is exposed; it is read when a picture
    arrives, and one that is older than `fresh_ms` by then is not identified by it.
    """

    identity: Literal["camera", "trigger", "encoder", "register", "window"] = "camera"
    pitch_counts: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    window_ms: Annotated[float, Field(gt=0, le=60_000)] = 50.0
    url: SecretStr | None = None
    address: Annotated[int, Field(ge=0, le=65_535)] | None = None
    words: Literal[1, 2] = 2
    fresh_ms: Annotated[float, Field(gt=0, le=60_000)] = 250.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.identity == "encoder" and self.pitch_counts is None:
            raise ValueError('identity = "encoder" needs pitch_counts: how many counts lie between two parts')
        if self.identity == "register" and self.address is None:
            raise ValueError('identity = "register" needs address: the first holding register of the part\'s number')
        return self


class GeometrySettings(Section):
    """What is done to a picture's geometry before it is sent, in this order.

    Lens distortion is taken out (`lens_matrix` fx, fy, cx, cy in pixels, `lens_distortion` as OpenCV orders it), the
    picture is aligned with the `reference` picture by a `shift` or an `affine` map, turned clockwise by `rotate_deg`,
    cut to `crop_px` (left, top, width, height), and what lies in one of the `masks` (polygons of x, y) is made grey.
    """

    lens_matrix: tuple[Finite, Finite, Finite, Finite] | None = None
    lens_distortion: tuple[Finite, ...] = ()
    align: Literal["none", "shift", "affine"] = "none"
    reference: Path | None = None
    rotate_deg: Annotated[float, Field(gt=-360, lt=360)] = 0.0
    crop_px: tuple[Pixels, Pixels, Pixels, Pixels] | None = None
    masks: tuple[tuple[tuple[Pixels, Pixels], ...], ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.align == "none") != (self.reference is None):
            raise ValueError("align and reference go together: a picture is aligned with the reference picture")
        if self.lens_distortion and self.lens_matrix is None:
            raise ValueError("lens_distortion needs lens_matrix: fx, fy, cx, cy")
        if self.lens_matrix is not None and len(self.lens_distortion) not in {4, 5, 8, 12, 14}:
            raise ValueError("lens_distortion has 4, 5, 8, 12 or 14 coefficients, as OpenCV's calibration gives them")
        if self.crop_px is not None and 0 in self.crop_px[2:]:
            raise ValueError("crop_px is left, top, width, height, and neither width nor height is 0")
        if any(len(mask) < _CORNERS for mask in self.masks):
            raise ValueError("a mask is a polygon of three corners or more")
        return self


class CameraSettings(Section):
    """A camera or a stand-in.

    `source` is `rendered`, a folder of pictures, a video file, a recording (`.mcap`), rtsp://, rtsps://,
    gige://SERIAL-OR-ADDRESS-OR-USER-NAME, or gentl://PRODUCER.cti?id=SERIAL.

    `rate_hz` paces what is not live; `limit` ends a source after so many pictures; `slate` says that each picture
    carries a strip with its part number, as `linewarden` burns into the streams that it serves. `partitions` above 1
    spread one fast camera over as many detector replicas. Frames beyond `max_rate_hz` are not sent, so that a camera
    whose trigger runs wild takes no others' time: their parts default. `clock` is whose time tells when a frame was
    exposed: the camera's where it is plausible (`auto`), or always the `camera`'s or that of the `receipt`.
    A recording, and a film without `rate_hz`, is played at its own pace, `speed` times as fast. `stall_ms` without a
    picture is a lost camera.
    `encoding` `auto` is JPEG for 8 bits and PNG, which keeps them all, for 16; raw on a bus inside this process.
    The camera sees a part `offset_ms` of time, and `offset_counts` of the encoder, after the line's first camera.
    `limits` is the file that `linewarden cameras calibrate` wrote: pictures outside of it are not inspected.
    """

    name: Name = "camera"
    source: SecretStr = SecretStr("rendered")
    rate_hz: Annotated[float, Field(gt=0, le=1_000)] = 10.0
    max_rate_hz: Annotated[float, Field(gt=0, le=10_000)] | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    encoding: Encoding | Literal["auto"] = "auto"
    jpeg_quality: Annotated[int, Field(ge=50, le=100)] = 95
    slate: bool = False
    stall_ms: Annotated[int, Field(ge=100)] = 1_500
    clock: Literal["auto", "camera", "receipt"] = "auto"
    speed: Annotated[float, Field(gt=0, le=1_000)] = 1.0
    partitions: Annotated[int, Field(ge=1, le=64)] = 1
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    defect_rate: Annotated[float, Field(ge=0, le=1)] = 0.15
    width_px: Annotated[int, Field(ge=64, le=8_192)] = 640
    height_px: Annotated[int, Field(ge=64, le=8_192)] = 480
    offset_ms: Annotated[float, Field(ge=0, le=3_600_000)] = 0.0
    offset_counts: int = 0
    limits: Path | None = None
    gige: GigeSettings = GigeSettings()
    rtsp: RtspSettings = RtspSettings()
    geometry: GeometrySettings = GeometrySettings()

    def encoding_of(self, picture: Picture, *, raw_up_to: int = 0) -> Encoding:
        """Return how a picture of this camera travels; of at most `raw_up_to` bytes it may as well go as it is."""
        if self.encoding != "auto":
            return self.encoding
        if picture.nbytes <= raw_up_to:
            return Encoding.RAW
        return Encoding.JPEG if picture.dtype == np.uint8 else Encoding.PNG
