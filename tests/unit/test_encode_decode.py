import binascii
import struct
import zlib

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from detector.decode import decode_frame
from detector.overlay import overlay_jpeg
from ingest.encode import check_fits, encode_pixels, raw_view
from shared.domain import AnomalyMap, Region
from shared.errors import ConfigError, PictureError
from shared.wire import Encoding, FrameMessage
from tests.lines import capture

COLOUR, GREY = (24, 40, 3), (24, 40)


def picture(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return a smooth picture whose channels all differ."""
    ramp = np.linspace(0, 120, int(np.prod(shape[:2]))).reshape(shape[:2])
    if len(shape) == 2:
        return ramp.astype(np.uint8)
    return np.stack([ramp + 130, ramp + 60, ramp], axis=2).astype(np.uint8)


def message(encoding: Encoding, shape: tuple[int, ...]) -> FrameMessage:
    """Return the message of a frame of that shape."""
    return FrameMessage(capture(), encoding, shape[1], shape[0], 1 if len(shape) == 2 else shape[2])


@pytest.mark.parametrize("encoding", [Encoding.PNG, Encoding.RAW])
@pytest.mark.parametrize("shape", [COLOUR, GREY, (1, 1, 3), (1, 1)])
def test_lossless_encodings_give_every_pixel_back(encoding: Encoding, shape: tuple[int, ...]) -> None:
    """Grey and RGB, in the same order of colours."""
    pixels = picture(shape)
    payload = encode_pixels(pixels, encoding, jpeg_quality=95)
    found = decode_frame(message(encoding, shape), memoryview(payload))
    assert found.dtype == np.uint8
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize("shape", [COLOUR, GREY])
def test_jpeg_comes_close(shape: tuple[int, ...]) -> None:
    """Lossy by little, with red still red."""
    pixels = picture(shape)
    payload = encode_pixels(pixels, Encoding.JPEG, jpeg_quality=95)
    found = decode_frame(message(Encoding.JPEG, shape), payload)
    assert found.shape == shape
    assert np.abs(found.astype(int) - pixels).max() < 10


def test_thin_coloured_lines_survive_jpeg() -> None:
    """Colour is kept at full resolution: a red line of one pixel does not bleed into its neighbours."""
    pixels = np.full((32, 32, 3), 128, dtype=np.uint8)
    pixels[:, 16] = (255, 0, 0)
    payload = encode_pixels(pixels, Encoding.JPEG, jpeg_quality=95)
    found = decode_frame(message(Encoding.JPEG, pixels.shape), payload).astype(int)
    assert (found[:, 16, 0] - found[:, 16, 2]).min() > 200
    assert np.abs(found[:, 18] - 128).max() < 25


def test_views_are_encoded_as_they_look() -> None:
    """A flipped or cropped picture need not be contiguous in memory."""
    pixels = picture(COLOUR)
    for view in (pixels[::-1], pixels[:, ::-1], pixels[2:20, 3:30], pixels[..., ::-1]):
        for encoding in (Encoding.PNG, Encoding.RAW):
            payload = encode_pixels(view, encoding, jpeg_quality=95)
            assert np.array_equal(decode_frame(message(encoding, view.shape), payload), view)


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("shape", [COLOUR, GREY])
def test_every_truncation_is_refused(encoding: Encoding, shape: tuple[int, ...]) -> None:
    """Cut at any byte, a picture is refused: a decoder must not fill in what nobody saw."""
    payload = encode_pixels(picture(shape), encoding, jpeg_quality=95)
    for length in range(len(payload)):
        with pytest.raises(PictureError):
            decode_frame(message(encoding, shape), payload[:length])


def test_a_jpeg_that_lacks_a_piece_is_refused() -> None:
    """Its end is there, and OpenCV would have filled the hole with grey."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    payload = encode_pixels(noise, Encoding.JPEG, jpeg_quality=95)
    holed = payload[: len(payload) // 2] + payload[len(payload) * 3 // 4 :]
    assert cv2.imdecode(np.frombuffer(holed, np.uint8), cv2.IMREAD_COLOR) is not None
    with pytest.raises(PictureError, match="refused"):
        decode_frame(message(Encoding.JPEG, noise.shape), holed)


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("claimed", [(24, 41, 3), (40, 24, 3), (23, 40, 3), (0, 40, 3), (-24, -40, 3), (1 << 40,) * 2])
def test_a_picture_of_another_size_is_refused(encoding: Encoding, claimed: tuple[int, ...]) -> None:
    """The message says what size was sent, and nothing else is taken."""
    payload = encode_pixels(picture((24, 39, 3)), encoding, jpeg_quality=95)
    with pytest.raises(PictureError):
        decode_frame(message(encoding, claimed), payload)


@pytest.mark.parametrize("channels", [0, 2, 4, -1])
def test_other_channel_counts_are_refused(channels: int) -> None:
    """Grey or RGB, nothing else."""
    with pytest.raises(PictureError, match="channels"):
        decode_frame(message(Encoding.RAW, (2, 2, channels)), bytes(16))


def chunk(name: bytes, body: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", binascii.crc32(name + body))


def test_a_picture_that_the_decoder_itself_refuses_is_a_picture_error() -> None:
    """A file that claims gigapixels makes OpenCV raise an error of its own."""
    header = struct.pack(">IIBBBBB", 70_000, 70_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(PictureError, match="refused"):
        decode_frame(message(Encoding.PNG, (70_000, 70_000, 3)), data)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((4, 4), np.int32),
        np.zeros((0, 4), np.uint8),
    ],
)
@pytest.mark.parametrize("encoding", [Encoding.PNG, Encoding.JPEG])
def test_what_is_no_picture_is_not_encoded(pixels: NDArray[np.uint8], encoding: Encoding) -> None:
    """Another shape, another type, or nothing at all."""
    with pytest.raises(PictureError):
        encode_pixels(pixels, encoding, jpeg_quality=95)


@pytest.mark.parametrize("shape", [(4, 4, 4), (4, 4, 1), (4,)])
def test_what_is_no_picture_does_not_go_raw(shape: tuple[int, ...]) -> None:
    """Nor does it as a view, which a frame on the memory bus is made of."""
    for pixels in (np.zeros(shape, np.uint8), np.zeros((4, 4), np.float32)):
        with pytest.raises(PictureError, match="neither RGB nor grey"):
            raw_view(pixels)  # type: ignore[arg-type]


def test_a_picture_too_wide_for_jpeg_is_a_picture_error() -> None:
    """JPEG ends at 65,500 pixels."""
    with pytest.raises(PictureError):
        encode_pixels(np.zeros((1, 70_000), np.uint8), Encoding.JPEG, jpeg_quality=95)


@pytest.mark.parametrize("shape", [COLOUR, GREY, (1, 1), (3, 2_000, 3), (40_000, 2)])
@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_an_overlay_is_a_picture_whatever_it_is_laid_over(shape: tuple[int, ...], level: float) -> None:
    """Any frame, any map: the operator gets a JPEG of at most 480 x 1920 pixels."""
    regions = (Region(0, 0, shape[1], shape[0], 1, 1.0),)
    values = AnomalyMap(np.full((6, 10), level, dtype=np.float32))
    jpeg = overlay_jpeg(np.zeros(shape, np.uint8), values, regions, low=0.2, high=0.4)
    found = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    assert found.shape[0] <= 1_920
    assert found.shape[1] <= 480


def test_an_overlay_is_red_where_the_map_is_high() -> None:
    """Absolute colours: below the low level the picture is as it was, above the high one it is reddened."""
    values = np.zeros((24, 40), dtype=np.float32)
    values[:, 20:] = 1.0
    jpeg = overlay_jpeg(np.full(COLOUR, 128, np.uint8), AnomalyMap(values), (), low=0.2, high=0.4)
    found = np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB), dtype=int)
    assert np.abs(found[12, 5] - 128).max() < 12
    assert found[12, 35, 0] - found[12, 35, 1] > 60


@pytest.mark.parametrize("encoding", [Encoding.PNG, Encoding.RAW])
def test_what_fits_a_message_fits_as_noise_too(encoding: Encoding) -> None:
    """The bound is above what the worst picture takes, and not far above."""
    noise = np.random.default_rng(0).integers(0, 256, (500, 600, 3), dtype=np.uint8)
    taken = len(encode_pixels(noise, encoding, jpeg_quality=95))
    check_fits(noise, encoding, limit_bytes=round(1.1 * taken))
    with pytest.raises(ConfigError, match="600x500"):
        check_fits(noise, encoding, limit_bytes=taken)


def test_jpeg_is_not_refused_for_its_pixels() -> None:
    """It takes a small part of them."""
    check_fits(np.zeros((2_048, 2_448, 3), dtype=np.uint8), Encoding.JPEG, limit_bytes=8 * 2**20)
