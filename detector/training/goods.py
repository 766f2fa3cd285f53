"""The good pictures of a set, in bounded numbers, and their features through a lens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from detector.model.lens import Size
from detector.pictures.files import read_picture
from detector.pictures.sets import list_good

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.model.lens import Lens, Levels
    from detector.model.profiles import Profile
    from detector.runtime.base import Engine

# With more good pictures than this, the changes of light are among them.
_RELIT_UP_TO = 32
MOST_PICTURES = 400
# Features of one view, of all pictures; 400 pictures of `lite-pyramid` at 512 x 512 fill a quarter of it.
_MOST_FEATURES_BYTES = 4 * 2**30
_FEWEST_PICTURES = 24


@dataclass(frozen=True, slots=True)
class Goods:
    """The product's name, the files of good pictures that training uses, and the size of each picture."""

    product: str
    paths: tuple[Path, ...]
    sizes: tuple[Size, ...]

    def features(
        self, engine: Engine, lens: Lens, settings: Profile, on_done: Callable[[int], None]
    ) -> list[NDArray[np.float32]]:
        """Return every picture's patch features, (rows, columns, D) float32 each; one picture in memory at a time."""
        found = []
        for done, path in enumerate(self.paths, start=1):
            found.append(extract(engine, read_picture(path), lens, settings))
            on_done(done)
        return found

    def within_memory(self, engine: Engine, lens: Lens, settings: Profile) -> Goods:
        """Return as many of the pictures, spread evenly, as their features through a lens fit into 4 GiB."""
        largest = max(range(len(self.paths)), key=lambda index: self.sizes[index].side_px)
        features = extract(engine, read_picture(self.paths[largest]), lens, settings)
        most = max(_FEWEST_PICTURES, _MOST_FEATURES_BYTES // (features.nbytes))
        if len(self.paths) <= most:
            return self
        known = dict(zip(self.paths, self.sizes, strict=True))
        paths = evenly(self.paths, most)
        return Goods(self.product, tuple(paths), tuple(known[path] for path in paths))

    def relit(self, engine: Engine, lens: Lens, settings: Profile) -> list[NDArray[np.float32]]:
        """Return every picture's features at the profile's gains, (gains, rows, columns, D) float32 each.

        An empty list where the profile asks for none, and where there are more than `_RELIT_UP_TO` pictures.
        """
        if not settings.bank_gains or len(self.paths) > _RELIT_UP_TO:
            return []
        found = []
        for path in self.paths:
            picture = read_picture(path)
            lit = (cv2.convertScaleAbs(picture, alpha=gain) for gain in settings.bank_gains)
            found.append(np.stack([extract(engine, np.asarray(one, np.uint8), lens, settings) for one in lit]))
        return found


def extract(engine: Engine, picture: Levels, lens: Lens, settings: Profile) -> NDArray[np.float32]:
    """Return the patch features (rows, columns, D) float32 of one picture."""
    return engine.see([lens.look(picture, settings)])[0].patches


def read_goods(folder: Path, on_read: Callable[[int, int], None]) -> Goods:
    """Read a set's good pictures once for their sizes: a file that is no picture is found before any work is done.

    Of more than `MOST_PICTURES`, as many are taken, spread evenly over the order of their names.
    """
    everything = list_good(folder)
    paths = evenly(everything, MOST_PICTURES)
    sizes = []
    for done, path in enumerate(paths, start=1):
        height, width = read_picture(path).shape[:2]
        sizes.append(Size(height, width))
        on_read(done, len(paths))
    return Goods(folder.resolve().name, tuple(paths), tuple(sizes))


def evenly(paths: Sequence[Path], most: int) -> list[Path]:
    """Return at most `most` of the paths, spread evenly over all of them."""
    if len(paths) <= most:
        return list(paths)
    return [paths[int(index)] for index in np.linspace(0, len(paths) - 1, most).round()]
