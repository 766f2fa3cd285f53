"""Write the settings file of a development line, with all addresses in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ConfigError

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TEMPLATE = """\
# The settings of one line. Any value can be overridden by the environment: LINEWARDEN_BUS__URL sets url in [bus].

[bus]
url = {bus}
topic_prefix = {run}

[store]
url = {store}
key_prefix = {run}

[detector]
model = {model}

[[lines]]
name = "line-1"
gate = "pass-asserted"      # the gate rests rejecting: only an asserted PASS opens it
gate_delay_ms = 1500        # from exposure to the gate
actuation_lead_ms = 200     # what the gate needs to move
reject_at = 2.0             # reject what only one good part in 10^2 would score

[[lines.cameras]]
name = "camera"
source = {source}
rate_hz = {rate_hz}
limit = {limit}
slate = {slate}

[lines.signal]
url = {plc}
photo_eye = true
"""


@dataclass(frozen=True, slots=True)
class LineConfig:
    """What differs from one development line to the next."""

    bus: str
    store: str
    plc: str
    run: str
    model: Path
    source: str
    rate_hz: float
    limit: int
    slate: bool

    def write(self, path: Path) -> None:
        """Write the TOML file, replacing one that is there; raises `ConfigError` when that cannot be done."""
        text = _TEMPLATE.format(
            bus=_quoted(self.bus),
            store=_quoted(self.store),
            plc=_quoted(self.plc),
            run=_quoted(self.run),
            model=_quoted(str(self.model)),
            source=_quoted(self.source),
            rate_hz=self.rate_hz,
            limit=self.limit,
            slate=str(self.slate).lower(),
        )
        try:
            # Addresses may carry passwords: nobody else may read the file, not even for a moment.
            path.touch(mode=0o600)
            path.chmod(0o600)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write {str(path)!r}: {error.strerror}", "Give --config another file.") from None


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    # TOML allows no control character in a string as it is.
    return '"' + _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'
