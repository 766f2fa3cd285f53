"""The store port's part about evidence of what detectors saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shared.domain import Decision
from shared.evidence import CameraEvidence, Cover, PartEvidence, Why


class EvidenceStore(Protocol):
    """Where evidence of parts lies. It shares time to live and room with pictures, until a review keeps it on."""

    async def decided(self, line: str, part_ids: Sequence[str]) -> dict[str, Decision]:
        """Return the settled decisions of those of the parts that have one which is still kept and can be read."""
        ...

    async def put_evidence(
        self, decision: Decision, why: Why, camera: str, evidence: CameraEvidence, *, instead: bool = True
    ) -> bool:
        """Keep what a camera's detector saw of a decided part, in the place of what was kept of it before.

        Without `instead` what is kept of the camera stays. What expires of an older part of that name makes way, and
        what a review keeps of one is not touched. Returns whether evidence of the camera is kept now: else there was no
        room for it.
        """
        ...

    async def evidence(self, line: str, part_id: str) -> PartEvidence | None:
        """Return what is kept of a part, the newest one of that name; None for nothing, or nothing any more.

        Of a case that was set aside it is found under the case's name.
        """
        ...

    async def camera_evidence(self, line: str, part_id: str, camera: str) -> CameraEvidence | None:
        """Return what is kept of one camera alone."""
        ...

    async def evidence_covers(self, line: str, part_ids: Sequence[str]) -> dict[str, Cover]:
        """Return why evidence of parts is kept and how they were decided, without their pictures."""
        ...

    async def evidence_parts(self, line: str, *, newest: int) -> list[str]:
        """Return the parts of which evidence is kept for its time, those that it came for last first."""
        ...
