"""The page that Prometheus reads."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

import pytest

from deploy.servers.ports import LOOPBACK, free_port
from shared import metrics
from shared.errors import ConfigError
from shared.settings import MetricsSettings


def test_the_page_shows_what_was_counted_while_it_is_served() -> None:
    """Names end as Prometheus wants them; afterwards nobody listens."""
    port = free_port()
    address = f"http://{LOOPBACK}:{port}/metrics"
    with metrics.served(MetricsSettings(port=port)):
        metrics.DROPPED.labels("line-x", "camera", "too late").inc(3)
        page = urllib.request.urlopen(address, timeout=5).read().decode()
    assert 'linewarden_frames_dropped_total{camera="camera",line="line-x",reason="too late"} 3.0' in page
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=5)


def test_a_port_that_is_taken_is_named() -> None:
    """With the setting, the host and what to do."""
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=rf"metrics.port {port} on 127.0.0.1 .*(?s:.*)free"),
            metrics.served(MetricsSettings(port=port)),
        ):
            pass


def test_without_a_port_nothing_is_served() -> None:
    """The default."""
    with metrics.served(MetricsSettings()):
        pass
