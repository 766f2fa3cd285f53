"""How the chart lets KEDA scale the detectors."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from prometheus_client import REGISTRY

from shared import metrics
from shared.settings import from_dict
from tests.deployment.chart import DEFAULTS, EXISTING, PARTITIONS, SCALED, Chart, of_kind


def scaled_object(chart: Chart, **autoscaling: Any) -> dict[str, Any]:  # noqa: ANN401 - values of any type
    """Return the spec, with some values changed."""
    values = {**SCALED, "autoscaling": {**SCALED["autoscaling"], **autoscaling}}
    spec: dict[str, Any] = of_kind(chart.render(values), "ScaledObject")["detector"]["spec"]
    return spec


def test_either_keda_or_the_values_say_how_many_detectors_there_are(chart: Chart) -> None:
    """With KEDA an upgrade must not set back what it found."""
    plain, scaled = chart.render(DEFAULTS), chart.render(SCALED)
    assert of_kind(plain, "Deployment")["detector"]["spec"]["replicas"] == 1
    assert not of_kind(plain, "ScaledObject")
    detector = of_kind(scaled, "Deployment")["detector"]
    assert "replicas" not in detector["spec"]
    assert scaled_object(chart)["scaleTargetRef"] == {"name": detector["metadata"]["name"]}


def test_there_are_no_more_replicas_than_partitions(chart: Chart) -> None:
    """Counted from the settings, where the chart has them."""
    assert sum(from_dict(tomllib.loads(SCALED["configuration"])).wanted.cameras.values()) == PARTITIONS
    assert scaled_object(chart)["maxReplicaCount"] == PARTITIONS
    assert scaled_object(chart, maxReplicas=3)["maxReplicaCount"] == 3
    existing = {**EXISTING, "autoscaling": {**SCALED["autoscaling"], "maxReplicas": 40}}
    assert of_kind(chart.render(existing), "ScaledObject")["detector"]["spec"]["maxReplicaCount"] == 40


def test_it_scales_on_deadlines_and_keeps_what_the_frames_need(chart: Chart) -> None:
    """The 99th percentile of deadlines used, and frames by the second; a query without an answer is an error."""
    deadline, frames = scaled_object(chart)["triggers"]
    assert "histogram_quantile(0.99" in deadline["metadata"]["query"]
    assert (deadline["metricType"], deadline["metadata"]["threshold"]) == ("Value", "0.5")
    assert (frames["metricType"], frames["metadata"]["threshold"]) == ("AverageValue", "42.5")
    for trigger in (deadline, frames):
        assert trigger["type"] == "prometheus"
        assert trigger["metadata"]["ignoreNullValues"] == "false"
        assert trigger["metadata"]["serverAddress"] == SCALED["autoscaling"]["prometheus"]


def test_its_queries_name_metrics_and_pods_that_there_are(chart: Chart) -> None:
    """Names and labels as a detector exports them."""
    metrics.DEADLINE_USED.labels("line-1").observe(0.5)
    metrics.VERDICTS.labels("line-1", "camera-1", "").inc(0)
    samples = {sample.name: sample.labels.keys() for family in REGISTRY.collect() for sample in family.samples}
    detector = of_kind(chart.render(SCALED), "Deployment")["detector"]["metadata"]["name"]
    queries = [trigger["metadata"]["query"] for trigger in scaled_object(chart)["triggers"]]
    names = {name for query in queries for name in re.findall(r"linewarden_\w+", query)}
    assert names == {
        "linewarden_deadline_used_ratio_bucket",
        "linewarden_deadline_used_ratio_count",
        "linewarden_verdicts_total",
    }
    assert names <= samples.keys()
    for by in re.findall(r"by \(([^)]*)\)", " ".join(queries)):
        assert set(by.split(", ")) <= set(samples["linewarden_deadline_used_ratio_bucket"])
    for query in queries:
        for namespace, pod in re.findall(r'{namespace="([^"]*)",pod=~"([^"]*)"}', query):
            assert namespace == "line"
            assert re.fullmatch(pod, f"{detector}-6b9c7d8f5c-x2k4z")
            assert not re.fullmatch(pod, "plant-linewarden-ingest-6b9c7d8f5c-x2k4z")
        assert query.count("{") == query.count('{namespace="line",pod=~') > 0


def test_replicas_go_slowly(chart: Chart) -> None:
    """A rebalance stops all detectors for a moment: one goes at a time, after half an hour without need."""
    behaviour = scaled_object(chart)["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behaviour["scaleDown"]["stabilizationWindowSeconds"] == 1_800
    assert behaviour["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 600}]
    assert behaviour["scaleUp"]["stabilizationWindowSeconds"] <= 60
