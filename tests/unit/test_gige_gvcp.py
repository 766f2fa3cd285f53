from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.gige.gvcp import ask_privilege, ask_who, read_held, read_who


def answer(kind: int, body: bytes, status: int = 0) -> bytes:
    """Return an answer's packet."""
    return struct.pack(">HHHH", status, kind, len(body), 1) + body


def discovery_body() -> bytes:
    """Return what a camera tells of itself."""
    body = bytearray(0xF8)
    body[0x0A:0x10] = bytes.fromhex("001122334455")
    body[0x24:0x28] = bytes((192, 168, 7, 20))
    for at, text in ((0x48, b"Vendor"), (0x68, b"Model 5"), (0xD8, b"S-1"), (0xE8, b"top\xff")):
        body[at : at + len(text)] = text
    return bytes(body)


def test_questions_are_the_standards() -> None:
    """Both questions are, byte by byte, what the standard says."""
    assert ask_who(7, broadcast=True).hex() == "4211000200000007"
    assert ask_who(7, broadcast=False).hex() == "4201000200000007"
    assert ask_privilege(0x1234).hex() == "420100800004123400000a00"


def test_a_camera_tells_who_it_is() -> None:
    """An answer gives vendor, model, serial number, name, address and MAC, and goes by each of these selectors."""
    camera = read_who(answer(3, discovery_body()), "192.168.7.1")
    assert camera is not None
    assert (camera.vendor, camera.model, camera.serial) == ("Vendor", "Model 5", "S-1")
    assert (camera.address, camera.mac, camera.interface) == ("192.168.7.20", "00:11:22:33:44:55", "192.168.7.1")
    selectors = ("S-1", "192.168.7.20", "00:11:22:33:44:55", camera.user_name, "Vendor-S-1", "Vendor-Model 5-S-1")
    assert all(camera.named(selector) for selector in selectors)
    assert not camera.named("")
    assert not camera.named("S-2")
    assert str(camera).startswith("Vendor Model 5 S-1 'top")


def test_who_controls_a_camera() -> None:
    """The privilege register tells whether anybody controls the camera; a refusal tells nothing."""
    assert read_held(answer(0x81, b"\0\0\0\0")) is False
    assert read_held(answer(0x81, b"\0\0\0\2")) is True
    assert read_held(answer(0x81, b"\0\0\0\1")) is True
    assert read_held(answer(0x81, b"\0\0\0\2", status=0x8006)) is None


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda body: answer(3, body))))
def test_no_packet_breaks_the_reader(packet: bytes) -> None:
    """Whatever comes from the network is read as a camera or as none, and never raises."""
    read_who(packet, "127.0.0.1")
    read_held(packet)
