"""What some tests need of the processor that they run on."""

from __future__ import annotations

import pytest

from shared.processor import has_int8_dot

needs_int8_dot = pytest.mark.skipif(
    not has_int8_dot(), reason="this processor has no instructions for int8: no engine computes in it here"
)
