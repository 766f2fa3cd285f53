"""Figures of a benchmark beside the bounds that they must keep."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bound:
    """A figure, and whether it is within its bound."""

    phase: str
    name: str
    figure: str
    bound: str
    held: bool

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        """Return it as a table's row."""
        mark = "[green]held[/]" if self.held else "[bold red]MISSED[/]"
        return self.phase, self.name, self.figure, self.bound, mark
