"""OpenVINO without its telemetry: the only place that imports it.

Its package reports its import, and each conversion, to a server, unless somebody declined; a program that stands beside
a production line reports nothing to anybody. Without the package that does so OpenVINO and NNCF fall back to a stub of
their own, so it is hidden from them. It must be hidden before they are imported: hence here, and not in a function.
"""

from __future__ import annotations

import sys
from functools import cache

# None makes Python refuse the import as that of a package that is not installed.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino  # noqa: E402 - see above
from openvino import opset13 as ops  # noqa: E402

__all__ = ["openvino", "ops", "the_core"]


@cache
def the_core() -> openvino.Core:
    """Return the process's one core, which lives as long as it.

    On processors with AVX-512 each core gives the thread that made it a stack for signals, and takes it away with
    itself. Of two that end in the order in which they began, the second one gives back the first one's stack, which is
    no more, and the next signal ends the process.
    """
    return openvino.Core()
