"""The packages are this checkout's, or what was installed from it."""

from __future__ import annotations

import importlib
import site
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("shared", "ingest", "detector", "alerting", "deploy")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_the_checkouts_or_installed(name: str) -> None:
    """A data folder named `shared` beside a checkout never shadows the package."""
    file = importlib.import_module(name).__file__
    assert file is not None
    homes = [ROOT, *(Path(folder) for folder in site.getsitepackages())]
    assert Path(file) in [home / name / "__init__.py" for home in homes]
