"""When a process says that it is ready: probes read the page of metrics."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from deploy.app import Role
from deploy.running import run_role
from shared.errors import ModelMissingError


def test_metrics_are_served_once_the_model_is_there(tmp_path: Path) -> None:
    """Its port is taken, and still the missing model is what stops the detector: the page comes after the model."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = tmp_path / "line.toml"
        config.write_text(f'[metrics]\nport = {taken.getsockname()[1]}\n[detector]\nmodel = "{tmp_path / "none"}"\n')
        with pytest.raises(ModelMissingError):
            run_role(config, Role.DETECTOR)
