"""Confirmed cases as sets of pictures, one for each camera, in the layout that `linewarden train` and `evaluate` read.

    FOLDER/export.json                    what is in it, and what was left out and why
    FOLDER/CAMERA/train/good/*.jpg        parts that were confirmed as good: proposed for the bank
    FOLDER/CAMERA/test/good/*.jpg         some of them, to measure on
    FOLDER/CAMERA/test/escape/*.jpg       parts that were confirmed as escapes

Which of the good ones are measured on is decided by their names, and kept with their cases: a later export never trains
on what an earlier one measured on, whatever came or went between them. A case that was set aside for a newer part of
the same name goes by the name that it has now.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from shared.errors import ConfigError
from shared.evidence import CameraEvidence, PartEvidence
from shared.evidence_pack import safe_name
from shared.review import Case, Standing
from shared.review_desk import ReviewDesk
from shared.store.base import Store

FORMAT: Final = 1
_HASHES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of an export, and where it lies within the folder."""

    part_id: str
    camera: str
    standing: Standing
    path: str
    exact: bool


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is not in an export, and why; no camera is the part as a whole."""

    part_id: str
    camera: str
    why: str


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of a line's cases."""

    line: str
    folder: Path
    items: tuple[Item, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def sets(self) -> dict[str, dict[str, int]]:
        """Return how many pictures each camera's set has in each of its folders, such as `train/good`."""
        found: dict[str, Counter[str]] = {}
        for item in self.items:
            camera, *kind, _ = item.path.split("/")
            found.setdefault(camera, Counter())["/".join(kind)] += 1
        return {camera: dict(sorted(counts.items())) for camera, counts in sorted(found.items())}

    def to_json(self) -> dict[str, Any]:
        """Return it under stable names."""
        return {
            "format": FORMAT,
            "line": self.line,
            "cases": self.counts,
            "sets": self.sets,
            "pictures": [
                {
                    "part_id": item.part_id,
                    "camera": item.camera,
                    "confirmed_as": item.standing,
                    "path": item.path,
                    "exact": item.exact,
                }
                for item in self.items
            ],
            "left_out": [{"part_id": one.part_id, "camera": one.camera, "why": one.why} for one in self.left_out],
        }


class ReviewFolder:
    """A folder in the making: it appears under its name once it is whole, and leaves nothing behind otherwise.

    ConfigError for one that holds something, or cannot be written.
    """

    def __init__(self, folder: Path, line: str, measured: set[str]) -> None:
        self._folder = folder.absolute()
        self._line = line
        self._measured = measured
        self._items: list[Item] = []
        self._left_out: list[LeftOut] = []
        refuse_to_overwrite(self._folder)

    def __enter__(self) -> Self:
        with self._writing():
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            self._staging = Path(tempfile.mkdtemp(prefix=f".{self._folder.name}.", dir=self._folder.parent))
            self._staging.chmod(0o755)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._staging, ignore_errors=True)

    def add(self, case: Case, kept: PartEvidence | None) -> None:
        """Write a confirmed case's pictures, and take note of what is left out."""
        if case.standing in {Standing.NEW, Standing.DISMISSED}:
            self._leave_out(case, "", f"it is {case.standing}")
        elif kept is None:
            self._leave_out(case, "", "no evidence is kept: it had expired, or found no room, before somebody spoke")
        elif kept.decision.captured_at_ns != case.decision.captured_at_ns:
            self._leave_out(case, "", "the evidence that is kept is of another part of the same name")
        else:
            had_to_see = {found.camera for found in case.decision.findings}
            for camera in sorted(set(case.cameras) or kept.cameras.keys() | had_to_see):
                self._put(case, camera, kept.cameras.get(camera))

    def finish(self, cases: Sequence[Case]) -> Exported:
        """Write what became of all cases, and let the folder appear."""
        counts = Counter(case.standing.value for case in cases)
        left_out = tuple(self._left_out)
        done = Exported(self._line, self._folder, tuple(self._items), left_out, dict(sorted(counts.items())))
        with self._writing():
            (self._staging / "export.json").write_text(json.dumps(done.to_json(), indent=2) + "\n", encoding="utf-8")
            if self._folder.exists():
                self._folder.rmdir()
            self._staging.rename(self._folder)
        return done

    def _put(self, case: Case, camera: str, seen: CameraEvidence | None) -> None:
        if seen is None or not seen.picture:
            why = "no evidence is kept of this camera" if seen is None else "; ".join(seen.notes)
            self._leave_out(case, camera, why or "there is no picture")
            return
        kind = "test/escape"
        if case.standing is Standing.GOOD:
            kind = "test/good" if case.name in self._measured else "train/good"
        path = f"{safe_name(camera)}/{kind}/{safe_name(case.name)}.jpg"
        with self._writing():
            target = self._staging / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(seen.picture)
        self._items.append(Item(case.name, camera, case.standing, path, seen.exact))

    def _leave_out(self, case: Case, camera: str, why: str) -> None:
        self._left_out.append(LeftOut(case.name, camera, why))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError(f"cannot write {str(self._folder)!r}: {error.strerror}", "Give a new folder.") from None


async def export_review(store: Store, desk: ReviewDesk, line: str, folder: Path, *, test_share: float) -> Exported:
    """Write a line's confirmed cases into a folder that is new or empty, all at once.

    About `test_share` of the good parts go where they are measured on, and one at least of two; so do all that ever
    went there. ConfigError for a folder that holds something, or cannot be written.
    """
    cases = sorted(await desk.told_apart(), key=lambda case: case.name)
    measured = measured_on(cases, test_share)
    with ReviewFolder(folder, line, {case.name for case in measured}) as made:
        for case in measured:
            await desk.mark_measured(case)
        for case in cases:
            made.add(case, await store.evidence(line, case.name))
        return made.finish(cases)


def refuse_to_overwrite(folder: Path) -> None:
    """Raise ConfigError unless a folder is new or empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{str(folder)!r} is not an empty folder", "Give a new one: nothing is overwritten.")


def measured_on(cases: Sequence[Case], test_share: float) -> list[Case]:
    """Return the good parts that are measured on: those that ever were, and of the others those whose names say so.

    Of two or more it is one at least, where there is a share at all.
    """
    good = sorted(
        (case for case in cases if case.standing is Standing.GOOD), key=lambda case: (_hash(case.part_id), case.name)
    )
    chosen = [case for case in good if case.measured or _hash(case.part_id) < test_share * _HASHES]
    return chosen or good[: 1 if len(good) > 1 and test_share > 0 else 0]


def _hash(part_id: str) -> int:
    return zlib.crc32(part_id.encode()) % _HASHES
