"""Any folder of pictures, or a data set of the hub, as batches: a function of seed and step alone, in flat memory."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.data.pictures.decode import Pixels, decode
from mezzotint.data.pictures.files import EXTENSIONS
from mezzotint.data.pictures.prefetch import LruArrays, Prefetcher
from mezzotint.data.pictures.survey import PORTRAIT, Survey, Wanted, survey
from mezzotint.data.subsets import portrait
from mezzotint.errors import DataError


class Order:
    """Positions 0, 1, 2 … of an endless walk over `count` pictures, epoch after epoch."""

    def __init__(self, count: int):
        self.count = count
        self._lock = threading.Lock()
        # As many epochs as batches across a border, and those prepared ahead, need.
        self._epoch = lru_cache(4)(self._permutation)

    def at(self, seed: int, position: int) -> int:
        """The picture at this position."""
        epoch, place = divmod(position, self.count)
        with self._lock:
            shuffled = self._epoch(seed, epoch)
        return int(shuffled[place])

    def _permutation(self, seed: int, epoch: int) -> NDArray[np.uint32]:
        """By sorting raw numbers: NumPy keeps these the same in all versions, `permutation` it may change."""
        key = int.from_bytes(hashlib.sha256(f"epoch {seed} {epoch}".encode()).digest()[:16], "little")
        raw = np.random.Philox(key=key).random_raw(self.count)
        return np.argsort(raw, kind="stable").astype(np.uint32)


def chance(seed: int, position: int) -> random.Random:
    """What a visit decides by: whether it is mirrored, which caption it has, where it is cut, in this order."""
    return random.Random(f"visit {seed} {position}")


CACHE = 256 * 2**20
"""Bytes of decoded pictures, by default."""
Crop = Literal["center", "random"]
Made = TypeVar("Made")


class Batch(NamedTuple):
    """Pixels (n, 3, size, size) in -1..1; a caption each, "" where there is none; and which pictures these are."""

    pixels: NDArray[np.float32]
    captions: tuple[str, ...]
    indices: tuple[int, ...]


@dataclass(frozen=True)
class Visit:
    """One picture's turn: which it is, what was drawn for it, and the chance that decides the rest."""

    index: int
    mirrored: bool
    caption: str
    chance: random.Random


class _BatchRequest(NamedTuple):
    seed: int
    step: int
    n: int
    hflip: bool
    crop: Crop


class PictureFolder:
    """Pictures by index and by (seed, step). It holds paths and captions, packed, and `cache` bytes of decoded pictures."""

    def __init__(self, found: Survey, wanted: Wanted, cache: int, workers: int, ahead: int):
        self.pictures, self._captions, self.skipped = found.pictures, found.captions, found.skipped
        self.survey, self.size, self.background = found, wanted.size, wanted.background
        self.failed: dict[str, str] = {}  # name to reason, of what could not be decoded when its turn came
        self._order, self._recent, self._depth = Order(len(found.pictures)), LruArrays(cache), ahead
        self._ahead: Prefetcher[_BatchRequest, Batch] = Prefetcher(self._batch, workers if ahead else 0)

    @classmethod
    def open(
        cls,
        source: str | Path,
        size: int,
        captions: bool = False,
        extensions: Sequence[str] = EXTENSIONS,
        min_side: int | None = None,
        *,
        multiple: int = 1,
        background: str = "white",
        cache: int = CACHE,
        workers: int | None = None,
        ahead: int = 2,
    ) -> Self:
        """A folder of any depth, or a dataset `owner/name` of the hub; with captions, only pictures that have one.

        Captions: `metadata.jsonl` or `.csv` with file_name and text, caption or captions, or a `.txt` beside a picture.
        `background`: of transparent pictures, a color or "portrait", another at each visit. `multiple`: of which the
        model needs `size` to be one. `ahead`: batches made in advance. DataError names all that is wrong, before any work.
        """
        wanted = Wanted(size, captions, min_side, multiple, background)
        found = survey(source, wanted, extensions)
        if found.problems:
            raise DataError("; ".join(found.problems))
        return cls(found, wanted, cache, min(4, os.cpu_count() or 1) if workers is None else workers, ahead)

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def digest(self) -> str:
        """Of names, sizes in bytes and captions, 64 hex digits: where it differs, so do the batches."""
        return self.survey.digest

    @property
    def wait_seconds(self) -> float:
        """Seconds that `batch` has kept its callers waiting."""
        return self._ahead.wait_seconds

    def name(self, index: int) -> str:
        """The path from the source's root, or `owner/name#row`."""
        return self.pictures.name(index)

    def captions(self, index: int) -> tuple[str, ...]:
        """All that a picture may be called."""
        return tuple(self._captions[index].splitlines())

    def steps_per_epoch(self, n: int) -> int:
        """Batches until each picture was visited."""
        return -(-len(self) // n)

    def content(self, index: int) -> str:
        """sha256 of the file's bytes, in hex. OSError where it is gone."""
        with self.pictures.open(index) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def picture(self, index: int, crop: Crop = "center") -> Pixels:
        """(size, size, 3), or before random crops the whole, `size` on its short side; RGBA where a portrait is to be.

        Raises whatever a damaged file leads its decoder to. Not to be written into: it may be kept.
        """
        whole, background = crop == "random", None if self.background == PORTRAIT else self.background

        def read() -> Pixels:
            with self.pictures.open(index) as file:
                return decode(file, self.size, whole, background)

        return self._recent.get((index, whole), read)

    def batch(self, seed: int, step: int, n: int, hflip: bool = True, crop: Crop = "center") -> Batch:
        """Batch `step` of an endless walk in which every epoch visits each picture once, shuffled by the seed.

        Files that cannot be decoded are told in `failed`, and the next picture takes their place. The next batches are
        made by threads meanwhile. DataError where no picture can be decoded any more.
        """
        asked = _BatchRequest(seed, step, n, hflip, crop)
        upcoming = (asked._replace(step=step + more) for more in range(1, self._depth + 1))
        return self._ahead.get(asked, upcoming)

    def close(self) -> None:
        """Stop the threads."""
        self._ahead.close()

    def visit(self, seed: int, position: int, read: Callable[[Visit], Made]) -> tuple[Visit, Made]:
        """Whose turn it is, and what `read` makes of it; where that fails, it is the turn of the next in order."""
        for place in range(position, position + len(self)):
            index = self._order.at(seed, place)
            visit = self._visit(index, chance(seed, position))
            try:
                return visit, read(visit)
            except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
                self.failed[self.name(index)] = " ".join(str(error).split()) or type(error).__name__
        name, why = next(iter(self.failed.items()))
        raise DataError(f"none of the {len(self):,} pictures can be decoded any more, such as {name}: {why}")

    def _visit(self, index: int, drawn: random.Random) -> Visit:
        known = self.captions(index) or ("",)
        return Visit(index, drawn.random() < 0.5, known[int(drawn.random() * len(known))], drawn)

    def _batch(self, asked: _BatchRequest) -> Batch:
        pixels = np.empty((asked.n, 3, self.size, self.size), np.float32)
        visits = []
        for row in range(asked.n):
            position = asked.step * asked.n + row
            visit, shown = self.visit(asked.seed, position, lambda visit: self._crop_and_flip(visit, asked))
            pixels[row] = to_floats(shown)
            visits.append(visit)
        return Batch(pixels, tuple(visit.caption for visit in visits), tuple(visit.index for visit in visits))

    def _crop_and_flip(self, visit: Visit, asked: _BatchRequest) -> Pixels:
        whole = self.picture(visit.index, asked.crop)
        down, right = (int(visit.chance.random() * (side - self.size + 1)) for side in whole.shape[:2])
        cut = whole[down : down + self.size, right : right + self.size]
        cut = cut[:, ::-1] if asked.hflip and visit.mirrored else cut
        if cut.shape[-1] == 3:
            return cut
        return np.asarray(portrait(Image.fromarray(np.ascontiguousarray(cut)), visit.chance))


def to_floats(pixels: Pixels) -> NDArray[np.float32]:
    """(3, h, w) in -1..1 of (h, w, 3)."""
    return pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(127.5) - 1
