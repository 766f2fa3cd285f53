"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

import psutil

from shared.processor import has_int8_dot, processor_name


def machine_facts() -> dict[str, Any]:
    """Return processor, cores, memory and versions: what a figure means nothing without.

    `vnni` says whether the processor multiplies eight-bit numbers by instructions of their own.
    """
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "vnni": has_int8_dot(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
    }


def machine_note(machine: Mapping[str, Any]) -> str:
    """Return what a figure was measured on, in one line."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in machine.items())
