"""When Python looks for cycles of what nobody needs any more, and among what."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Make many records without looking for cycles among them: there are none, and the search takes long."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def set_aside() -> None:
    """Never look for cycles again in what is there now: the modules and what a process is built of, which all stay.

    A look at all of that takes a tenth of a second and more, in which no gate is served.
    """
    gc.collect()
    gc.freeze()
