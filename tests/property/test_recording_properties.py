"""What holds for any shots that are recorded, and for any damage that is done to the file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ingest.recording.header import RecordingHeader
from ingest.recording.reading import Extent, measure, read_header
from ingest.sources.base import Fault, Shot, TimeSource
from shared.errors import DataError
from tests.recordings import HEADER, read, same, shots, write

sides = st.integers(1, 9)
shapes = st.tuples(sides, sides) | st.tuples(sides, sides, st.just(3))
pixels = st.sampled_from([np.uint8, np.uint16]).flatmap(lambda dtype: arrays.arrays(dtype, shapes))
counts = st.none() | st.integers(-(2**62), 2**62)
any_shots = st.builds(
    Shot,
    st.none() | pixels,
    st.integers(-(2**62), 2**63 - 1),
    counts,
    st.none() | st.text(max_size=10),
    counts,
    counts,
    st.sampled_from(TimeSource),
    st.none() | st.sampled_from(Fault),
)
names = st.text(max_size=10)


def measured(path: Path) -> Extent | DataError:
    """Return what a recording holds, or why it is refused."""
    try:
        return measure(path)
    except DataError as error:
        return error


@given(st.lists(any_shots, min_size=1, max_size=6), st.builds(RecordingHeader, names, names, names, st.booleans()))
def test_what_is_written_comes_back(recorded: list[Shot], header: RecordingHeader) -> None:
    """Every field and every pixel of grey, RGB, 8 and 16 bits, in their order, with the header."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "a.mcap", recorded, header)
        found = read(path)
        extent = measure(path)
    assert len(found) == len(recorded)
    assert all(same(one, other) for one, other in zip(recorded, found, strict=True))
    assert extent.header == header
    assert extent.shots == len(recorded)
    assert extent.finished


def test_a_file_cut_at_any_byte_is_a_recording_of_its_first_shots(tmp_path: Path) -> None:
    """As kill -9 leaves it: whole chunks are read, nothing else, and what has no chunk yet is refused with its name."""
    recorded = shots(5)
    data = write(tmp_path / "whole.mcap", recorded, each_whole=True).read_bytes()
    cut = tmp_path / "cut.mcap"
    seen = set()
    for length in range(len(data)):
        cut.write_bytes(data[:length])
        extent = measured(cut)
        if isinstance(extent, DataError):
            assert "cut.mcap" in str(extent)
            continue
        found = read(cut)
        seen.add(len(found))
        assert extent.shots == len(found)
        assert not extent.finished
        assert all(same(one, other) for one, other in zip(recorded, found, strict=False))
    assert seen == {1, 2, 3, 4, 5}


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_no_damage_goes_unnoticed(data: st.DataObject) -> None:
    """Any changed byte of a finished recording is found before the first shot is played, or changes nothing."""
    recorded = shots(3)
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "a.mcap", recorded, each_whole=True)
        whole = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] ^= data.draw(st.integers(1, 255))
        path.write_bytes(whole)
        extent = measured(path)
        if isinstance(extent, DataError):
            assert "a.mcap" in str(extent)
            return
        found = read(path)
        assert read_header(path) == HEADER
    assert extent.shots == len(found)
    # A damaged end is taken for a cut: then the last shots may be missing, but no other.
    assert len(found) == 3 or not extent.finished
    assert all(same(one, other) for one, other in zip(recorded, found, strict=False))


@given(st.binary(max_size=200))
def test_what_is_no_recording_is_refused(data: bytes) -> None:
    """Any bytes end in an error that names the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mcap"
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"a\.mcap"):
            measure(path)
