"""Sixteen bits keep what they hold, from the camera's picture to the model's eyes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import SecretStr

from detector.decode import decode_frame
from detector.model.lens import Lens, Size, in_levels
from detector.model.profiles import LITE
from detector.overlay import overlay_jpeg
from ingest.encode import check_fits, encode_pixels
from ingest.sources.pictures import read_picture
from shared.camera_settings import CameraSettings
from shared.depth import in_eight_bits
from shared.domain import AnomalyMap
from shared.errors import ConfigError, PictureError
from shared.settings import BusSettings
from shared.wire import Encoding, FrameMessage
from tests.lines import capture


def ramp(*, colour: bool) -> NDArray[np.uint16]:
    """Return every second value of 16 bits, (128, 256) or in three colours that differ."""
    grey = np.arange(0, 65_536, 2, dtype=np.uint16).reshape(128, 256)
    return np.stack([grey, grey[::-1], grey[:, ::-1]], axis=2) if colour else grey


def message(pixels: NDArray[np.uint16], encoding: Encoding, *, depth_bits: int = 16) -> FrameMessage:
    """Return the message of a picture."""
    channels = 1 if pixels.ndim == 2 else 3
    return FrameMessage(capture(), encoding, pixels.shape[1], pixels.shape[0], channels, depth_bits=depth_bits)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("encoding", [Encoding.PNG, Encoding.RAW])
def test_every_value_arrives(encoding: Encoding, colour: bool) -> None:
    """Grey and RGB, in the same order of colours, losslessly."""
    pixels = ramp(colour=colour)
    found = decode_frame(message(pixels, encoding), encode_pixels(pixels, encoding, jpeg_quality=95))
    assert found.dtype == np.uint16
    assert np.array_equal(found, pixels)


def test_jpeg_is_refused_for_them() -> None:
    """It has 8 bits: an error at the start, that says what to set instead."""
    with pytest.raises(PictureError, match='encoding = "png"'):
        encode_pixels(ramp(colour=False), Encoding.JPEG, jpeg_quality=95)
    with pytest.raises(ConfigError, match='encoding = "png"'):
        check_fits(ramp(colour=False), Encoding.JPEG, limit_bytes=2**24)


def test_without_a_setting_each_depth_has_its_encoding() -> None:
    """JPEG for 8 bits, PNG for 16; a setting is kept."""
    auto, raw = CameraSettings(), CameraSettings(encoding=Encoding.RAW)
    assert auto.encoding_of(np.zeros((2, 2), np.uint8)) is Encoding.JPEG
    assert auto.encoding_of(np.zeros((2, 2), np.uint16)) is Encoding.PNG
    assert raw.encoding_of(np.zeros((2, 2), np.uint16)) is Encoding.RAW


def test_inside_a_process_what_fits_a_message_goes_raw() -> None:
    """Nothing is gained by encoding it; a setting is kept, and another bus has pictures encoded."""
    auto, jpeg = CameraSettings(), CameraSettings(encoding=Encoding.JPEG)
    embedded = BusSettings(max_message_bytes=64 * 1024).raw_bytes
    check_fits(np.zeros((1, embedded), np.uint8), Encoding.RAW, limit_bytes=64 * 1024)
    assert auto.encoding_of(np.zeros((47, 1024), np.uint8), raw_up_to=embedded) is Encoding.RAW
    assert auto.encoding_of(np.zeros((23, 1024), np.uint16), raw_up_to=embedded) is Encoding.RAW
    assert auto.encoding_of(np.zeros((48, 1024), np.uint8), raw_up_to=embedded) is Encoding.JPEG
    assert auto.encoding_of(np.zeros((24, 1024), np.uint16), raw_up_to=embedded) is Encoding.PNG
    assert jpeg.encoding_of(np.zeros((2, 2), np.uint8), raw_up_to=embedded) is Encoding.JPEG
    assert BusSettings(url=SecretStr("kafka://127.0.0.1:9092")).raw_bytes == 0


@pytest.mark.parametrize("encoding", [Encoding.PNG, Encoding.RAW])
def test_a_picture_of_another_depth_is_refused(encoding: Encoding) -> None:
    """The message says what was sent: 8 bits read as 16, or 16 as 8, would be another picture."""
    deep = ramp(colour=False)
    payload = encode_pixels(deep, encoding, jpeg_quality=95)
    with pytest.raises(PictureError):
        decode_frame(message(deep, encoding, depth_bits=12), payload)
    if encoding is Encoding.RAW:
        with pytest.raises(PictureError, match="bytes, not"):
            decode_frame(message(deep, encoding, depth_bits=8), payload)
    shallow = encode_pixels(in_eight_bits(deep), encoding, jpeg_quality=95)
    with pytest.raises(PictureError):
        decode_frame(message(deep, encoding), shallow)


def test_the_model_sees_what_eight_bits_would_not_show() -> None:
    """A defect of a tenth of a level is in the tower's input; in 8 bits it is gone."""
    plain = np.full((256, 256), 30_000, dtype=np.uint16)
    marked = plain.copy()
    marked[100:140, 100:140] += 25
    lens = Lens(side_px=256, multiple_px=32, magnification=1.0, level_light=False)
    assert lens.content(Size(256, 256)) == Size(256, 256)
    seen = lens.look(in_levels(marked), LITE) - lens.look(in_levels(plain), LITE)
    assert seen[120, 120, 0] == pytest.approx(25 / 65_535 / LITE.std[0], rel=1e-2)
    assert seen[20, 20, 0] == 0
    assert np.array_equal(in_eight_bits(marked), in_eight_bits(plain))


def test_both_depths_look_alike_to_the_model() -> None:
    """The same scene in 8 bits and in 16 is the same input, to less than a rounding."""
    shallow = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    lens = Lens(side_px=128, multiple_px=32, magnification=0.5, level_light=True)
    eight = lens.look(in_levels(shallow), LITE)
    sixteen = lens.look(in_levels(shallow.astype(np.uint16) * 257), LITE)
    assert np.abs(eight - sixteen).max() < 1.5 / 255 / min(LITE.std)


def test_a_file_is_read_as_deep_as_it_is(tmp_path: Path) -> None:
    """A folder of 16-bit pictures plays them so; what is neither 8 nor 16 bits is named."""
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), ramp(colour=True)[..., ::-1])
    assert np.array_equal(read_picture(path), ramp(colour=True))
    odd = tmp_path / "odd.tif"
    cv2.imwrite(str(odd), np.zeros((8, 8), dtype=np.float32))
    with pytest.raises(PictureError, match=r"odd\.tif"):
        read_picture(odd)


def test_eyes_get_eight_bits() -> None:
    """White is white, and black is black."""
    ends = np.array([[0, 65_535]], dtype=np.uint16).repeat(32, axis=1).repeat(64, axis=0)
    assert in_eight_bits(ends).min() == 0
    assert in_eight_bits(ends).max() == 255
    jpeg = overlay_jpeg(ends, AnomalyMap(np.zeros((4, 4), np.float32)), (), low=1, high=2)
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert (picture[:, 5].max(), picture[:, 60].min()) == (pytest.approx(0, abs=6), pytest.approx(255, abs=6))
