"""Which cameras there are, and who holds them. Asks without taking control; blocks, so that it belongs in a thread."""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Final

import psutil

from ingest.sources.gige.gvcp import PORT, FoundCamera, answers, ask_privilege, ask_who, read_held, read_who
from shared.errors import ConfigError, LossCause, SourceUnavailableError

_WAIT_S: Final = 0.5
_TRIES: Final = 3
_ANSWER_BYTES: Final = 1_024


def discover(interfaces: Sequence[str] | None = None, wait_s: float = _WAIT_S) -> list[FoundCamera]:
    """Return the cameras that answer within `wait_s`, by serial number, and whether each is reachable and held.

    `interfaces` are the addresses of the host's interfaces to ask on; None asks on all of them.
    """
    found = {(camera.mac, camera.address): camera for camera in _listen(interfaces, wait_s)}
    return sorted((_examined(camera) for camera in found.values()), key=lambda one: (one.serial, one.address))


def find(selector: str, interfaces: Sequence[str] | None = None) -> FoundCamera:
    """Return the camera of a serial number, address, user-defined name, MAC or device id; of "" the only one there is.

    Raises `SourceUnavailableError` when it is not there, does not answer or is held by another client, `ConfigError`
    when several cameras go by that name.
    """
    camera = _at_address(selector) if _is_address(selector) else _by_name(selector, interfaces)
    if camera.held is None:
        camera = _examined(camera)
    if not camera.reachable:
        raise SourceUnavailableError(
            f"camera {camera} does not answer when it is asked alone", "Is its address in this host's network?"
        )
    if camera.held:
        raise SourceUnavailableError(
            f"camera {camera} is controlled by another client", "Close that client.", cause=LossCause.HELD
        )
    return camera


def privilege_socket(address: str, interface: str) -> socket.socket:
    """Return a socket that asks this camera alone and never blocks."""
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asking.setblocking(False)
    asking.bind((interface, 0))
    asking.connect((address, PORT))
    return asking


def _by_name(selector: str, interfaces: Sequence[str] | None) -> FoundCamera:
    heard: list[FoundCamera] = []
    for camera in _listen(interfaces, _WAIT_S):
        if camera.named(selector) and selector == camera.serial:
            return camera
        heard.append(camera)
    unique = list({(camera.mac, camera.address): camera for camera in heard}.values())
    chosen = [camera for camera in unique if not selector or camera.named(selector)]
    there = "; ".join(str(camera) for camera in unique)
    if len(chosen) > 1:
        raise ConfigError(
            f"several cameras answer to gige://{selector}: {there}", "Give the serial number of one, gige://SERIAL."
        )
    if not chosen:
        raise SourceUnavailableError(
            f"no GigE Vision camera {selector!r} answers" if selector else "no GigE Vision camera answers",
            f"These do: {there}." if there else "Check its power, its cable and this host's network.",
        )
    return chosen[0]


def _at_address(address: str) -> FoundCamera:
    interface = _interface_to(address)
    answer = _ask(address, interface, lambda request: ask_who(request, broadcast=False))
    camera = None if answer is None else read_who(answer, interface)
    if camera is None:
        raise SourceUnavailableError(f"camera {address} does not answer", "Check its address, its power and its cable.")
    # What it says of itself may be another of its addresses; this one it answered on.
    return replace(camera, address=address)


def _examined(camera: FoundCamera) -> FoundCamera:
    answer = _ask(camera.address, camera.interface, ask_privilege)
    return replace(camera, reachable=answer is not None, held=None if answer is None else read_held(answer))


def _ask(address: str, interface: str, question: Callable[[int], bytes]) -> bytes | None:
    """Return the answer to a question, asked up to three times, or None."""
    try:
        with privilege_socket(address, interface) as asking, selectors.DefaultSelector() as selector:
            selector.register(asking, selectors.EVENT_READ)
            for request in range(1, _TRIES + 1):
                asking.send(question(request))
                until = time.monotonic() + _WAIT_S / _TRIES
                while (left_s := until - time.monotonic()) > 0 and selector.select(left_s):
                    answer = asking.recv(_ANSWER_BYTES)
                    if answers(answer, request):
                        return answer
    except OSError:
        # Nobody listens at that address, or no way leads there.
        return None
    return None


def _listen(interfaces: Sequence[str] | None, wait_s: float) -> Iterator[FoundCamera]:
    """Ask everybody on each interface and give who answers."""
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for interface, broadcast in _interfaces():
            if interfaces is None or interface in interfaces:
                asking = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                if _shout(asking, interface, broadcast):
                    selector.register(asking, selectors.EVENT_READ, (asking, interface))
        if not selector.get_map():
            return
        until = time.monotonic() + wait_s
        while (left_s := until - time.monotonic()) > 0:
            for key, _ in selector.select(left_s):
                camera = _hear(*key.data)
                if camera is not None:
                    yield camera


def _shout(asking: socket.socket, interface: str, broadcast: str) -> bool:
    asking.setblocking(False)
    asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    question = ask_who(1, broadcast=True)
    try:
        asking.bind((interface, 0))
        # A camera of another subnet hears only the second.
        asking.sendto(question, (broadcast, PORT))
        if broadcast != interface:
            asking.sendto(question, ("255.255.255.255", PORT))
    except OSError as error:
        if error.errno in {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.EPERM, errno.EACCES}:
            return False
        raise
    return True


def _hear(asking: socket.socket, interface: str) -> FoundCamera | None:
    try:
        return read_who(asking.recv(_ANSWER_BYTES), interface)
    except OSError:
        return None


def _interfaces() -> Iterator[tuple[str, str]]:
    """Give each interface's address, and that at which everybody on it hears; loopback is asked by its own address."""
    up = psutil.net_if_stats()
    for name, addresses in psutil.net_if_addrs().items():
        for one in addresses:
            if one.family is socket.AF_INET and name in up and up[name].isup:
                yield one.address, one.broadcast or one.address


def _interface_to(address: str) -> str:
    try:
        with privilege_socket(address, "0.0.0.0") as asking:  # noqa: S104 - the kernel chooses, nothing listens
            return str(asking.getsockname()[0])
    except OSError as error:
        raise SourceUnavailableError(
            f"no way leads to camera {address} ({error.strerror})", "Check this host's network."
        ) from error


def _is_address(selector: str) -> bool:
    try:
        IPv4Address(selector)
    except ValueError:
        return False
    return True
