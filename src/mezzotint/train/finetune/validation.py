"""What is measured on the way: the error at fixed noises, by time, and how far samples are from the old and the new."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file, save
from torch import Tensor, nn

from mezzotint.files import write_atomic
from mezzotint.metrics import kid, spread
from mezzotint.models.image_text import ImageText
from mezzotint.train.noise import BINS, Noise, noise_of_seeds, squared_errors

PAIRS = 64
"""Fixed (time, noise) pairs at least; few held-out pictures are asked at several times."""
HELD = 256
REFERENCE = 512
"""Of the new pictures, so many at most stand for their domain."""

Ask = Callable[[nn.Module, Tensor, Tensor, Any], Tensor]


def split(count: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """(learned, held out) of so many pictures; fewer than ten are all learned, and measured by themselves."""
    held = min(HELD, int(count * share)) if count >= 10 else 0
    order = np.argsort(np.random.default_rng((seed, 0x4E1D)).random(count), kind="stable").tolist()
    return sorted(order[held:]), sorted(order[:held] or order)


class ValidationSet:
    """The mean error on held-out pictures at times spread evenly and noises that never change."""

    def __init__(
        self,
        noise: Noise,
        examples: Callable[[Sequence[int]], tuple[Tensor, Any]],
        held: Sequence[int],
        seed: int,
        rows: int,
    ):
        self.noise, self.examples, self.seed, self.rows = noise, examples, seed, rows
        count = max(len(held), min(PAIRS, 8 * len(held)))
        self.indices = [held[i % len(held)] for i in range(count)]
        places = (np.random.default_rng((seed, 0xF12ED)).permutation(count) + 0.5) / count
        self.times = torch.from_numpy((places * noise.times).astype(np.int64))

    @property
    def description(self) -> str:
        """What it is, in words."""
        pictures = len(set(self.indices))
        return f"{len(self.indices)} fixed pairs of time and noise on {pictures} held-out pictures"

    @torch.no_grad()
    def errors(self, ask: Ask, module: nn.Module) -> Tensor:
        """(n,) of each pair."""
        noise, found = self.noise, []
        for x0, condition, t, eps in self._parts():
            out = ask(module, noise.add_noise(x0, eps, t), t, condition)
            found.append(squared_errors(out, noise.target(x0, eps, t)))
        return torch.cat(found)

    def __call__(self, ask: Ask, module: nn.Module) -> dict[str, float]:
        """`val_loss`, and `val_loss_t0` to `val_loss_t9` for those tenths of the times that are asked."""
        errors = self.errors(ask, module)
        bins = by_bin(errors, self.noise.bin(self.times))
        return {"val_loss": errors.mean().item()} | {f"val_{name}": value for name, value in bins.items()}

    def _parts(self) -> Iterator[tuple[Tensor, Any, Tensor, Tensor]]:
        for start in range(0, len(self.indices), self.rows):
            chosen = slice(start, start + self.rows)
            x0, condition = self.examples(self.indices[chosen])
            first = self.seed * 100_003 + start
            yield (
                x0,
                condition,
                self.times[chosen],
                noise_of_seeds(x0.shape[1:], range(first, first + len(x0))),
            )


def by_bin(errors: Tensor, bins: Tensor) -> dict[str, float]:
    """`loss_t0` … `loss_t9`: the mean in each tenth of the times that has any."""
    means = {}
    for index in range(BINS):
        here = errors[(bins == index).to(errors.device)]
        if len(here):
            means[f"loss_t{index}"] = here.mean().item()
    return means


class DomainDistances:
    """KID of samples to the new pictures, and to what the model drew before it was changed."""

    def __init__(
        self,
        judge: str,
        new: Callable[[], Sequence[Image.Image]],
        old: Callable[[], Sequence[Image.Image]],
        kept: Path,
    ):
        """`kept`: a file that remembers the features, so that a run that goes on measures by the same."""
        self._judge = ImageText.open(judge)
        self.digest = self._judge.digest
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(kept, save({"new": self._features(new()), "old": self._features(old())}))
        found = load_file(kept)
        self._new, self._old = found["new"], found["old"]

    @property
    def counts(self) -> dict[str, int]:
        """How many pictures stand for each domain."""
        return {"new": len(self._new), "old": len(self._old)}

    def between(self) -> float:
        """KID of the two domains, which is what samples start from."""
        return kid(self._new, self._old)

    def __call__(self, samples: Sequence[Image.Image]) -> dict[str, float]:
        """`kid_new` and `kid_old` of these samples."""
        x = self._features(samples)
        return {"kid_new": kid(x, self._new), "kid_old": kid(x, self._old)}

    def _features(self, pictures: Sequence[Image.Image]) -> NDArray[np.float64]:
        parts = [self._judge.embed_images(pictures[i : i + 64]) for i in range(0, len(pictures), 64)]
        return spread(np.concatenate(parts))
