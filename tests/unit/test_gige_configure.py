from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from ingest.sources.gige.camera import FeatureKind, RefusedError, Value
from ingest.sources.gige.configure import configure
from shared.camera_settings import GigeSettings
from shared.errors import ConfigError

Range = tuple[float, float]
Choices = tuple[str, ...]


@dataclass
class DictionaryCamera:
    """A camera whose features are a dictionary; a range is a number's, a tuple of names a choice's."""

    values: dict[str, Value]
    ranges: Mapping[str, Range] = field(default_factory=dict)
    options: Mapping[str, Choices] = field(default_factory=dict)
    said: list[tuple[str, Value]] = field(default_factory=list)
    packet_size_bytes: int = 1_400

    def has(self, name: str) -> bool:
        """Return whether the feature is there."""
        return name in self.values

    def kind(self, name: str) -> FeatureKind:
        """Return what the feature's value is."""
        if name in self.options:
            return FeatureKind.CHOICE
        kinds = {bool: FeatureKind.BOOLEAN, int: FeatureKind.INTEGER, float: FeatureKind.FLOAT, str: FeatureKind.TEXT}
        return kinds[type(self.values[name])]

    def choices(self, name: str) -> Sequence[str]:
        """Return a choice's names."""
        return self.options.get(name, ())

    def bounds(self, name: str) -> Range:
        """Return a number's range."""
        return self.ranges.get(name, (0.0, 1e9))

    def get(self, name: str) -> Value:
        """Return the feature's value."""
        return self.values[name]

    def set(self, name: str, value: Value) -> None:
        """Take a value that is allowed."""
        if name in self.options and value not in self.options[name]:
            raise RefusedError("no such entry")
        if isinstance(value, int | float) and not isinstance(value, bool):
            lowest, highest = self.bounds(name)
            if not lowest <= value <= highest:
                raise RefusedError("out of range")
        self.values[name] = value
        self.said.append((name, value))

    def set_packet_size(self, size_bytes: int | None) -> int:
        """Take packets of up to 9,000 bytes."""
        if size_bytes is not None and size_bytes > 9_000:
            raise RefusedError("too large")
        self.packet_size_bytes = size_bytes or self.packet_size_bytes
        return self.packet_size_bytes


def modern() -> DictionaryCamera:
    """Return a camera with the standard's newest names."""
    return DictionaryCamera(
        {
            "PixelFormat": "Mono8",
            "Width": 640,
            "Height": 480,
            "OffsetX": 4,
            "OffsetY": 4,
            "ExposureAuto": "Continuous",
            "ExposureTime": 5_000.0,
            "GainAuto": "Continuous",
            "Gain": 0.0,
            "AcquisitionFrameRateEnable": False,
            "AcquisitionFrameRate": 10.0,
            "TriggerSelector": "AcquisitionStart",
            "TriggerMode": "On",
            "TriggerSource": "Software",
            "TriggerActivation": "FallingEdge",
            "ChunkModeActive": False,
            "ChunkSelector": "FrameCounter",
            "ChunkEnable": False,
            "PtpEnable": False,
            "GevSCPD": 0,
            "GevSCPSPacketSize": 1_400,
        },
        {"ExposureTime": (20.0, 1e6), "Width": (16, 640), "Height": (16, 480), "GevSCPSPacketSize": (576, 9_000)},
        {
            "PixelFormat": ("Mono8", "Mono12p", "BayerRG8", "BayerRG10p"),
            "ExposureAuto": ("Off", "Continuous"),
            "GainAuto": ("Off", "Continuous"),
            "TriggerSelector": ("AcquisitionStart", "FrameStart"),
            "TriggerMode": ("Off", "On"),
            "TriggerSource": ("Software", "Line1"),
            "TriggerActivation": ("RisingEdge", "FallingEdge"),
            "ChunkSelector": ("FrameCounter", "EncoderValue"),
        },
    )


def test_everything_is_set_as_the_settings_say() -> None:
    """Format, region, exposure, gain, rate, delay, chunks and PTP reach the camera; automatics are switched off."""
    camera = modern()
    settings = GigeSettings(
        pixel_format="Mono12p",
        exposure_us=250.0,
        gain_db=3.0,
        frame_rate_hz=25.0,
        region_px=(8, 16, 320, 240),
        packet_size_bytes=8_000,
        packet_delay_ns=2_000,
        chunks=("FrameCounter", "ChunkEncoderValue"),
    )
    configured = configure(camera, settings, synchronise=True)
    told = camera.values
    assert (told["PixelFormat"], told["ExposureTime"], told["Gain"]) == ("Mono12p", 250.0, 3.0)
    assert (told["ExposureAuto"], told["GainAuto"]) == ("Off", "Off")
    assert [told[name] for name in ("OffsetX", "OffsetY", "Width", "Height")] == [8, 16, 320, 240]
    assert (told["AcquisitionFrameRateEnable"], told["AcquisitionFrameRate"]) == (True, 25.0)
    assert (told["GevSCPD"], told["PtpEnable"], told["ChunkModeActive"]) == (2_000, True, True)
    assert configured.chunks == ("ChunkFrameCounter", "ChunkEncoderValue")
    assert (configured.period_s, configured.packet_size_bytes) == (1 / 25, 8_000)


def test_free_run_switches_every_trigger_off() -> None:
    """In free run no trigger is left on from whoever used the camera before."""
    camera = modern()
    configure(camera, GigeSettings(), synchronise=False)
    assert [what for what in camera.said if what[0].startswith("Trigger")] == [
        ("TriggerSelector", "AcquisitionStart"),
        ("TriggerMode", "Off"),
        ("TriggerSelector", "FrameStart"),
        ("TriggerMode", "Off"),
    ]
    assert camera.values["PtpEnable"] is False


@pytest.mark.parametrize(("trigger", "source"), [("software", "Software"), ("Line1", "Line1")])
def test_triggers(trigger: str, source: str) -> None:
    """A trigger takes one frame each, from software or the rising edge of an input; there is no period then."""
    camera = modern()
    configured = configure(camera, GigeSettings(trigger=trigger), synchronise=False)
    told = camera.values
    assert (told["TriggerSelector"], told["TriggerMode"], told["TriggerSource"]) == ("FrameStart", "On", source)
    assert told["TriggerActivation"] == ("FallingEdge" if trigger == "software" else "RisingEdge")
    assert configured.period_s is None


def test_older_names_are_known() -> None:
    """A camera of the older names is told exposure and rate by those."""
    camera = DictionaryCamera({"PixelFormat": "Mono8", "ExposureTimeAbs": 1.0, "AcquisitionFrameRateAbs": 1.0})
    configured = configure(camera, GigeSettings(exposure_us=9.0, frame_rate_hz=4.0), synchronise=True)
    assert (camera.values["ExposureTimeAbs"], configured.period_s) == (9.0, 0.25)


def test_any_feature_can_be_set_first_and_in_order() -> None:
    """Further features are set in their order, before what the other settings say; PTP among them is not overruled."""
    camera = modern()
    features: dict[str, bool | int | float | str] = {"PtpEnable": False, "Width": 100, "ExposureAuto": "Continuous"}
    configure(camera, GigeSettings(features=features, region_px=(0, 0, 200, 100)), synchronise=True)
    assert camera.said[:3] == list(features.items())
    assert (camera.values["Width"], camera.values["PtpEnable"]) == (200, False)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (GigeSettings(pixel_format="Mono10"), r"refuses PixelFormat = 'Mono10' .*takes Mono8, Mono12p, BayerRG8, Bay"),
        (GigeSettings(pixel_format="BayerRG10p"), r"'BayerRG10p' cannot be made a picture.*Mono8, Mono12p, BayerRG8\."),
        (GigeSettings(exposure_us=2e6), r"ExposureTime = 2000000\.0 \(out of range\)\. It takes 20 to 1e\+06 now"),
        (GigeSettings(region_px=(0, 0, 641, 10)), r"Width = 641 .*16 to 640"),
        (GigeSettings(trigger="Line9"), r"TriggerSource = 'Line9' .*Software, Line1"),
        (GigeSettings(chunks=("Gain",)), r"ChunkSelector = 'Gain' .*FrameCounter, EncoderValue"),
        (GigeSettings(packet_size_bytes=16_000), r"packet_size_bytes = 16000 \(too large\)\. It takes 576 to 9000"),
        (GigeSettings(features={"Gamma": 1.0}), r"no feature 'Gamma'"),
        (GigeSettings(features={"PtpEnable": 1}), r"PtpEnable = 1 \(it takes true or false\)\. It is a boolean"),
        (GigeSettings(features={"Width": 10.5}), r"Width = 10\.5 \(it takes a whole number\)"),
        (GigeSettings(features={"Gain": "high"}), r"Gain = 'high' \(it takes a number\)"),
        (GigeSettings(features={"PixelFormat": 8}), r"PixelFormat = 8 \(it takes one of its names\)"),
    ],
)
def test_refusals_name_feature_value_and_what_is_allowed(settings: GigeSettings, told: str) -> None:
    """A refused value is told with the feature's name and what the camera takes."""
    with pytest.raises(ConfigError, match=told):
        configure(modern(), settings, synchronise=False)


def test_gain_in_a_cameras_own_units_is_not_guessed() -> None:
    """A camera that knows only raw gain takes no decibels."""
    with pytest.raises(ConfigError, match="Set GainRaw in `features`"):
        configure(
            DictionaryCamera({"PixelFormat": "Mono8", "GainRaw": 1}), GigeSettings(gain_db=1.0), synchronise=False
        )
