"""The chart, for the tests that render it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deployment.chart import Chart


@pytest.fixture
def chart(helm: Path, tmp_path: Path) -> Chart:
    """Give the chart with the real Helm."""
    return Chart(helm, tmp_path)
