"""Where a picture's denoiser looked for each word: cross-attention by token, grid and step.

Maps are averaged and enlarged as in DAAM (Tang et al. 2022, 2210.04885).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import RequestError, nearest
from mezzotint.files import write_durably

Floats = NDArray[np.float32]
Spans = Mapping[str, tuple[int, ...]]

BINS = 10  # that the steps of a run are kept in, at most
MARKS = ("<start>", "<end>")  # "<end>" takes in the padding behind it
FAINT = 1e-4  # of all attention: where a map spans less, it is not stretched to 1
MIDDLE = "middle"  # the layer at the bottom, which DAAM leaves out of its sum


@dataclass(frozen=True, eq=False)
class AttentionLevel:
    """The layers of one grid."""

    name: str  # as "16x16", width first; or MIDDLE
    layers: int
    maps: Floats  # (bins, tokens, h, w) probabilities: the mean over layers, heads and the calls of a bin


@dataclass(frozen=True, eq=False)
class Attention:
    """What the denoiser read where, in the rows with the prompt. Maps of words are (H, W), from 0 to 1 each."""

    size: tuple[int, int]  # (H, W) of the picture
    grid: tuple[int, int]  # (h, w) of its latents
    spans: Spans  # the token positions of each word, in order, and of MARKS
    levels: tuple[AttentionLevel, ...]  # from the largest grid to the smallest, MIDDLE last
    calls: tuple[int, ...]  # network calls in each bin
    steps: tuple[tuple[int, int], ...]  # the first and the last step of each bin, counted from 1

    @property
    def words(self) -> dict[str, tuple[int, ...]]:
        """The prompt's words with their token positions. A word that comes twice is here once."""
        return {word: at for word, at in self.spans.items() if word not in MARKS}

    def heat(self, word: str) -> Floats:
        """Over all steps, and all layers but the one in the middle."""
        return self._heat(word, self._daam_levels(), slice(None))

    def by_level(self, word: str) -> dict[str, Floats]:
        """Over all steps, for each grid alone."""
        return {level.name: self._heat(word, (level,), slice(None)) for level in self.levels}

    def by_step(self, word: str) -> dict[tuple[int, int], Floats]:
        """As `heat`, for each bin of steps alone: (first, last)."""
        return {
            steps: self._heat(word, self._daam_levels(), slice(i, i + 1))
            for i, steps in enumerate(self.steps)
        }

    def share(self, word: str) -> float:
        """How much of all attention the word's tokens had, from 0 to 1: the mean over places, layers and steps."""
        at, levels = self._tokens(word), self._daam_levels()
        means = [np.average(level.maps[:, at].sum(1).mean((1, 2)), weights=self.calls) for level in levels]
        return float(np.average(means, weights=[level.layers for level in levels]))

    def save(self, path: str | os.PathLike[str], about: Mapping[str, str] | None = None) -> None:
        """Write a safetensors file: an array (bins, tokens, h, w) a level, and what it means in the metadata.

        `about` is added to the metadata. OutputError when it cannot be written.
        """
        from safetensors.numpy import save

        fields = {
            "words": self.spans,
            "layers": {level.name: level.layers for level in self.levels},
            "calls": self.calls,
            "steps": self.steps,
        }
        metadata = {key: json.dumps(value, ensure_ascii=False) for key, value in fields.items()}
        arrays = {level.name: level.maps for level in self.levels}
        write_durably(Path(path), save(arrays, {**metadata, **(about or {})}))

    def _daam_levels(self) -> tuple[AttentionLevel, ...]:
        """DAAM's: all but the middle, unless there is no other."""
        return tuple(level for level in self.levels if level.name != MIDDLE) or self.levels

    def _tokens(self, word: str) -> list[int]:
        for known, at in self.spans.items():
            if known.casefold() == word.casefold():
                return list(at)
        raise RequestError(f"the prompt has no word {word[:60]!r}{nearest(word, self.spans)}")

    def _heat(self, word: str, levels: Sequence[AttentionLevel], bins: slice) -> Floats:
        """(H, W): the mean over the word's tokens, first on the latents' grid, then enlarged and stretched to 0..1."""
        at, calls = self._tokens(word), self.calls[bins]
        total = np.zeros(self.grid, np.float32)
        for level in levels:
            small = np.average(level.maps[bins, at].mean(1), axis=0, weights=calls)
            total += level.layers * np.maximum(resize_bicubic(small, self.grid), 0)
        heat = resize_bicubic(total / sum(level.layers for level in levels), self.size)
        low, high = heat.min(), heat.max()
        return np.asarray((heat - low) / max(high - low, FAINT), np.float32)


class AttentionRecorder:
    """Adds up the attention of one picture in flight: memory for BINS of steps, however many there are."""

    def __init__(
        self,
        spans: Sequence[tuple[str, tuple[int, ...]]],
        layers: Sequence[tuple[str, int]],
        grid: tuple[int, int],
        steps: Sequence[int],
    ) -> None:
        """`spans`: words in order with their tokens; `layers`: names with the factors by which their grids are
        smaller than the latents' (h, w); `steps`: the step of each network call, from 0.
        """
        shapes = [tuple(-(-side // factor) for side in grid) for _, factor in layers]
        self._spans, self._grid = merge_spans(spans), grid
        self._names = [_level(name, shape) for (name, _), shape in zip(layers, shapes, strict=True)]
        self._shapes = dict(zip(self._names, shapes, strict=True))
        self._sums: dict[str, Floats] = {}  # (bins, h*w, tokens) of each level
        self._bins = step_bins(steps)
        self._steps = steps

    def add(self, call: int, maps: Sequence[Floats]) -> None:
        """The maps (h*w, tokens) of each layer, in a network call counted from 0."""
        for name, seen in zip(self._names, maps, strict=True):
            if name not in self._sums:
                self._sums[name] = np.zeros((len(self._bins), *seen.shape), np.float32)
            self._sums[name][self._bin(call)] += seen

    def finish(self, size: tuple[int, int]) -> Attention:
        """After the last call. `size` is (H, W) of the picture."""
        calls = np.bincount([self._bin(call) for call in range(len(self._steps))])
        levels = sorted(self._levels(calls), key=lambda level: (level.name == MIDDLE, -level.maps[0, 0].size))
        return Attention(size, self._grid, self._spans, tuple(levels), tuple(calls.tolist()), self._bins)

    def _bin(self, call: int) -> int:
        step = self._steps[call] + 1
        return next(i for i, (first, last) in enumerate(self._bins) if first <= step <= last)

    def _levels(self, calls: NDArray[np.intp]) -> Iterator[AttentionLevel]:
        for name, sums in self._sums.items():
            layers = self._names.count(name)
            mean = sums / (layers * calls[:, None, None]).astype(np.float32)
            maps = mean.transpose(0, 2, 1).reshape(len(calls), -1, *self._shapes[name])
            yield AttentionLevel(name, layers, np.ascontiguousarray(maps))


def step_bins(steps: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Steps from 0, in rising order, in at most BINS even groups: the first and the last of each, from 1."""
    groups = np.array_split(np.unique(steps) + 1, min(BINS, len(set(steps))))
    return tuple((int(group[0]), int(group[-1])) for group in groups)


def merge_spans(spans: Sequence[tuple[str, tuple[int, ...]]]) -> dict[str, tuple[int, ...]]:
    """Words that differ in nothing but case are one, as they are to DAAM, spelled as they come first."""
    first: dict[str, str] = {}
    found: dict[str, tuple[int, ...]] = {}
    for word, at in spans:
        name = first.setdefault(word.casefold(), word)
        found[name] = (*found.get(name, ()), *at)
    return found


def resize_bicubic(grid: NDArray[np.floating], size: tuple[int, int]) -> Floats:
    """(h, w) to (H, W), bicubic as torch's `interpolate` has it: Keys' kernel with a = -0.75, edges repeated."""
    down, across = (_bicubic(n, m) for n, m in zip(grid.shape, size, strict=True))
    return np.asarray(down @ grid @ across.T, np.float32)


@lru_cache(maxsize=64)
def _bicubic(small: int, large: int) -> NDArray[np.float64]:
    """(large, small) the weights of the old places for each new one."""
    at = (np.arange(large) + 0.5) * small / large - 0.5
    weights = np.zeros((large, small))
    for tap in range(-1, 3):
        place = np.floor(at).astype(int) + tap
        np.add.at(weights, (np.arange(large), place.clip(0, small - 1)), _keys(np.abs(at - place)))
    return weights


def _keys(d: NDArray[np.float64], a: float = -0.75) -> NDArray[np.float64]:
    """The kernel of Keys (1981) at distances 0..2."""
    near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, far)


def _level(layer: str, shape: tuple[int, ...]) -> str:
    return MIDDLE if layer.startswith("mid_block") else f"{shape[1]}x{shape[0]}"
