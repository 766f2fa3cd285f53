"""Where a call's time goes: the functions that it is made of, timed while the measured code itself calls them.

Nothing is written a second time: while a `Tracer` is open, each span is wrapped where it stands, and put back
afterwards. A part's time is its own, without that of the parts inside it.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Span:
    """A function of a module, or a method of a class, that makes up one part; what an `opaque` one calls is its own."""

    owner: Any
    name: str
    part: str
    opaque: bool = False


class Tracer:
    """Times the spans in the thread that made it, by the clock `now_ns`."""

    def __init__(self, spans: Sequence[Span], now_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self._spans = spans
        self._now_ns = now_ns
        self._thread = threading.get_ident()
        self._put_back: list[tuple[Any, str, Any]] = []
        self._inner_ns: list[int] = []
        self._parts_ns: defaultdict[str, int] = defaultdict(int)
        self._inside_opaque = False

    def __enter__(self) -> Self:
        originals = [(span, vars(span.owner)[span.name]) for span in self._spans]
        for span, original in originals:
            self._put_back.append((span.owner, span.name, original))
            setattr(span.owner, span.name, self._timed(original, span.part, opaque=span.opaque))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._put_back:
            owner, name, original = self._put_back.pop()
            setattr(owner, name, original)

    def _timed(self, function: Callable[..., Any], part: str, *, opaque: bool = False) -> Callable[..., Any]:
        """Return the function such that its calls count as this part's."""

        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the function takes and gives
            if self._inside_opaque or threading.get_ident() != self._thread:
                return function(*arguments, **named)
            self._inside_opaque = opaque
            self._inner_ns.append(0)
            began_ns = self._now_ns()
            try:
                return function(*arguments, **named)
            finally:
                took_ns = self._now_ns() - began_ns
                self._parts_ns[part] += took_ns - self._inner_ns.pop()
                self._inside_opaque = False
                if self._inner_ns:
                    self._inner_ns[-1] += took_ns

        return call

    def take(self) -> dict[str, int]:
        """Return what each part has taken since the last time, in nanoseconds."""
        taken = dict(self._parts_ns)
        self._parts_ns.clear()
        return taken
