"""A source looked through before any work: what can be used, what is left out and why, and what must be mended."""

from __future__ import annotations

import hashlib
import os
import warnings
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from mezzotint.data.pictures.decode import Header, decode, look
from mezzotint.data.pictures.files import FilePictures, list_folder
from mezzotint.data.pictures.hub import is_hub_id, list_hub
from mezzotint.data.pictures.listing import Binary, Listing, Packed, PictureSource, Skipped
from mezzotint.errors import DataError, nearest

MAX_SIZE = 4096
PORTRAIT = "portrait"
_CHUNK = 256
_NO_CAPTION = "no caption"


@dataclass(frozen=True)
class Wanted:
    """What pictures are wanted for. `multiple`: of what `size` must be one; `min_side`: by default half of size."""

    size: int
    captions: bool = False
    min_side: int | None = None
    multiple: int = 1
    background: str = "white"  # a color, or "portrait"

    @property
    def shortest(self) -> int:
        """Pictures with a side below this are too small."""
        return self.size // 2 if self.min_side is None else self.min_side

    def problems(self) -> Iterator[str]:
        """What is wrong with the wish itself, a line each."""
        if not 8 <= self.size <= MAX_SIZE:
            yield f"size must be from 8 to {MAX_SIZE}, not {self.size}"
        elif self.size % self.multiple:
            below = self.size // self.multiple * self.multiple
            fit = " or ".join(str(side) for side in (below, below + self.multiple) if side)
            yield f"the model takes sizes divisible by {self.multiple}, so not {self.size}; try {fit}"
        if self.background != PORTRAIT:
            try:
                ImageColor.getrgb(self.background)
            except ValueError:
                known = [PORTRAIT, *ImageColor.colormap]
                yield f"no color is called {self.background!r}{nearest(self.background, known)}"


@dataclass(frozen=True)
class Survey:
    """What a source holds. `sides` (n, 2): width and height as stored, of each usable picture."""

    pictures: PictureSource
    captions: Packed  # lines of what each may be called
    sides: NDArray[np.int32]
    digest: str  # of names, sizes in bytes and captions: changes where one of them does
    skipped: list[Skipped]
    traits: Counter[str]
    others: Counter[str]
    licenses: Counter[str]
    problems: list[str]

    @property
    def caption_count(self) -> int:
        """How many have a caption."""
        return sum(1 for caption in self.captions if caption)


def survey(
    source: str | Path, wanted: Wanted, extensions: Sequence[str], workers: int = 8, whole: bool = False
) -> Survey:
    """Look through a folder or a hub dataset, in threads. All problems are told, none is raised.

    `whole`: decode every picture as training will, so that a torn one is noticed; else headers only.
    """
    problems = list(wanted.problems())
    try:
        listing = _listing(source, extensions, wanted.captions)
    except DataError as error:
        problems.append(str(error))
        listing = Listing(FilePictures(Path(), Packed(())), Packed(()))
    problems += listing.problems + (listing.wordless if wanted.captions else [])
    usable = _Usable()
    for index, seen in enumerate(
        _headers(listing.pictures, workers, wanted.size if whole and not problems else None)
    ):
        reason = seen if isinstance(seen, str) else _unfit(seen, listing.captions[index], wanted)
        if reason is not None:
            listing.skipped.append(Skipped(listing.pictures.name(index), reason))
        elif isinstance(seen, Header):
            usable.add(index, seen)
    if listing.skipped and not usable.indices:
        problems.append(_none_left(source, listing.skipped))
    return usable.survey(listing, problems)


@dataclass
class _Usable:
    """Numbers of the pictures that can be used, in arrays: there may be many."""

    indices: array[int] = field(default_factory=lambda: array("L"))
    sides: array[int] = field(default_factory=lambda: array("l"))
    bytes: array[int] = field(default_factory=lambda: array("Q"))
    traits: Counter[str] = field(default_factory=Counter)

    def add(self, index: int, header: Header) -> None:
        self.indices.append(index)
        self.sides.extend((header.width, header.height))
        self.bytes.append(header.bytes)
        self.traits.update(header.traits)

    def survey(self, listing: Listing, problems: list[str]) -> Survey:
        pictures = listing.pictures.only(self.indices)
        captions = Packed(listing.captions[index] for index in self.indices)
        digest = hashlib.sha256()
        for place, size in enumerate(self.bytes):
            row = f"{pictures.name(place)}\0{size}\0{captions[place]}\0"
            digest.update(row.encode("utf-8", "surrogateescape"))
        sides = np.array(self.sides, np.int32).reshape(-1, 2)
        return Survey(
            pictures, captions, sides, digest.hexdigest(), listing.skipped, self.traits, listing.others,
            listing.licenses, problems,
        )  # fmt: skip


def reasons(skipped: Sequence[Skipped]) -> Counter[str]:
    """How many were left out for each reason, without what is told of single files."""
    return Counter(reason.split(":")[0] for _, reason in skipped)


def _none_left(source: object, skipped: Sequence[Skipped]) -> str:
    counts = reasons(skipped)
    if list(counts) == [_NO_CAPTION]:
        return (
            f"none of the {len(skipped):,} pictures in {source} has a caption: put words.txt beside words.png, or a "
            "metadata.jsonl with file_name and text"
        )
    told = ", ".join(f"{count:,} {reason}" for reason, count in counts.most_common())
    return f"none of the pictures in {source} can be used: {told}"


def _listing(source: str | Path, extensions: Sequence[str], captions: bool) -> Listing:
    root, endings = Path(source).expanduser(), [f".{ending.lower().lstrip('.')}" for ending in extensions]
    if root.is_dir():
        return list_folder(root, endings, captions)
    if root.exists():
        raise DataError(f"{source} is a file; name the folder of the pictures")
    if is_hub_id(os.fspath(source)):
        return list_hub(os.fspath(source))
    raise DataError(f"there is no folder {source}")


def _unfit(header: Header, caption: str, wanted: Wanted) -> str | None:
    if min(header.width, header.height) < wanted.shortest:
        return f"a side under {wanted.shortest} pixels: {header.width}x{header.height}"
    return _NO_CAPTION if wanted.captions and not caption else None


def _headers(pictures: PictureSource, workers: int, size: int | None) -> Iterator[Header | str]:
    """For each picture its header, or why it cannot be used. `size`: decode it to so many pixels; None: do not."""

    def chunk(start: int) -> list[Header | str]:
        return [_header(pictures, index, size) for index in range(start, min(start + _CHUNK, len(pictures)))]

    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        warnings.simplefilter("ignore")  # Pillow warns of what is told by name
        for headers in pool.map(chunk, range(0, len(pictures), _CHUNK)):
            yield from headers


def _header(pictures: PictureSource, index: int, size: int | None) -> Header | str:
    try:
        with pictures.open(index) as file:
            header = look(file)
            if size is not None:
                _decode(file, size)
            return header
    except DataError as error:
        return " ".join(str(error).split())
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _decode(file: Binary, size: int) -> None:
    """DataError where the pixels cannot be read."""
    file.seek(0)
    try:
        decode(file, size)
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        raise DataError(f"damaged: {error}") from None
