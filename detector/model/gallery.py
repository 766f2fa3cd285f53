"""Small pictures of good parts that a model keeps of its training, to be shown beside a part that it found odd."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gallery:
    """JPEGs and the names of the files that they were made of; `pictures` is how many the product was trained on.

    Banks name them by their number here.
    """

    names: tuple[str, ...]
    jpegs: tuple[bytes, ...]
    pictures: int
