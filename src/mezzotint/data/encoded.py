"""Pictures as latents and captions as text states, each computed once and kept on disk by content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mezzotint.data.array_cache import ArrayCache, Key
from mezzotint.data.pictures.folder import PictureFolder, to_floats
from mezzotint.data.pictures.survey import PORTRAIT
from mezzotint.errors import DataError
from mezzotint.files import default_cache, key_of

Floats = NDArray[np.float32]


class LatentBatch(NamedTuple):
    """Latents (n, *shape), a caption each, and which pictures these are."""

    latents: Floats
    captions: tuple[str, ...]
    indices: tuple[int, ...]


class LatentFolder:
    """A folder through an autoencoder: the middle square of each picture, and its mirror image.

    `encode(pixels (1, 3, size, size) in -1..1) -> shape` has one picture at a time, so that what is kept is a function of
    the picture alone and not of its company. `digest` names the autoencoder and all that matters in `encode`.
    """

    def __init__(
        self,
        folder: PictureFolder,
        digest: str,
        shape: tuple[int, ...],
        encode: Callable[[Floats], NDArray[np.floating]],
        cache: Path | None = None,
    ):
        if folder.background == PORTRAIT:
            raise DataError(
                "latents are made once, and portraits anew at each visit: name a background color"
            )
        self.folder, self.encode = folder, encode
        self._about = f"{folder.size} center {folder.background} {digest}"
        self._kept = ArrayCache(_place("latents", cache, self._about, shape), shape)
        self._contents = np.zeros((len(folder), 32), np.uint8)  # sha256 of files; zeros where not known yet

    def batch(self, seed: int, step: int, n: int, hflip: bool = True) -> LatentBatch:
        """As `PictureFolder.batch`: the same pictures in the same order, mirrored alike."""
        latents = np.empty((n, *self._kept.shape), np.float32)
        visits = []
        for row in range(n):
            visit, latents[row] = self.folder.visit(
                seed, step * n + row, lambda visit: self._latent(visit.index, hflip and visit.mirrored)
            )
            visits.append(visit)
        return LatentBatch(latents, tuple(v.caption for v in visits), tuple(v.index for v in visits))

    def _latent(self, index: int, mirrored: bool) -> NDArray[np.floating]:
        def make() -> NDArray[np.floating]:
            return self.encode(to_floats(self.folder.picture(index)[:, :: -1 if mirrored else 1])[None])

        return self._kept.get(cache_key(self._content(index), self._about, str(mirrored)), make)

    def _content(self, index: int) -> str:
        if not self._contents[index].any():
            self._contents[index] = np.frombuffer(bytes.fromhex(self.folder.content(index)), np.uint8)
        return bytes(self._contents[index]).hex()


class TextStates:
    """Captions through a text encoder: `encode(text) -> shape`, such as (77, width); `digest` names the encoder."""

    def __init__(
        self,
        digest: str,
        shape: tuple[int, ...],
        encode: Callable[[str], NDArray[np.floating]],
        cache: Path | None = None,
    ):
        self.encode, self._digest = encode, digest
        self._kept = ArrayCache(_place("texts", cache, digest, shape), shape)

    def states(self, texts: Sequence[str]) -> Floats:
        """(n, *shape), float32."""
        made = [self._kept.get(cache_key(text, self._digest), partial(self.encode, text)) for text in texts]
        return np.stack(made).astype(np.float32)


def _place(kind: str, cache: Path | None, about: str, shape: tuple[int, ...]) -> Path:
    return (cache or default_cache()) / kind / key_of(about, shape)


def cache_key(*parts: str) -> Key:
    """The key of an array that is a function of these texts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()[:16]
