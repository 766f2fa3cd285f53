"""What several files of integration tests ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.servers.gige import SoftwareCamera


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[SoftwareCamera]:
    """Give a software camera that loses nothing."""
    with SoftwareCamera(tmp_path) as camera:
        yield camera
