"""Values that the chart refuses, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deployment.chart import EXISTING, SCALED, Chart

SCALING = SCALED["autoscaling"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"detector": {"gpus": 2}}, "at '/detector': additional properties 'gpus' not allowed"),
        ({"detectors": {}}, "additional properties 'detectors' not allowed"),
        ({"ingest": {"replicas": 2}}, "at '/ingest': additional properties 'replicas' not allowed"),
        ({"alerting": {"replicas": 2}}, "at '/alerting': additional properties 'replicas' not allowed"),
        ({"alerting": {"standby": 1}}, "at '/alerting/standby': got number, want boolean"),
        (
            {"configuration": '[bus]\nurl = "kafka://k:1"\n', "alerting": {"standby": True}},
            "alerting.standby is for pods that share a store, but the configuration's store.url is memory://",
        ),
        (
            {
                "configuration": 'bus.url = "kafka://k:1"\nstore.url = "redis://r/0"\nalerting.journal = "j"\n',
                "alerting": {"standby": True},
            },
            "alerting.standby goes without alerting.journal",
        ),
        ({"detector": {"gpu": "yes"}}, "at '/detector/gpu': got string, want boolean"),
        ({"detector": {"replicas": 0}}, "at '/detector/replicas': minimum: got 0, want 1"),
        ({"metrics": {"port": 80}}, "at '/metrics/port': minimum: got 80, want 1,024"),
        ({"model": {"folder": "../lite"}}, "at '/model/folder'"),
        ({"autoscaling": {"enabled": True}}, "at '/autoscaling/framesPerReplica': got null, want number"),
        ({"autoscaling": {**SCALING, "prometheus": "prometheus"}}, "at '/autoscaling/prometheus'"),
        ({"autoscaling": {**SCALING, "minReplicas": 0}}, "at '/autoscaling/minReplicas': minimum: got 0, want 1"),
        ({"autoscaling": {**SCALING, "deadlineUsed": 1}}, "at '/autoscaling/deadlineUsed'"),
        ({"networkPolicy": {"enabled": True}}, "at '/networkPolicy/from': minItems: got 0, want 1"),
        ({"configuration": "[bus"}, "configuration is not TOML"),
        (
            {"configuration": '[[lines]]\nname = "slow"\ngate_delay_ms = 60000\n'},
            "terminationGracePeriodSeconds is 30, but the configuration asks for a drain of 61 s",
        ),
        ({"configuration": "drain_s = 30.0"}, "the configuration asks for a drain of 30 s"),
        (
            {**SCALED, "autoscaling": {**SCALING, "maxReplicas": 6}},
            "autoscaling.maxReplicas is 6, but the configuration has 5 partitions of frames",
        ),
        (
            {**SCALED, "autoscaling": {**SCALING, "minReplicas": 6}},
            "autoscaling.minReplicas is 6, more than the 5 replicas that there can be",
        ),
        ({**EXISTING, "autoscaling": SCALING}, "autoscaling.maxReplicas must be set with existingSecret"),
    ],
)
def test_wrong_values_are_refused_with_what_is_wrong(chart: Chart, values: dict[str, Any], message: str) -> None:
    """Before anything is installed, in words that name the value."""
    assert message in chart.refusal(values)
