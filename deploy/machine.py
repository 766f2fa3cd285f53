"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil


def machine_facts() -> dict[str, Any]:
    """Return processor, cores, memory and versions: what a figure means nothing without.

    `vnni` says whether the processor multiplies eight-bit numbers by instructions of their own.
    """
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "vnni": "avx512_vnni" in _flags() or "avx_vnni" in _flags(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
    }


def machine_note(machine: Mapping[str, Any]) -> str:
    """Return what a figure was measured on, in one line."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in machine.items())


def _processor() -> str:
    return _cpuinfo("model name") or platform.machine()


def _flags() -> list[str]:
    return _cpuinfo("flags").split()


def _cpuinfo(name: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")
