"""Cameras whose packages are not installed."""

from __future__ import annotations

import sys

import pytest
from pydantic import SecretStr

from deploy.camera_sources import make_source
from shared.camera_settings import CameraSettings
from shared.clock import ManualClock
from shared.errors import ConfigError


@pytest.mark.parametrize(
    ("source", "package", "remedy"),
    [
        ("gige://S1", "gi", r"pip install 'linewarden\[gige\]'"),
        ("gentl:///a.cti", "genicam", r"pip install 'linewarden\[gentl\]'"),
    ],
)
def test_a_missing_package_is_named_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, source: str, package: str, remedy: str
) -> None:
    """A camera of an extra that is not installed says which package is missing and what to install."""
    for module in ("ingest.sources.gige.aravis", "ingest.sources.gentl"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"camera 'top'.*package '{package}'.*{remedy}"):
        make_source(CameraSettings(name="top", source=SecretStr(source)), ManualClock())


def test_an_unknown_scheme_names_those_that_are_known() -> None:
    """An address of another kind says what cameras can be."""
    with pytest.raises(ConfigError, match=r"rtsp://, gige:// or gentl://"):
        make_source(CameraSettings(source=SecretStr("usb3://1")), ManualClock())
