from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.sources.pixel_formats import FORMATS, by_code, by_name, decode
from shared.errors import PictureError

PATTERNS = {"BayerRG": "RGGB", "BayerGB": "GBRG", "BayerGR": "GRBG", "BayerBG": "BGGR"}
COLOURS = ((200, 30, 60), (20, 180, 90), (40, 60, 220), (250, 250, 250), (128, 128, 128), (5, 10, 8))
GREYS = (0, 1, 77, 128, 200, 255)
PATCH_PX = 16


def chart() -> NDArray[np.uint8]:
    """Return patches of six colours, (16, 96, 3) RGB."""
    return np.repeat(np.repeat(np.array([COLOURS], np.uint8), PATCH_PX, axis=0), PATCH_PX, axis=1)


def greys() -> NDArray[np.uint8]:
    """Return patches of six greys, (16, 96)."""
    return np.repeat(np.repeat(np.array([GREYS], np.uint8), PATCH_PX, axis=0), PATCH_PX, axis=1)


def patches(picture: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.float64]:
    """Return the mean of each patch's inner half, as parts of white."""
    white = np.iinfo(picture.dtype).max
    inner = slice(PATCH_PX // 4, 3 * PATCH_PX // 4)
    split = picture.reshape(PATCH_PX, len(GREYS), PATCH_PX, -1)
    means: NDArray[np.float64] = split[inner, :, inner].mean(axis=(0, 2)) / white
    return means


def deepened(samples: NDArray[np.uint8], depth: int) -> NDArray[np.uint16]:
    """Return 8-bit samples as a camera of so many bits sees them."""
    return np.rint(samples / 255 * ((1 << depth) - 1)).astype(np.uint16)


def mosaicked(picture: NDArray[np.uint8], pattern: str) -> NDArray[np.uint8]:
    """Return what a sensor sees through a mosaic whose first four pixels, row by row, have these colours."""
    seen = np.empty(picture.shape[:2], np.uint8)
    for index, colour in enumerate(pattern):
        row, column = divmod(index, 2)
        seen[row::2, column::2] = picture[row::2, column::2, "RGB".index(colour)]
    return seen


@pytest.mark.parametrize("depth", [8, 10, 12, 16])
@pytest.mark.parametrize("name", PATTERNS)
def test_mosaics_come_back_in_their_colours(name: str, depth: int) -> None:
    """A colour chart seen through each mosaic, at each depth, comes back within 1 %."""
    seen = mosaicked(chart(), PATTERNS[name])
    data = seen.tobytes() if depth == 8 else deepened(seen, depth).astype("<u2").tobytes()
    picture = decode(FORMATS[f"{name}{depth}"], data, seen.shape[1], seen.shape[0])
    assert picture.dtype == (np.uint8 if depth == 8 else np.uint16)
    np.testing.assert_allclose(patches(picture), np.array(COLOURS) / 255, atol=0.01)


@pytest.mark.parametrize(("name", "depth"), [("Mono10", 10), ("Mono12", 12), ("Mono14", 14), ("Mono16", 16)])
def test_words_fill_sixteen_bits(name: str, depth: int) -> None:
    """A grey chart of any depth fills 16 bits: black is 0, white is 65,535."""
    data = deepened(greys(), depth).astype("<u2").tobytes()
    picture = decode(FORMATS[name], data, 96, 16)
    np.testing.assert_allclose(patches(picture)[:, 0], np.array(GREYS) / 255, atol=0.001)
    assert (picture.min(), picture.max()) == (0, 65_535)


def bit_stream(samples: NDArray[np.uint16], depth: int) -> bytes:
    """Pack samples one after the other, lowest bit first, by the definition."""
    bits = [(int(sample) >> bit) & 1 for sample in samples.reshape(-1) for bit in range(depth)]
    return np.packbits(np.array(bits, np.uint8), bitorder="little").tobytes()


def nibbles(samples: NDArray[np.uint16], depth: int) -> bytes:
    """Pack pairs of samples as GigE Vision did before PFNC, by the definition."""
    low = depth - 8
    packed = bytearray()
    flat = [int(sample) for sample in samples.reshape(-1)]
    for first, second in zip(flat[::2], [*flat[1::2], 0][: len(flat[::2])], strict=True):
        mask = (1 << low) - 1
        packed += bytes((first >> low, (first & mask) | ((second & mask) << 4), second >> low))
    return bytes(packed)


@pytest.mark.parametrize("shape", [(16, 96), (7, 5), (3, 3)])
@pytest.mark.parametrize("depth", [10, 12])
def test_packed_samples_are_unpacked(depth: int, shape: tuple[int, int]) -> None:
    """Both ways to pack 10 and 12 bits give every sample back, also where rows end within a byte."""
    samples = np.random.default_rng(0).integers(0, 1 << depth, shape, dtype=np.uint16)
    samples[0, :2] = 0, (1 << depth) - 1
    expected = np.rint(samples / ((1 << depth) - 1) * 65_535)
    for name, packed in (("p", bit_stream(samples, depth)), ("Packed", nibbles(samples, depth))):
        picture = decode(FORMATS[f"Mono{depth}{name}"], packed, shape[1], shape[0])
        np.testing.assert_allclose(picture, expected, atol=1 << (16 - depth))
        assert picture[0, 0] == 0
        assert picture[0, 1] == 65_535


def test_plain_formats() -> None:
    """Mono8, RGB8 and BGR8 come back exactly, colours in the order red, green, blue."""
    np.testing.assert_array_equal(decode(FORMATS["Mono8"], greys().tobytes(), 96, 16), greys())
    np.testing.assert_array_equal(decode(FORMATS["RGB8"], chart().tobytes(), 96, 16), chart())
    np.testing.assert_array_equal(decode(FORMATS["BGR8"], chart()[:, :, ::-1].tobytes(), 96, 16), chart())


@pytest.mark.parametrize(("name", "order"), [("YUV422_8_UYVY", "UYVY"), ("YUV422_8", "YUYV"), ("YCbCr422_8", "YUYV")])
def test_luma_and_chroma_come_back_in_their_colours(name: str, order: str) -> None:
    """A colour chart as 4:2:2 of full range comes back within 1 %."""
    planes = cv2.cvtColor(chart(), cv2.COLOR_RGB2YCrCb)
    packed = np.empty((16, 192), np.uint8)
    first = order.index("Y")
    packed[:, first::2] = planes[:, :, 0]
    packed[:, order.index("U") :: 4] = planes[:, ::2, 2]
    packed[:, order.index("V") :: 4] = planes[:, ::2, 1]
    picture = decode(FORMATS[name], packed.tobytes(), 96, 16)
    np.testing.assert_allclose(patches(picture), np.array(COLOURS) / 255, atol=0.01)


def test_padded_rows() -> None:
    """Bytes that follow each row are left out, and the last row needs none."""
    rows = greys()
    padded = np.pad(rows, ((0, 0), (0, 3)), constant_values=99).tobytes()
    np.testing.assert_array_equal(decode(FORMATS["Mono8"], padded, 96, 16, 3), rows)
    np.testing.assert_array_equal(decode(FORMATS["Mono8"], padded[:-3], 96, 16, 3), rows)


def test_pictures_own_their_memory() -> None:
    """A picture can be written to, and what follows it in the buffer, such as chunks, is left out."""
    picture = decode(FORMATS["Mono8"], greys().tobytes() + b"chunks", 96, 16)
    picture[:] = 0
    assert picture.flags.owndata


def test_too_few_bytes_are_refused() -> None:
    """A frame that is shorter than its size says is refused by name."""
    with pytest.raises(PictureError, match=r"96x16 Mono16 has 100 bytes and not 3,072"):
        decode(FORMATS["Mono16"], bytes(100), 96, 16)


def test_formats_by_code_and_name() -> None:
    """Formats are found by number, name and older name; unknown ones are not."""
    assert by_code(0x01080009) is FORMATS["BayerRG8"]
    assert by_name("BayerBG12") is FORMATS["BayerBG12"]
    assert by_name("RGB8Packed") is FORMATS["RGB8"]
    assert by_name("YUV422Packed") is FORMATS["YUV422_8_UYVY"]
    assert by_code(1) is None
    assert by_name("Coord3D_ABC32f") is None


@pytest.mark.gige
def test_codes_are_those_of_aravis() -> None:
    """Each format's number is the one that Aravis knows it by."""
    gi = pytest.importorskip("gi", reason="PyGObject is not installed")
    gi.require_version("Aravis", "0.8")
    from gi.repository import Aravis  # noqa: PLC0415

    known = {name: getattr(Aravis, name) for name in dir(Aravis) if name.startswith("PIXEL_FORMAT_")}
    unknown = {one.name for one in FORMATS.values() if one.code not in known.values()}
    assert unknown <= {"Mono10p", "Mono12p", "Mono14", "YCbCr422_8"}
    assert known["PIXEL_FORMAT_BAYER_RG_12"] == FORMATS["BayerRG12"].code
    assert known["PIXEL_FORMAT_BAYER_GB_16"] == FORMATS["BayerGB16"].code
    assert known["PIXEL_FORMAT_MONO_12_PACKED"] == FORMATS["Mono12Packed"].code
