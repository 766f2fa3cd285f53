"""The system that a campaign starts: two lines, three cameras, two detectors, and one or two who may signal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

GATE_DELAY_S: Final = 1.5
_TEMPLATE: Final = """\
[bus]
url = "{bus}"
topic_prefix = "faults"

[store]
url = "{store}"
key_prefix = "faults"

[detector]
model = "{model}"
member = "{member}"

[alerting]
member = "{member}"
standby = {standby}

[[lines]]
name = "single"
gate_delay_ms = {gate_delay_ms}
reject_at = 2.0
cameras = [{{ name = "camera", source = "rendered", rate_hz = {rate_hz} }}]
signal = {{ url = "{plcs[single]}", photo_eye = true }}

[[lines]]
name = "pair"
gate_delay_ms = {gate_delay_ms}
reject_at = 2.0
cameras = [
  {{ name = "left", source = "rendered", rate_hz = {pair_rate_hz} }},
  {{ name = "right", source = "rendered", rate_hz = {pair_rate_hz} }},
]
signal = {{ url = "{plcs[pair]}", photo_eye = true }}
"""
LINES: Final = ("single", "pair")


@dataclass(frozen=True, slots=True)
class SystemConfig:
    """Where the servers are; the line of one camera takes two thirds of the parts, that of two cameras the rest."""

    bus: str
    store: str
    plcs: dict[str, str]
    model: Path
    parts_per_s: float
    standby: bool = False

    def write(self, path: Path, *, member: str) -> None:
        """Write the settings of the roles, with `member` for a detector or an alerting process."""
        path.write_text(
            _TEMPLATE.format(
                bus=self.bus,
                store=self.store,
                plcs=self.plcs,
                model=self.model,
                member=member,
                standby=str(self.standby).lower(),
                gate_delay_ms=round(GATE_DELAY_S * 1000),
                rate_hz=self.parts_per_s * 2 / 3,
                pair_rate_hz=self.parts_per_s / 3,
            ),
            encoding="utf-8",
        )
