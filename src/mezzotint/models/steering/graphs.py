"""Terms computed by compiled graphs: on a CPU they take half of torch's time, and share the denoiser's threads.

Calls have a power of two of pictures, the last one repeated where some are wanting, so that few shapes are compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mezzotint.guidance.steer import Clip, Decoder, Job, Pull, Steer
from mezzotint.models.openvino.network import Compiled, options
from mezzotint.models.openvino.silent import load
from mezzotint.models.runtime import Dtype, Floats
from mezzotint.models.steering.cutouts import pieces
from mezzotint.models.steering.lenses import Lens
from mezzotint.models.steering.losses import COLOR_UNITS
from mezzotint.models.steering.sight import Shape, build_color, build_sight

AT_ONCE = 16  # pieces in one call: more leave the processor's cache, and get slower


class Graphs:
    """Computes jobs of one shape through one decoder; one call at a time.

    lens(decoder): how to see, None where only torch can; target(term): (d,) the text's features; tower(name): the folded
    picture side of a CLIP in float32, the size that it reads and the precision to use, None where only torch can.
    """

    def __init__(
        self,
        lens: Callable[[Decoder], Lens | None],
        tower: Callable[[str], tuple[Any, int, Dtype] | None],
        target: Callable[[Clip], Floats],
        threads: int,
    ) -> None:
        self._lens, self._tower, self._target, self._threads = lens, tower, target, threads
        self._compiled: dict[Any, Compiled] = {}

    def compute(self, term: Steer, decoder: Decoder) -> bool:
        """Whether a term is one for graphs: pieces that turn, and pairs that are large or of other kinds, are torch's."""
        if self._lens(decoder) is None:
            return False
        if isinstance(term, Clip):
            return not (term.degrees or "range" in term.slips) and self._tower(term.model) is not None
        return True

    def pulled(self, jobs: Sequence[Job], decoder: Decoder) -> list[Pull]:
        """What came of each."""
        lens, found = self._lens(decoder), dict[int, Pull]()
        assert lens is not None
        for name, count in sorted({_kind(job) for job in jobs}):
            mine = [i for i, job in enumerate(jobs) if _kind(job) == (name, count)]
            for part in _parts(mine, AT_ONCE // max(1, count) or 1):
                these = [jobs[i] for i in part]
                losses, gradient = (
                    self._clip(these, lens, name, count) if count else self._color(these, lens, name)
                )
                found.update(zip(part, map(Pull, losses, -gradient[: len(part)]), strict=True))
        return [found[i] for i in range(len(jobs))]

    def _clip(self, jobs: list[Job], lens: Lens, name: str, count: int) -> tuple[list[float], Floats]:
        """The spherical distance to the text, a mean over a picture's pieces; and its gradient."""
        tower = self._tower(name)
        assert tower is not None
        vision, size, dtype = tower
        seen = _filled([job.seen for job in jobs])
        height, width = (side * lens.factor for side in seen.shape[-2:])
        made = [pieces(job.term, height, width, size, job.draw) for job in jobs]  # type: ignore[arg-type]
        targets = np.stack([self._target(job.term) for job in jobs])  # type: ignore[arg-type]
        shape = Shape(seen.shape, (height, width), count)
        graph = self._graph((lens, name, shape), dtype, lambda: build_sight(lens, vision, size, shape))
        features, gradient = graph((
            seen,
            _filled([one.rows.reshape(-1, height) for one in made]),
            _filled([one.columns for one in made]).reshape(-1, size, width),
            _filled(targets).repeat(count, 0),
        ))  # fmt: skip
        each = features.reshape(-1, count, features.shape[-1])
        return [_distance(mine, target) for mine, target in zip(each, targets, strict=False)], gradient

    def _color(self, jobs: list[Job], lens: Lens, of: Any) -> tuple[list[float], Floats]:
        """As the losses of color, with their gradients."""
        seen = _filled([job.seen for job in jobs])
        rgb = np.array([job.term.rgb for job in jobs], np.float32)[:, :, None, None]  # type: ignore[attr-defined]
        shape = Shape(seen.shape, seen.shape[-2:])
        graph = self._graph((lens, of, shape), lens.dtype, lambda: build_color(lens, of, shape))
        losses, gradient = graph((seen, _filled(np.asarray(2 * rgb / 255 - 1, np.float32))))
        return losses[: len(jobs)].tolist(), gradient * np.float32(lens.pixels * COLOR_UNITS[of])

    def _graph(self, key: Any, dtype: Dtype, build: Callable[[], Any]) -> Compiled:
        """Compiled once for each shape."""
        if key not in self._compiled:
            compiled = load().Core().compile_model(build(), "CPU", options(dtype, self._threads))
            self._compiled[key] = Compiled(compiled)
        return self._compiled[key]


def _kind(job: Job) -> tuple[str, int]:
    """The CLIP and the number of pieces; what the color is of, and 0."""
    term = job.term
    if isinstance(term, Clip):
        return term.model, 1 if term.crop == "whole" else term.cutouts
    return term.of, 0  # type: ignore[attr-defined]


def _distance(features: Floats, target: Floats) -> float:
    """As `losses.spherical`, a mean over (k, d)."""
    u = features / np.linalg.norm(features, axis=-1, keepdims=True)
    half = np.arcsin(np.minimum(np.linalg.norm(u - target, axis=-1) / 2, 1))
    return float((2 * half**2).mean())


def _parts(items: list[int], most: int) -> Iterator[list[int]]:
    return (items[i : i + most] for i in range(0, len(items), most))


def _filled(values: Sequence[Floats] | Floats) -> Floats:
    """Stacked, the last one repeated up to a power of two."""
    wanting = (1 << (len(values) - 1).bit_length()) - len(values)
    return np.stack([*values, *([values[-1]] * wanting)])
