"""A part's evidence as one zip file: to download, to send along, and to settle a dispute with. Pure reading."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
import zlib
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from shared.clock import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from shared.evidence import CameraEvidence, PartEvidence
    from shared.ledger.chain import LedgerRecord, Link
    from shared.review import Case

FORMAT: Final = 1
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]")
_SUMMED: Final = re.compile(r"-[0-9a-f]{8}$")
_RESERVED: Final = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]")
_LONGEST: Final = 60
_FILES: Final = {"picture": "picture.jpg", "heat_map": "heat_map.png", "overlay": "overlay.jpg", "golden": "golden.jpg"}


def safe_name(text: str) -> str:
    """Return a name that no file system takes for a path or refuses; different texts have different names.

    They differ on those too that take capitals for small letters. What has nothing but small letters, digits, `_` and
    `-` mostly stays as it is; else a checksum tells texts apart.
    """
    name = _UNSAFE.sub("_", text)[:_LONGEST]
    plain = (
        name and name == text and text == text.lower() and not _SUMMED.search(name) and not _RESERVED.fullmatch(name)
    )
    return name if plain else f"{name}-{zlib.crc32(text.encode()):08x}"


class EvidencePack:
    """What is kept of a part, and what people said of it, for whoever was not there."""

    def __init__(self, part: PartEvidence, case: Case | None = None, record: LedgerRecord | None = None) -> None:
        """Pack what the store gave: `Store.evidence`, `Store.review_case` and `Store.ledger_record`."""
        self._part = part
        self._case = case
        self._link = None if record is None else record.link

    @property
    def name(self) -> str:
        """Return the folder that all lies in, and with `.zip` the file's name: line and part."""
        decision = self._part.decision
        return f"{safe_name(decision.line)}_{safe_name(decision.part_id)}"

    def to_json(self) -> dict[str, Any]:
        """Return all that is known but for the pictures, under stable names; pictures are named by their files."""
        part = self._part
        decision = part.decision
        return {
            "format": FORMAT,
            "line": decision.line,
            "part_id": decision.part_id,
            "why_kept": part.why,
            "kept_on": part.kept_on,
            "captured_at": _utc(decision.captured_at_ns),
            "decision": asdict(decision),
            "timings_ms": timings_ms(part),
            "cameras": {name: self._camera_json(name, seen) for name, seen in part.cameras.items()},
            "cameras_without_evidence": sorted({one.camera for one in decision.findings} - part.cameras.keys()),
            "review": None if self._case is None else self._case.to_json(),
            "ledger": None if self._link is None else _link_json(self._link),
            "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in self.files().items()},
        }

    def files(self) -> dict[str, bytes]:
        """Return the pictures by their names within the folder: CAMERA/picture.jpg and so on."""
        return {
            f"{safe_name(camera)}/{_FILES[kind]}": data
            for camera, seen in self._part.cameras.items()
            for kind, data in _pictures(seen).items()
            if data
        }

    def zip_bytes(self) -> bytes:
        """Return the zip: the same evidence gives the same bytes."""
        text = msgspec.json.format(msgspec.json.encode(self.to_json()), indent=2) + b"\n"
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            for name, data in {"evidence.json": text, **self.files()}.items():
                stored = zipfile.ZIP_DEFLATED if name.endswith(".json") else zipfile.ZIP_STORED
                entry = zipfile.ZipInfo(f"{self.name}/{name}", _zip_time(self._part.decision.captured_at_ns))
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, data, compress_type=stored)
        return target.getvalue()

    def _camera_json(self, camera: str, seen: CameraEvidence) -> dict[str, Any]:
        verdict, golden = seen.verdict, seen.golden
        folder = safe_name(camera)
        return {
            "files": {kind: f"{folder}/{_FILES[kind]}" for kind, data in _pictures(seen).items() if data},
            "picture_exact": seen.exact,
            "width_px": seen.width_px,
            "height_px": seen.height_px,
            "score": verdict.score,
            "raw_score": verdict.raw_score,
            "status": verdict.status,
            "reason": verdict.reason,
            "thresholds": asdict(seen.thresholds),
            "heat_scale": None if seen.scale is None else {**asdict(seen.scale), "contour": seen.scale.contour},
            "map_peak": seen.peak,
            "regions": [asdict(region) for region in verdict.regions],
            "golden": None if golden is None else {"name": golden.name, "distance": golden.distance},
            "model_id": verdict.model_id,
            "calibration_id": verdict.calibration_id,
            "effort": verdict.effort,
            "capture": asdict(verdict.capture),
            "stamps_ns": verdict.stamps_ns,
            "notes": list(seen.notes),
        }


def timings_ms(part: PartEvidence) -> dict[str, float]:
    """Return how long after its exposure each step of a part came, in milliseconds and in their order.

    A step of several cameras is that of the last one, `decide_by` when the gate had to know.
    """
    decision = part.decision
    stamps = dict(decision.stamps_ns)
    for seen in part.cameras.values():
        for name, at_ns in seen.verdict.stamps_ns.items():
            stamps[name] = max(at_ns, stamps.get(name, at_ns))
    stamps["decide_by"] = decision.decide_by_ns
    ordered = sorted(stamps.items(), key=lambda stamp: stamp[1])
    return {name: (at_ns - decision.captured_at_ns) / NS_PER_MS for name, at_ns in ordered}


def _link_json(link: Link) -> dict[str, Any]:
    """Return where the decision stands in its line's chain: `linewarden ledger verify` holds it against the rest."""
    return {
        "began_ns": link.began_ns,
        "sequence": link.sequence,
        "previous": link.previous.hex(),
        "digest": link.digest.hex(),
    }


def _pictures(seen: CameraEvidence) -> dict[str, bytes]:
    golden = b"" if seen.golden is None else seen.golden.jpeg
    return {"picture": seen.picture, "heat_map": seen.heat_map, "overlay": seen.overlay, "golden": golden}


def _utc(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / NS_PER_S, UTC).isoformat(timespec="milliseconds")


def _zip_time(at_ns: int) -> tuple[int, int, int, int, int, int]:
    # A zip knows no year before 1980 or after 2107.
    when = datetime.fromtimestamp(min(max(at_ns // NS_PER_S, 315_532_800), 4_354_819_199), UTC)
    return when.year, when.month, when.day, when.hour, when.minute, when.second
