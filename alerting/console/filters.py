"""What of alerts, detections and reviews somebody wants to see."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from alerting.console.views import best_score, place_of
from alerting.trends.pareto import Place
from shared.alerts import AlertState, Severity
from shared.domain import Decision
from shared.review import Standing

Name = Annotated[str, Field(max_length=64)]
Score = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


def _none_if_empty(value: object) -> object:
    """Take an empty field of a form for one that says nothing."""
    return None if value == "" else value


class AlertFilter(BaseModel):
    """Of which line and camera, which severity, which place in the picture, from which score on, and what is over."""

    model_config = ConfigDict(frozen=True)

    line: Name = ""
    camera: Name = ""
    severity: Annotated[Severity | None, BeforeValidator(_none_if_empty)] = None
    place: Annotated[Place | None, BeforeValidator(_none_if_empty)] = None
    min_score: Annotated[Score | None, BeforeValidator(_none_if_empty)] = None
    over: Literal["", "yes"] = ""

    @property
    def any(self) -> bool:
        """Return whether anything is left out."""
        return bool(self.line or self.camera or self.severity or self.place or self.min_score is not None)

    def lets_alert(self, alert: dict[str, Any]) -> bool:
        """Return whether an alert is wanted, as the API tells it."""
        if alert["state"] == AlertState.OVER and not self.over:
            return False
        of_line = self.line in {"", alert["line"]} and self.camera in {"", alert["subject"]}
        return of_line and self.severity in {None, alert["severity"]}

    def lets_part(self, decision: Decision) -> bool:
        """Return whether a part is wanted that did not pass."""
        findings = [found for found in decision.findings if self.camera in {"", found.camera}]
        if self.camera and not findings:
            return False
        if self.place is not None and self.place not in {place_of(found) for found in findings}:
            return False
        score = best_score(findings)
        return self.min_score is None or (score is not None and score >= self.min_score)


class ReviewFilter(BaseModel):
    """Of which line, and what stands so."""

    model_config = ConfigDict(frozen=True)

    line: Name = ""
    standing: Annotated[Standing | None, BeforeValidator(_none_if_empty)] = None

    @property
    def any(self) -> bool:
        """Return whether anything is left out."""
        return bool(self.line or self.standing)
