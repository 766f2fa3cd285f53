"""GigE Vision's control protocol, as far as finding a camera and feeling its pulse need it. Pure.

Aravis speaks the rest. What is here can be asked of any camera without taking control of it, and without Aravis' own
patience of 2.5 s for each question that nobody answers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

PORT: Final = 3956
PRIVILEGE_REGISTER: Final = 0x0A00
_KEY: Final = 0x42
_ACKNOWLEDGE: Final = 0x01
_BROADCAST_ANSWER: Final = 0x10
_DISCOVERY: Final = 0x0002
_READ_REGISTER: Final = 0x0080
_HEADER: Final = struct.Struct(">BBHHH")
_ANSWER_HEADER: Final = struct.Struct(">HHHH")
_WORD: Final = struct.Struct(">I")
_CONTROLLED: Final = 0b11
_DISCOVERY_BYTES: Final = 0xF8
_MAC: Final = slice(0x0A, 0x10)
_ADDRESS: Final = slice(0x24, 0x28)
_VENDOR: Final = slice(0x48, 0x68)
_MODEL: Final = slice(0x68, 0x88)
_SERIAL: Final = slice(0xD8, 0xE8)
_USER_NAME: Final = slice(0xE8, 0xF8)


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """A camera that answered.

    `interface` is the address of this host's interface that it answered to. `reachable` says whether it also answers
    when it is asked alone, which one in a wrong subnet does not; `held` whether some client controls it, None where
    it did not say.
    """

    vendor: str
    model: str
    serial: str
    user_name: str
    address: str
    mac: str
    interface: str
    reachable: bool = False
    held: bool | None = None

    def named(self, selector: str) -> bool:
        """Return whether the selector is its serial number, address, user-defined name, MAC or device id."""
        ids = (f"{self.vendor}-{self.serial}", f"{self.vendor}-{self.model}-{self.serial}")
        return bool(selector) and selector in {self.serial, self.address, self.user_name, self.mac, *ids}

    def __str__(self) -> str:
        name = f" {self.user_name!r}" if self.user_name else ""
        return f"{self.vendor} {self.model} {self.serial}{name} at {self.address}"


def ask_who(request: int, *, broadcast: bool) -> bytes:
    """Return the packet that makes cameras tell who they are; `request` is 1 to 65,535 and comes back in the answer."""
    flags = _ACKNOWLEDGE | (_BROADCAST_ANSWER if broadcast else 0)
    return _HEADER.pack(_KEY, flags, _DISCOVERY, 0, request)


def ask_privilege(request: int) -> bytes:
    """Return the packet that asks who controls the camera: any client may, and every camera must answer."""
    return _HEADER.pack(_KEY, _ACKNOWLEDGE, _READ_REGISTER, _WORD.size, request) + _WORD.pack(PRIVILEGE_REGISTER)


def read_who(packet: bytes, interface: str) -> FoundCamera | None:
    """Return the camera that a discovery answer tells of, or None for any other packet."""
    body = _body(packet, _DISCOVERY + 1)
    if body is None or len(body) < _DISCOVERY_BYTES:
        return None
    return FoundCamera(
        vendor=_text(body[_VENDOR]),
        model=_text(body[_MODEL]),
        serial=_text(body[_SERIAL]),
        user_name=_text(body[_USER_NAME]),
        address=str(IPv4Address(body[_ADDRESS])),
        mac=body[_MAC].hex(":"),
        interface=interface,
    )


def read_held(packet: bytes) -> bool | None:
    """Return whether some client controls the camera, or None when the packet does not say so."""
    body = _body(packet, _READ_REGISTER + 1)
    if body is None or len(body) < _WORD.size:
        return None
    return bool(_WORD.unpack_from(body)[0] & _CONTROLLED)


def answers(packet: bytes, request: int) -> bool:
    """Return whether the packet is the answer to this request, a refusal included."""
    return len(packet) >= _ANSWER_HEADER.size and _ANSWER_HEADER.unpack_from(packet)[3] == request


def _body(packet: bytes, answer: int) -> bytes | None:
    if len(packet) < _ANSWER_HEADER.size:
        return None
    status, kind, length, _ = _ANSWER_HEADER.unpack_from(packet)
    body = packet[_ANSWER_HEADER.size :]
    return body[:length] if status == 0 and kind == answer and len(body) >= length else None


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace").strip()
