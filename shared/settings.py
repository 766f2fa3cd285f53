"""Frozen settings: a TOML file, overridden by `LINEWARDEN_...` environment variables, read once.

Nested names join with two underscores: `LINEWARDEN_BUS__URL=kafka://broker:9092` sets `url` in `[bus]`.
Addresses are secrets, since they may carry a password: they print as `**********`.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from shared.alerting_settings import AlertingSettings
from shared.camera_settings import (
    CameraSettings,
    Member,
    Name,
    PartsSettings,
    Section,
)
from shared.clock import NS_PER_MS
from shared.console_settings import ConsoleSettings
from shared.domain import GateMode
from shared.errors import ConfigError
from shared.evidence_settings import EvidenceSettings
from shared.gate_settings import gate_misfit, with_delay
from shared.partition_plan import Wanted
from shared.policy import LinePolicy, misfit
from shared.redaction import redact
from shared.settings_checks import check_together
from shared.settings_errors import explain, suggestion
from shared.shifts import Shifts, zone_of
from shared.topics import Topics

PREFIX = "LINEWARDEN_"
HEADER_BYTES = 16 * 1024
"""More than what a message holds beside its payload."""
ShiftStart = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class BusSettings(Section):
    """Where messages travel; `replication_factor` is for the topics that linewarden creates: 3 on a real cluster.

    A frame of `claim_check_kib` or more, encoded, lies in the store, and only a reference to it travels:
    `max_message_bytes` does not limit it. Without it all frames travel.
    """

    url: SecretStr = SecretStr("memory://")
    topic_prefix: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,60}$")] = "linewarden"
    max_message_bytes: Annotated[int, Field(ge=64 * 1024, le=64 * 1024 * 1024)] = 8 * 1024 * 1024
    replication_factor: Annotated[int, Field(ge=1, le=9)] = 1
    prefetch_mib: Annotated[int, Field(ge=1, le=1_024)] = 16
    compression: Literal["none", "lz4", "zstd"] = "none"
    claim_check_kib: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _no_gap(self) -> Self:
        by_reference_from = self.claim_check_bytes
        if by_reference_from is not None and by_reference_from + HEADER_BYTES > self.max_message_bytes:
            raise ValueError(
                f"claim_check_kib must be at least {HEADER_BYTES // 1024} KiB below max_message_bytes, or frames in"
                " between could go neither way"
            )
        return self

    @property
    def claim_check_bytes(self) -> int | None:
        """Return from how many bytes on a payload goes by reference; None for never."""
        return None if self.claim_check_kib is None else self.claim_check_kib * 1024

    @property
    def embedded(self) -> bool:
        """Return whether the bus lives in this process."""
        return self.url.get_secret_value() == "memory://"

    @property
    def raw_bytes(self) -> int:
        """Return up to how many bytes a picture goes as it is: to encode it would cost more than to pass it on."""
        return (self.max_message_bytes - HEADER_BYTES) * 100 // 101 if self.embedded else 0


class StoreSettings(Section):
    """Where live state is kept, and how long.

    `payload_url` is a Redis of their own for the payloads of large frames, or `shm:///NAME[?mib=ROOM]`, the shared
    memory of the one machine on which all roles run; without it they lie in the Redis of `url`. The
    pictures and evidence of a line share `picture_mib`, and the oldest go first; what a review keeps of it shares
    `review_mib`, where nothing goes by itself. Its shifts are counted for `shift_days`.
    """

    url: SecretStr = SecretStr("memory://")
    payload_url: SecretStr | None = None
    key_prefix: Annotated[str, Field(min_length=1, max_length=60)] = "linewarden"
    part_retention_s: Annotated[int, Field(ge=10)] | None = None
    picture_ttl_s: Annotated[int, Field(ge=1)] | None = None
    picture_mib: Annotated[int, Field(ge=1, le=65_536)] | None = None
    review_mib: Annotated[int, Field(ge=0, le=65_536)] | None = None
    shift_days: Annotated[int, Field(ge=2, le=10_000)] = 400
    stream_length: Annotated[int, Field(ge=100)] | None = None

    @property
    def retention_s(self) -> int:
        """Return how long a part is remembered, in seconds.

        On Redis that must outlast the longest outage after which messages are redelivered; the embedded store and bus
        end together, so a minute will do.
        """
        return self.part_retention_s or (60 if self.embedded else 21_600)

    @property
    def pictures_s(self) -> int:
        """Return how long the picture of a reject is kept, in seconds: an hour, or a minute in this process."""
        return self.picture_ttl_s or (60 if self.embedded else 3_600)

    @property
    def pictures_bytes(self) -> int:
        """Return how much the pictures of one line's rejects may hold: 64 MiB, or 16 in this process's memory."""
        return (self.picture_mib or (16 if self.embedded else 64)) * 1024 * 1024

    @property
    def reviews_bytes(self) -> int:
        """Return how much evidence a line's review may keep on: 256 MiB, or 16 in this process's memory."""
        return (self.review_mib if self.review_mib is not None else 16 if self.embedded else 256) * 1024 * 1024

    @property
    def entries(self) -> int:
        """Return how many decisions and how many alerts of a line are kept."""
        return self.stream_length or (1_000 if self.embedded else 10_000)

    @property
    def embedded(self) -> bool:
        """Return whether the store lives in this process, whose memory it shares."""
        return self.url.get_secret_value() == "memory://"


class LogSettings(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class MetricsSettings(Section):
    """Where Prometheus finds this process's metrics; nowhere without a port. They are for trusted networks alone."""

    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"


class DetectorSettings(Section):
    """The model and how frames are batched for it.

    `linger_ms` is how long a free engine waits for more frames. More than one of `threads` pays only where the engine
    has the cores to itself: threads that wait for each other on a busy machine take many times as long.
    `product` is which of the model's products is made, where it knows several.

    `engine` computes: `torch` and `compiled` run any model, the others one that was exported for them. `auto` is the
    fastest of those, or torch. `onnx_providers` are where `onnx` runs, first choice first.
    """

    model: Path = Path("models/lite")
    product: str | None = None
    member: Member = "detector-0"
    max_batch: Annotated[int, Field(ge=1, le=256)] = 8
    linger_ms: Annotated[float, Field(ge=0, le=1_000)] = 0.0
    queue_mib: Annotated[int, Field(ge=1, le=16_384)] = 128
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    engine: Literal["auto", "torch", "compiled", "openvino", "openvino-bf16", "openvino-int8", "onnx"] = "auto"
    onnx_providers: Annotated[tuple[Literal["cpu", "cuda", "tensorrt"], ...], Field(min_length=1)] = ("cpu",)
    overlay_from: Annotated[float, Field(ge=0, le=12)] = 1.0
    evidence: EvidenceSettings = EvidenceSettings()


class IngestSettings(Section):
    """`spool_mib` bounds what each camera's waiting frames hold, for as long as they can still make their gate."""

    spool_mib: Annotated[int, Field(ge=1, le=16_384)] = 64


class SignalSettings(Section):
    """The gate of a line, or `none` for a line whose decisions are only recorded.

    `url` is `modbus://HOST:PORT`, `opcua://HOST:PORT[/PATH]`, `mqtt://HOST:PORT?prefix=TOPIC` (mqtts:// for TLS), or
    `gpio://gpiochip0?reject=LINE[&ready=LINE]` for digital outputs of this host. `photo_eye` loads each
    part into the shift register of a PLC on modbus:// at exposure, for PLCs without a photo-eye of their own.
    """

    url: SecretStr = SecretStr("none")
    photo_eye: bool = False
    acknowledge_ms: Annotated[int, Field(ge=5, le=10_000)] = 100
    heartbeat_ms: Annotated[int, Field(ge=10, le=5_000)] = 50


class LineSettings(Section):
    """A production line. Parts whose calibrated score reaches `reject_at` are rejected.

    `policy` says more, and may say that in its place. One that was set while the line ran lies in the store, and
    outdoes this one.

    `gate_delay_ms` is the time from exposure to the gate; `actuation_lead_ms` is what the gate needs to move. A gate
    that is reached by counts of the encoder, whatever the speed, has `gate_counts` and `fastest_counts_per_s` instead.
    Parts within `gate_reach_ms`, or `gate_reach_counts`, of each other the gate cannot tell apart: beside a reject none
    passes. `product` is what the line makes: each decision says so. `shifts` are the times of day at which shifts
    begin, in `time_zone`.
    """

    name: Name = "line-1"
    gate: GateMode = GateMode.PASS_ASSERTED
    gate_delay_ms: Annotated[int, Field(ge=20, le=3_600_000)] = 1_500
    actuation_lead_ms: Annotated[int, Field(ge=0, le=60_000)] = 200
    gate_counts: Annotated[int, Field(ge=1, le=2**31)] | None = None
    fastest_counts_per_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    gate_reach_ms: Annotated[float, Field(gt=0, le=60_000)] | None = None
    gate_reach_counts: Annotated[int, Field(ge=1, le=2**31)] | None = None
    reject_at: Annotated[float, Field(gt=0, le=12)] = 2.0
    product: Annotated[str, Field(max_length=60)] = ""
    shifts: tuple[ShiftStart, ...] = ()
    time_zone: Annotated[str, Field(max_length=60)] = "UTC"
    cameras: tuple[CameraSettings, ...] = (CameraSettings(),)
    parts: PartsSettings = PartsSettings()
    signal: SignalSettings = SignalSettings()
    policy: LinePolicy = LinePolicy()

    @model_validator(mode="before")
    @classmethod
    def _derived(cls, values: Any) -> Any:  # noqa: ANN401 - whatever somebody wrote as a line
        """Give the policy the line's `reject_at`, unless it has its own, and the line the delay of its counts."""
        if not isinstance(values, dict) or not isinstance(values.get("policy", {}), dict):
            return values
        values = with_delay(values)
        own = {"reject_at": values["reject_at"]} if "reject_at" in values else {}
        return {**values, "policy": {**own, **values.get("policy", {})}}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.actuation_lead_ms >= self.gate_delay_ms:
            raise ValueError("actuation_lead_ms must be smaller than gate_delay_ms, or no part could be decided")
        names = [camera.name for camera in self.cameras]
        if not names or len(set(names)) < len(names):
            raise ValueError("cameras must have at least one entry and names of their own")
        offsets = [camera.offset_counts for camera in self.cameras]
        gate_problem = gate_misfit(self, identity=self.parts.identity, offsets_counts=offsets)
        problem = misfit(self.policy, names) or gate_problem
        if problem is not None:
            raise ValueError(problem)
        if list(self.shifts) != sorted(set(self.shifts)):
            raise ValueError('shifts must be times of day in their order, such as ["06:00", "14:00", "22:00"]')
        zone_of(self.time_zone)
        self._one_identity()
        return self

    def _one_identity(self) -> None:
        parts = self.parts
        if parts.identity == "trigger" and len(self.cameras) > 1:
            raise ValueError(
                'parts.identity = "trigger" is for one camera: the counts of several begin each on their own; use'
                " encoder, register or window"
            )
        if parts.address is not None and parts.url is None and self.signal.url.get_secret_value() == "none":
            raise ValueError("parts.address needs parts.url, modbus://HOST:PORT: the line's signal has no PLC")
        if parts.identity == "register" and any(camera.offset_ms for camera in self.cameras):
            raise ValueError("offset_ms cannot go with identity register: its number is of the part at one camera")
        if parts.identity != "encoder" and any(camera.offset_counts for camera in self.cameras):
            raise ValueError("offset_counts is for parts.identity encoder; offset_ms is a camera's place in time")
        late_ms = max(camera.offset_ms for camera in self.cameras)
        if late_ms >= self.gate_delay_ms - self.actuation_lead_ms:
            raise ValueError(
                "offset_ms must be smaller than gate_delay_ms - actuation_lead_ms, or the camera sees too late"
            )

    def shift_times(self) -> Shifts:
        """Return the line's shifts."""
        return Shifts(self.shifts, zone_of(self.time_zone))

    @property
    def gate_delay_ns(self) -> int:
        """Return the time from exposure to the gate, in nanoseconds."""
        return self.gate_delay_ms * NS_PER_MS

    @property
    def actuation_lead_ns(self) -> int:
        """Return the time that the gate needs, in nanoseconds."""
        return self.actuation_lead_ms * NS_PER_MS

    def decide_by_ns(self, captured_at_ns: int) -> int:
        """Return the UTC instant by which the gate must know, for a part captured at `captured_at_ns`."""
        return captured_at_ns + self.gate_delay_ns - self.actuation_lead_ns


class Settings(BaseSettings):
    """Everything that a process of linewarden is told."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        hide_input_in_errors=True,
    )

    bus: BusSettings = BusSettings()
    store: StoreSettings = StoreSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    ingest: IngestSettings = IngestSettings()
    detector: DetectorSettings = DetectorSettings()
    alerting: AlertingSettings = AlertingSettings()
    console: ConsoleSettings | None = None
    lines: tuple[LineSettings, ...] = (LineSettings(),)
    start_within_s: Annotated[float, Field(ge=0, le=3_600)] = 60.0
    """How long a role that starts waits for bus and store: a plant's power comes back for all at once."""
    drain_s: Annotated[float, Field(ge=0, le=600)] = 5.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [line.name for line in self.lines]
        if not names or len(set(names)) < len(names):
            raise ValueError("lines must have at least one entry and names of their own")
        # pydantic passes on what is no ValueError: these have a remedy.
        check_together(self)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment override the file, which arrives as constructor arguments."""
        return env_settings, init_settings

    @property
    def topics(self) -> Topics:
        """Return the topic names."""
        return Topics(self.bus.topic_prefix)

    @property
    def wanted(self) -> Wanted:
        """Return what needs a place in the partition plan."""
        return Wanted(
            lines=tuple(line.name for line in self.lines),
            cameras={f"{line.name}/{camera.name}": camera.partitions for line in self.lines for camera in line.cameras},
        )


def load(path: Path | None = None, **overrides: object) -> Settings:
    """Read the settings of a TOML file, if one is given, and of the environment.

    Raises `ConfigError` naming the first setting that is unknown or out of range, and what is allowed.
    """
    return from_dict({**(_read(path) if path else {}), **overrides}, origin=str(path) if path else "the settings")


def from_dict(values: dict[str, Any], *, origin: str = "the settings") -> Settings:
    """Build settings from plain values; raises `ConfigError` like `load`."""
    _refuse_unknown_environment()
    try:
        return Settings(**values)
    except ValidationError as error:
        raise explain(error.errors(include_url=False, include_input=False), origin, Settings) from None
    except SettingsError as error:
        raise ConfigError(
            f"the environment: {redact(str(error))}",
            "Write one value as LINEWARDEN_BUS__URL=..., or a section as JSON.",
        ) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise ConfigError(
            f"settings file {str(path)!r} does not exist", "`linewarden dev up --config FILE` writes one to start from."
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"settings file {str(path)!r} cannot be read: {redact(str(error))}") from None


def _refuse_unknown_environment() -> None:
    for variable in os.environ:
        if variable.startswith(PREFIX):
            section = variable[len(PREFIX) :].split("__")[0].lower()
            if section not in Settings.model_fields:
                raise ConfigError(
                    f"environment variable {variable} names no setting{suggestion(section, Settings.model_fields)}",
                    "Unset it, or correct its name.",
                )
