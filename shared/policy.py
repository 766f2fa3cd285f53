"""A line's policy: which scores reject, what of a picture counts, and what silence and runs of rejects lead to.

It is set in `[lines.policy]`, and changed while the line runs by `linewarden policy set`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from shared.camera_settings import Name, Pixels, Section
from shared.errors import ConfigError

Polygon: TypeAlias = tuple[tuple[Pixels, Pixels], ...]
Masks: TypeAlias = tuple[Annotated[Polygon, Field(min_length=3)], ...]
Threshold = Annotated[float, Field(gt=0, le=12, allow_inf_nan=False)]
RawThreshold = Annotated[float, Field(allow_inf_nan=False)]
Area = Annotated[int, Field(ge=0)]
_SHOWN: Final = 3
_MOST_CAMERAS: Final = 64


def _rule(value: object) -> object:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value not in ("any", "all") and not (whole and value in range(1, _MOST_CAMERAS + 1)):
        raise ValueError(f"it must be any, all, or how many cameras must reject: 1 to {_MOST_CAMERAS}")
    return value


Rule = Annotated[Literal["any", "all"] | int, BeforeValidator(_rule)]


class Borderline(StrEnum):
    """What a score within the borderline band leads to; `alert` passes the part and tells an operator."""

    PASS = "pass"  # noqa: S105 - what is done with a part, not a password
    REJECT = "reject"
    ALERT = "alert"


class Silence(StrEnum):
    """What a part that was not inspected leads to: its own default reject, that and a halted line, or a PASS."""

    REJECT = "reject"
    STOP = "stop"
    PASS = "pass"  # noqa: S105 - what is done with a part, not a password


class RunAction(StrEnum):
    """What too many rejects lead to."""

    ALERT = "alert"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for one camera; None is no such limit, and a minimum area of 0 counts every region."""

    reject_at: float
    reject_raw_at: float | None
    borderline_from: float | None
    minimum_area_px: int
    masks: tuple[Polygon, ...]

    @property
    def attention_at(self) -> float:
        """Return the calibrated score below which nothing but a raw score can make anybody look."""
        return self.reject_at if self.borderline_from is None else min(self.reject_at, self.borderline_from)


class CameraPolicy(Section):
    """What one camera has of its own; what is left out is the line's."""

    reject_at: Threshold | None = None
    reject_raw_at: RawThreshold | None = None
    borderline_from: Threshold | None = None
    minimum_area_px: Area | None = None
    masks: Masks | None = None


class RunPolicy(Section):
    """What many rejects lead to.

    Too many are `rejects_in_a_row` one after another, or more than `share_percent` of the last `share_parts` inspected
    parts; without a number there is no such rule. Parts that nobody inspected count for neither.
    """

    rejects_in_a_row: Annotated[int, Field(ge=1, le=10_000)] | None = None
    row_action: RunAction = RunAction.ALERT
    share_percent: Annotated[float, Field(ge=0, lt=100, allow_inf_nan=False)] | None = None
    share_parts: Annotated[int, Field(ge=1, le=10_000)] = 100
    share_action: RunAction = RunAction.ALERT


class LinePolicy(Section):
    """How the verdicts of a part become its outcome.

    A camera rejects when its calibrated score reaches `reject_at` or, where it is set, its raw score `reject_raw_at`;
    not so when the verdict names regions, names all of them, and each is smaller than `minimum_area_px` or lies whole
    within one of the `masks` (polygons of x, y in pixels of the frame). `rule` says how many cameras must reject to
    reject the part: `any`, `all`, or a number. A score from `borderline_from` up to `reject_at` leads to
    `borderline_action`. `per_camera` overrides limits for a camera by its name.

    Whatever is set, a part passes only when every camera inspected it; `on_silence = "pass"` breaks that, and needs
    `trial = true` beside it.
    """

    reject_at: Threshold = 2.0
    reject_raw_at: RawThreshold | None = None
    minimum_area_px: Area = 0
    masks: Masks = ()
    rule: Rule = "any"
    borderline_from: Threshold | None = None
    borderline_action: Borderline = Borderline.ALERT
    on_silence: Silence = Silence.REJECT
    trial: bool = False
    runs: RunPolicy = RunPolicy()
    per_camera: dict[Name, CameraPolicy] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.on_silence is Silence.PASS and not self.trial:
            raise ValueError('on_silence = "pass" lets parts pass that nobody saw: a trial run sets trial = true too')
        if self.borderline_from is not None and self.borderline_from >= self.reject_at:
            raise ValueError("borderline_from must be smaller than reject_at, where the band ends")
        return self

    def limits(self, camera: str) -> Limits:
        """Return what holds for a camera."""
        return self._limits.get(camera, self._shared)

    def rejects_needed(self, cameras: int) -> int:
        """Return how many of so many cameras must reject: one at least, and never more than there are."""
        wanted = {"any": 1, "all": cameras}.get(self.rule, 1) if isinstance(self.rule, str) else self.rule
        return max(1, min(wanted, cameras))

    @cached_property
    def _shared(self) -> Limits:
        return Limits(self.reject_at, self.reject_raw_at, self.borderline_from, self.minimum_area_px, self.masks)

    @cached_property
    def _limits(self) -> dict[str, Limits]:
        return {
            name: Limits(
                reject_at=_own(camera.reject_at, self.reject_at),
                reject_raw_at=_own(camera.reject_raw_at, self.reject_raw_at),
                borderline_from=_own(camera.borderline_from, self.borderline_from),
                minimum_area_px=_own(camera.minimum_area_px, self.minimum_area_px),
                masks=_own(camera.masks, self.masks),
            )
            for name, camera in self.per_camera.items()
        }


def misfit(policy: LinePolicy, cameras: Collection[str]) -> str | None:
    """Return why a policy does not fit a line with these cameras, or None."""
    strangers = sorted(policy.per_camera.keys() - set(cameras))
    if strangers:
        return f"policy.per_camera names {strangers[0]!r}, and the line's cameras are {', '.join(sorted(cameras))}"
    if isinstance(policy.rule, int) and policy.rule > len(cameras):
        return f"policy.rule wants {policy.rule} cameras to reject, and the line has {len(cameras)}"
    return None


def policy_from(values: dict[str, Any], origin: str = "the policy") -> LinePolicy:
    """Return the policy of plain values; ConfigError names the first that cannot be used."""
    try:
        return LinePolicy.model_validate(values)
    except ValidationError as error:
        raise _refusal(error, origin) from None


def policy_from_json(text: str | bytes, origin: str = "the policy") -> LinePolicy:
    """Read what `LinePolicy.model_dump_json` wrote; ConfigError for anything else, and for what is newer."""
    try:
        return LinePolicy.model_validate_json(text)
    except ValidationError as error:
        raise _refusal(error, origin) from None


def _own(own: Any, shared: Any) -> Any:  # noqa: ANN401 - of whatever type the limit is
    return shared if own is None else own


def _refusal(error: ValidationError, origin: str) -> ConfigError:
    first = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(str(step) for step in first["loc"][:_SHOWN])
    if first["type"] == "extra_forbidden":
        known = ", ".join(sorted(LinePolicy.model_fields))
        return ConfigError(f"{origin}: unknown setting {name!r}", f"Known are: {known}.")
    message = first["msg"].removeprefix("Value error, ")
    where = f"setting {name!r} cannot be used: " if name else ""
    return ConfigError(f"{origin}: {where}{message[0].lower()}{message[1:]}")
