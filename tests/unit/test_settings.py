from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shared.domain import GateMode
from shared.errors import ConfigError
from shared.partition_plan import Wanted
from shared.settings import from_dict, load

SECRET = "hunter2"  # noqa: S105 - what must never be shown


def write(tmp_path: Path, text: str) -> Path:
    """Write a settings file."""
    path = tmp_path / "line.toml"
    path.write_text(text)
    return path


def refusal(values: dict[str, object]) -> str:
    """Return the message with which `values` are refused: one line, without the secret."""
    with pytest.raises(ConfigError) as raised:
        from_dict(values)
    text = str(raised.value)
    assert "\n" not in text
    assert SECRET not in text + repr(raised.value)
    return text


def line(**values: object) -> dict[str, object]:
    """Return settings with one line."""
    return {"lines": [values]}


def test_the_defaults_are_a_whole_line() -> None:
    """Without a file there is one fail-safe line in this process."""
    settings = load()
    (only,) = settings.lines
    assert only.gate is GateMode.PASS_ASSERTED
    assert settings.bus.url.get_secret_value() == settings.store.url.get_secret_value() == "memory://"
    assert only.decide_by_ns(0) == 1_300_000_000


def test_a_file_is_read(tmp_path: Path) -> None:
    """Nested tables, lists of tables, and overrides by the caller."""
    path = write(tmp_path, '[bus]\nurl = "kafka://h:1"\n[[lines]]\nname = "l"\n[[lines.cameras]]\nname = "c"\n')
    settings = load(path, drain_s=1)
    assert settings.bus.url.get_secret_value() == "kafka://h:1"
    assert settings.wanted == Wanted(("l",), {"l/c": 1})
    assert settings.drain_s == 1


def test_settings_are_frozen() -> None:
    """Nobody changes them behind anybody's back."""
    settings = load()
    with pytest.raises(ValidationError):
        settings.drain_s = 3
    with pytest.raises(ValidationError):
        settings.bus.topic_prefix = "x"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"buss": {}}, "unknown setting 'buss' (did you mean 'bus'?)"),
        ({"bus": {"ulr": "x"}}, "unknown setting 'bus.ulr' (did you mean 'url'?)"),
        (line(reject=3), "unknown setting 'lines.0.reject' (did you mean 'reject_at'?)"),
        (line(cameras=[{"rate": 3}]), "unknown setting 'lines.0.cameras.0.rate' (did you mean 'rate_hz'?)"),
        (line(signal={"photoeye": True}), "unknown setting 'lines.0.signal.photoeye' (did you mean 'photo_eye'?)"),
        ({"log": {"xyzzy": 1}}, "unknown setting 'log.xyzzy'. Known here: format, level."),
        ({"metrics": {"prot": 1}}, "unknown setting 'metrics.prot' (did you mean 'port'?). Known here: host, port."),
        ({"alerting": {"webhook": {"ulr": "x"}}}, "unknown setting 'alerting.webhook.ulr' (did you mean 'url'?)"),
    ],
)
def test_an_unknown_name_is_refused_with_a_suggestion(values: dict[str, object], expected: str) -> None:
    """At whatever depth, with the names that are known there."""
    assert expected in refusal(values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"bus": {"claim_check_kib": 8_180}},
            "'bus' cannot be used: claim_check_kib must be at least 16 KiB below max",
        ),
        ({"bus": {"claim_check_kib": 0}}, "'bus.claim_check_kib' cannot be used"),
        ({"detector": {"max_batch": 0}}, "'detector.max_batch' cannot be used: input should be greater than or equal"),
        ({"log": {"level": "loud"}}, "'log.level' cannot be used: input should be 'debug', 'info'"),
        (line(name="Line 1"), "'lines.0.name' cannot be used: string should match pattern"),
        (line(name="line-1\n"), "'lines.0.name' cannot be used"),
        (line(reject_at=float("nan")), "'lines.0.reject_at' cannot be used"),
        (line(gate_delay_ms=100, actuation_lead_ms=100), "'lines.0' cannot be used: actuation_lead_ms must be smaller"),
        (line(cameras=[]), "'lines.0' cannot be used: cameras must have at least one"),
        (line(cameras=[{"name": "a"}, {"name": "a"}]), "names of their own"),
        ({"lines": []}, "'lines' cannot be used: lines must have at least one"),
        ({"lines": [{"name": "a"}, {"name": "a"}]}, "names of their own"),
        ({"drain_s": float("inf")}, "'drain_s' cannot be used"),
        ({"bus": {"url": 5}}, "'bus.url' cannot be used: input should be a valid string"),
        ({"bus": SECRET}, "'bus' cannot be used"),
        (line(cameras=[{"source": [f"rtsp://u:{SECRET}@h"]}]), "'lines.0.cameras.0.source' cannot be used"),
        (line(cameras=[{"rate_hz": f"rtsp://u:{SECRET}@h"}]), "'lines.0.cameras.0.rate_hz' cannot be used"),
    ],
)
def test_a_senseless_value_is_refused(values: dict[str, object], expected: str) -> None:
    """The message names the setting and what is allowed, on one line, and never shows what was given."""
    assert expected in refusal(values)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"[bus\nurl = 1", "cannot be read"), (b"\xff\xfe", "cannot be read"), (b"x = 1\nx = 2", "cannot be read")],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    """TOML errors and bytes that are no text come with the file's name."""
    path = tmp_path / "line.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=expected) as raised:
        load(path)
    assert "line.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    """A folder is no file either."""
    with pytest.raises(ConfigError, match=r"does not exist.*linewarden dev up"):
        load(tmp_path / "line.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)


def test_errors_in_a_file_name_the_file(tmp_path: Path) -> None:
    """The first wrong setting, and where it stands."""
    with pytest.raises(ConfigError, match=r"line.toml: unknown setting 'bus.ulr'"):
        load(write(tmp_path, "[bus]\nulr = 1"))


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One nested value, without touching its neighbours."""
    monkeypatch.setenv("LINEWARDEN_BUS__URL", "kafka://env:1")
    monkeypatch.setenv("LINEWARDEN_DRAIN_S", "7")
    settings = load(write(tmp_path, 'drain_s = 1\n[bus]\nurl = "kafka://file:1"\ntopic_prefix = "kept"\n'))
    assert settings.bus.url.get_secret_value() == "kafka://env:1"
    assert (settings.bus.topic_prefix, settings.drain_s) == ("kept", 7)


def test_lines_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As JSON, since they are a list."""
    monkeypatch.setenv("LINEWARDEN_LINES", '[{"name": "env"}]')
    assert load().lines[0].name == "env"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("LINEWARDEN_BUSS__URL", "x", "LINEWARDEN_BUSS__URL names no setting (did you mean 'bus'?)"),
        ("LINEWARDEN_BUS__ULR", "x", "unknown setting 'bus.ulr' (did you mean 'url'?)"),
        ("LINEWARDEN_DRAIN_S", SECRET, "'drain_s' cannot be used"),
        ("LINEWARDEN_BUS", SECRET, "the environment"),
        ("LINEWARDEN_LINES", "[{", "the environment"),
    ],
)
def test_a_wrong_variable_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: str) -> None:
    """A misspelt variable would otherwise be ignored in silence."""
    monkeypatch.setenv(variable, value)
    assert expected in refusal({})


def test_frames_by_reference_need_a_store_that_all_processes_share() -> None:
    """A store in one process's memory is none for the others on Kafka; in one process alone it will do."""
    bus = {"url": "kafka://h:1", "claim_check_kib": 1_024}
    assert "Set store.url, or store.payload_url, to redis://" in refusal({"bus": bus})
    assert "store.payload_url" in refusal({"bus": bus, "store": {"url": "redis://h", "payload_url": "memory://"}})
    shared: list[dict[str, object]] = [{"url": "redis://h"}, {"payload_url": "redis://h"}]
    assert all(from_dict({"bus": bus, "store": store}).bus.claim_check_bytes == 2**20 for store in shared)
    assert from_dict({"bus": {"claim_check_kib": 1_024}}).bus.claim_check_bytes == 2**20
    assert from_dict({}).bus.claim_check_bytes is None


@pytest.mark.parametrize(
    ("values", "problem", "remedy"),
    [
        ({"bus": {"url": "kafka://h:1"}}, "store.url memory:// is in this one", "Set store.url to redis://"),
        ({"store": {"url": "redis://h/0"}}, "bus.url memory:// is in this one", "Set bus.url to kafka://"),
        (
            {"bus": {"url": "kafka://h:1"}, "store": {"url": "redis://h/0"}, "alerting": {"journal": "ledger"}},
            "alerting.journal would have gaps",
            "Leave journal out",
        ),
    ],
)
def test_a_standby_shares_everything_with_the_others(values: dict[str, Any], problem: str, remedy: str) -> None:
    """With a store of its own each process would take the lease, and two would signal for one line."""
    with pytest.raises(ConfigError, match=problem) as refused:
        from_dict({**values, "alerting": {**values.get("alerting", {}), "standby": True}})
    assert refused.value.remedy is not None
    assert remedy in refused.value.remedy
    assert not from_dict(values).alerting.standby
    shared = {"bus": {"url": "kafka://h:1"}, "store": {"url": "redis://h/0"}}
    assert from_dict({**shared, "alerting": {"standby": True}}).alerting.standby


def test_a_part_is_remembered_until_it_is_at_the_gate() -> None:
    """A gate beyond the store's memory would meet parts that are announced and claimed anew."""
    line = {"gate_delay_ms": 60_000}
    with pytest.raises(ConfigError, match="forgets after 60 s") as refused:
        from_dict({"lines": [line]})
    assert refused.value.remedy == "Set store.part_retention_s to more than 60."
    for store in ({"part_retention_s": 61}, {"url": "redis://h/0"}):
        assert from_dict({"lines": [line], "store": store}).lines[0].gate_delay_ms == 60_000
    assert from_dict({"lines": [{"gate_delay_ms": 59_999}]}).lines[0].gate_delay_ms == 59_999


def test_secrets_are_never_printed() -> None:
    """Addresses may carry passwords: neither repr, str nor a dump shows them."""
    url = f"rtsp://user:{SECRET}@cam/stream"
    settings = from_dict({"bus": {"url": url}, "store": {"url": url}, "lines": [{"cameras": [{"source": url}]}]})
    shown = f"{settings!r}{settings}{settings.model_dump()}{settings.model_dump_json()}"
    assert SECRET not in shown
    assert settings.lines[0].cameras[0].source.get_secret_value() == url


@pytest.mark.parametrize(("url", "expected"), [("memory://", 60), ("redis://h:6379", 21_600)])
def test_parts_are_remembered_longer_on_a_store_that_outlives_the_process(url: str, expected: int) -> None:
    """Unless the settings say how long."""
    assert from_dict({"store": {"url": url}}).store.retention_s == expected
    assert from_dict({"store": {"url": url, "part_retention_s": 77}}).store.retention_s == 77


@pytest.mark.parametrize("section", ["detector", "alerting"])
def test_a_pods_name_can_be_a_members(section: str) -> None:
    """A DNS label has up to 63 letters; one more is refused."""
    longest = "r" * 46 + "-detector-7c9d-x2"
    assert len(longest) == 63
    assert from_dict({section: {"member": longest}}).model_dump()[section]["member"] == longest
    assert f"'{section}.member' cannot be used" in refusal({section: {"member": f"{longest}x"}})


def test_a_line_s_threshold_is_its_policy_s() -> None:
    """`reject_at` of the line is the policy's, unless that has its own."""
    (plain, own) = from_dict(
        {"lines": [{"name": "a", "reject_at": 1.5}, {"name": "b", "reject_at": 1.5, "policy": {"reject_at": 2.5}}]}
    ).lines
    assert (plain.policy.reject_at, own.policy.reject_at) == (1.5, 2.5)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"reject": 3}, "unknown setting 'lines.0.policy.reject' (did you mean 'reject_at'?)"),
        ({"runs": {"in_a_row": 3}}, "unknown setting 'lines.0.policy.runs.in_a_row'"),
        ({"on_silence": "pass"}, "a trial run sets trial = true too"),
        ({"per_camera": {"top": {}}}, "policy.per_camera names 'top', and the line's cameras are camera"),
        ({"rule": 2}, "policy.rule wants 2 cameras to reject, and the line has 1"),
    ],
)
def test_a_line_s_policy_is_checked_with_it(values: dict[str, object], expected: str) -> None:
    """Names, ranges, and what the line's cameras allow."""
    assert expected in refusal(line(policy=values))
