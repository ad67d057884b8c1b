"""Terms computed by compiled graphs: on a CPU they take half of torch's time, and share the denoiser's threads.

Calls have a power of two of pictures, the last one repeated where some are wanting, so that few shapes are compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mezzotint.guidance.steer import Clip, Color, LossGradient, LossQuery
from mezzotint.guidance.terms import Decoder, Steer
from mezzotint.models.openvino.layers import load
from mezzotint.models.openvino.network import Compiled, options
from mezzotint.models.runtime import Dtype, Floats
from mezzotint.models.steering.clip_graph import CallShape, build_clip_graph, build_color_graph
from mezzotint.models.steering.cutouts import sample_cutouts
from mezzotint.models.steering.loss_decoders import GraphDecoder
from mezzotint.models.steering.losses import COLOR_UNITS

AT_ONCE = 16  # pieces in one call: more leave the processor's cache, and get slower


class LossGraphs:
    """Computes queries of one shape through one decoder; one call at a time.

    graph_decoder(decoder): how to see, None where only torch can; target(term): (d,) the text's features; tower(name): the folded
    picture side of a CLIP in float32, the size that it reads and the precision to use, None where only torch can.
    """

    def __init__(
        self,
        graph_decoder: Callable[[Decoder], GraphDecoder | None],
        tower: Callable[[str], tuple[Any, int, Dtype] | None],
        target: Callable[[Clip], Floats],
        threads: int,
    ) -> None:
        self._graph_decoder, self._tower, self._target, self._threads = graph_decoder, tower, target, threads
        self._compiled: dict[Any, Compiled] = {}

    def compute(self, term: Steer, decoder: Decoder) -> bool:
        """Whether a term is one for graphs: pieces that turn, and pairs that are large or of other kinds, are torch's."""
        if self._graph_decoder(decoder) is None:
            return False
        if isinstance(term, Clip):
            return not (term.degrees or "range" in term.slips) and self._tower(term.model) is not None
        return isinstance(term, Color)

    def loss_gradients(self, queries: Sequence[LossQuery], decoder: Decoder) -> list[LossGradient]:
        """What came of each."""
        graph_decoder, found = self._graph_decoder(decoder), dict[int, LossGradient]()
        assert graph_decoder is not None
        for name, count in sorted({_kind(query) for query in queries}):
            mine = [i for i, query in enumerate(queries) if _kind(query) == (name, count)]
            for part in _parts(mine, AT_ONCE // max(1, count) or 1):
                these = [queries[i] for i in part]
                losses, gradient = (
                    self._clip(these, graph_decoder, name, count)
                    if count
                    else self._color(these, graph_decoder, name)
                )
                found.update(zip(part, map(LossGradient, losses, -gradient[: len(part)]), strict=True))
        return [found[i] for i in range(len(queries))]

    def _clip(
        self, queries: list[LossQuery], graph_decoder: GraphDecoder, name: str, count: int
    ) -> tuple[list[float], Floats]:
        """The spherical distance to the text, a mean over a picture's pieces; and its gradient."""
        tower = self._tower(name)
        assert tower is not None
        vision, size, dtype = tower
        seen = _pad_to_power_of_two([query.latents for query in queries])
        height, width = (side * graph_decoder.factor for side in seen.shape[-2:])
        made = [sample_cutouts(query.term, height, width, size, query.rng) for query in queries]  # type: ignore[arg-type]
        targets = np.stack([self._target(query.term) for query in queries])  # type: ignore[arg-type]
        shape = CallShape(seen.shape, (height, width), count)
        graph = self._graph(
            (graph_decoder, name, shape), dtype, lambda: build_clip_graph(graph_decoder, vision, size, shape)
        )
        features, gradient = graph((
            seen,
            _pad_to_power_of_two([one.rows.reshape(-1, height) for one in made]),
            _pad_to_power_of_two([one.columns for one in made]).reshape(-1, size, width),
            _pad_to_power_of_two(targets).repeat(count, 0),
        ))  # fmt: skip
        each = features.reshape(-1, count, features.shape[-1])
        return [_distance(mine, target) for mine, target in zip(each, targets, strict=False)], gradient

    def _color(
        self, queries: list[LossQuery], graph_decoder: GraphDecoder, of: Any
    ) -> tuple[list[float], Floats]:
        """As the losses of color, with their gradients."""
        seen = _pad_to_power_of_two([query.latents for query in queries])
        rgb = np.array([query.term.rgb for query in queries], np.float32)[:, :, None, None]  # type: ignore[attr-defined]
        shape = CallShape(seen.shape, seen.shape[-2:])
        graph = self._graph(
            (graph_decoder, of, shape),
            graph_decoder.dtype,
            lambda: build_color_graph(graph_decoder, of, shape),
        )
        losses, gradient = graph((seen, _pad_to_power_of_two(np.asarray(2 * rgb / 255 - 1, np.float32))))
        return losses[: len(queries)].tolist(), gradient * np.float32(graph_decoder.pixels * COLOR_UNITS[of])

    def _graph(self, key: Any, dtype: Dtype, build: Callable[[], Any]) -> Compiled:
        """Compiled once for each shape."""
        if key not in self._compiled:
            compiled = load().Core().compile_model(build(), "CPU", options(dtype, self._threads))
            self._compiled[key] = Compiled(compiled)
        return self._compiled[key]


def _kind(query: LossQuery) -> tuple[str, int]:
    """The CLIP and the number of pieces; what the color is of, and 0."""
    term = query.term
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


def _pad_to_power_of_two(values: Sequence[Floats] | Floats) -> Floats:
    """Stacked, the last one repeated up to a power of two."""
    wanting = (1 << (len(values) - 1).bit_length()) - len(values)
    return np.stack([*values, *([values[-1]] * wanting)])
