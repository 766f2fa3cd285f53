"""What this host's processor is, and what it can do."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path
from typing import Final

_INFO: Final = Path("/proc/cpuinfo")
_DOT_PRODUCTS: Final = {"avx512_vnni", "avx_vnni", "asimddp"}


@cache
def has_int8_dot() -> bool:
    """Say whether it adds up products of eight-bit numbers in 32 bits, by instructions of its own (VNNI, or ARM's).

    Others add two of them up in 16 bits first, which is too few for large numbers: what they find is wrong then (Intel,
    oneDNN's guide, "Nuances of int8 computations"). Where nobody knows, the answer is no.
    """
    return not _DOT_PRODUCTS.isdisjoint((_said("flags") or _said("Features")).split())


def processor_name() -> str:
    """Return its maker's name for it, or that of its kind."""
    return _said("model name") or platform.machine()


def _said(name: str) -> str:
    try:
        lines = _INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")
