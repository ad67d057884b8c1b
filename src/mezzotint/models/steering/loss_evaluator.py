"""Losses of gradient terms and their gradients (torch); imported when the first term is used.

Each sample is for itself: losses are summed over a call, never averaged, so no force depends on the company.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mezzotint.errors import ModelError
from mezzotint.guidance.steer import Clip, Color, LossGradient, LossQuery
from mezzotint.guidance.terms import Decoder, Steer
from mezzotint.models.image_text import ImageText
from mezzotint.models.runtime import Dtype, Floats
from mezzotint.models.steering.cutouts import extract_cutouts, sample_cutouts
from mezzotint.models.steering.graphs import AT_ONCE, LossGraphs
from mezzotint.models.steering.image_tower import ImageTower
from mezzotint.models.steering.loss_decoders import LossDecoder
from mezzotint.models.steering.losses import (
    COLOR_UNITS,
    color_loss,
    dtype_name,
    gradient_dtype,
    mean_color_loss,
    spherical,
)
from mezzotint.models.steering.open_clip_pair import PREFIX, OpenClipPair

Pair = ImageText | OpenClipPair


class LossEvaluator:
    """Computes terms on what a model predicts. `ready` may come from any thread, `loss_gradients` from one at a time."""

    def __init__(
        self, loss_decoder: LossDecoder, device: torch.device, threads: int = 0, graphs: bool = False
    ):
        """`graphs`: let compiled graphs do what they can; torch does the rest."""
        self._decoder, self._device, self._threads = loss_decoder, device, threads
        self._pairs: dict[str, Pair] = {}
        self._lock = threading.Lock()
        graph_decoder, tower = (
            functools.cache(loss_decoder.graph_decoder),
            functools.cache(self._tower),
        )  # they are asked at each step
        self._graphs = LossGraphs(graph_decoder, tower, self._target, threads) if graphs else None

    def ready(self, term: Steer) -> None:
        """Open what a term needs, and read its text. ModelError says what is missing."""
        with self._lock:
            decoder = self._decoder.resolve(term.decoder)  # type: ignore[attr-defined]  # both kinds have it
            if isinstance(term, Clip):
                self._target(term)
            if not self._uses_graph(term, decoder):
                self._decoder.open(decoder)

    def facts(self, term: Steer) -> dict[str, str]:
        """Which decoder and which pair compute a term, and in what precision."""
        decoder = self._decoder.resolve(term.decoder)  # type: ignore[attr-defined]
        facts = {"decoder": decoder, "decoder_digest": self._decoder.digest(decoder)}
        if isinstance(term, Clip):
            pair = self._pair(term.model)
            dtype = dtype_name(gradient_dtype(self._device, pair.width))
            facts |= {"clip": term.model, "clip_digest": pair.digest, "clip_dtype": dtype}
        return facts | {"steering_runtime": "openvino" if self._uses_graph(term, decoder) else "torch"}

    def loss_gradients(self, queries: Sequence[LossQuery], alone: bool) -> list[LossGradient]:
        """What came of each query, in their order. `alone`: one by one, so that bits do not depend on the others."""
        found: dict[int, LossGradient] = {}
        for decoder, part in _group_by_decoder(queries, self._decoder, alone):
            for graphed, same in _group_by(
                part, lambda i, d=decoder: self._uses_graph(queries[i].term, d), bool
            ):
                mine = [queries[i] for i in same]
                found.update(zip(same, self._loss_gradients(mine, decoder, graphed), strict=True))
        return [found[i] for i in range(len(queries))]

    def _uses_graph(self, term: Steer, decoder: Decoder) -> bool:
        return self._graphs is not None and self._graphs.compute(term, decoder)

    def _loss_gradients(
        self, queries: list[LossQuery], decoder: Decoder, graphed: bool
    ) -> list[LossGradient]:
        """Jobs of one shape through one decoder."""
        if graphed and self._graphs is not None:
            return self._graphs.loss_gradients(queries, decoder)
        if self._threads and torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        seen = (
            torch.from_numpy(np.stack([query.latents for query in queries])).to(self._device).requires_grad_()
        )
        with torch.enable_grad():
            pictures = self._decoder.decode(decoder, seen)
        losses, slopes = self._losses(queries, pictures.detach(), self._decoder.pixels(decoder))
        gradient = slopes if pictures is seen else torch.autograd.grad(pictures, seen, slopes)[0]
        units = [COLOR_UNITS.get(getattr(query.term, "of", ""), 1.0) for query in queries]
        values = (gradient * -gradient.new_tensor(units)[:, None, None, None]).cpu().numpy()
        return [LossGradient(loss, value) for loss, value in zip(losses.tolist(), values, strict=True)]

    def _losses(self, queries: list[LossQuery], pictures: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
        """(n,) losses, and (n, 3, H, W) their slopes, in the pictures' own precision and each loss's unit."""
        parts = _group_by_loss(queries)
        if len(parts) == 1:
            return self._loss(queries, pictures, pixels)
        losses, slopes = torch.zeros(len(queries), device=self._device), torch.empty_like(pictures)
        for part in parts:
            losses[part], slopes[part] = self._loss([queries[i] for i in part], pictures[part], pixels)
        return losses, slopes

    def _loss(self, queries: list[LossQuery], pictures: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
        """As `_losses`, of queries that share a loss."""
        if isinstance(queries[0].term, Clip):
            losses, slopes = self._clip_loss(queries, pictures)
        elif isinstance(queries[0].term, Color):
            colors = [query.term.rgb for query in queries]  # type: ignore[attr-defined]
            loss = mean_color_loss if queries[0].term.of == "mean" else color_loss
            losses, slopes = loss(pictures.float(), colors, pixels)
        else:
            losses, slopes = _own_loss([query.term for query in queries], pictures)
        return losses, slopes.to(pictures.dtype)

    def _clip_loss(self, queries: list[LossQuery], pictures: Tensor) -> tuple[Tensor, Tensor]:
        """The spherical distance to the text, a mean over each picture's cutouts."""
        terms: list[Clip] = [query.term for query in queries]  # type: ignore[misc]
        pair = self._pair(terms[0].model)
        dtype = gradient_dtype(self._device, pair.width)
        height, width = pictures.shape[-2:]
        made = [
            sample_cutouts(t, height, width, pair.size, query.rng)
            for t, query in zip(terms, queries, strict=True)
        ]
        cutouts, back = extract_cutouts(pictures.to(dtype), made, ["range" in term.slips for term in terms])
        counts = [len(one.turns) for one in made]
        targets = torch.from_numpy(np.repeat([self._target(term) for term in terms], counts, 0))
        shares = torch.from_numpy(np.repeat(1 / np.array(counts, np.float32), counts))
        losses, slopes = [], []
        whole = zip(
            *(torch.split(t, AT_ONCE) for t in (cutouts, *_on(self._device, targets, shares))), strict=True
        )
        for part, target, share in whole:
            features, through = pair.features(part, dtype)
            loss, slope = spherical(features, target)
            losses.append(loss * share)
            slopes.append(through(slope * share[:, None]))
        sums = torch.stack([part.sum() for part in torch.split(torch.cat(losses), counts)])
        return sums, back(torch.cat(slopes))

    def _tower(self, name: str) -> tuple[ImageTower, int, Dtype] | None:
        """What graphs compute of a pair: small ones, that can be folded."""
        pair = self._pair(name)
        if isinstance(pair, OpenClipPair) or (vision := pair.small_tower()) is None:
            return None
        return vision, pair.size, dtype_name(gradient_dtype(self._device, pair.width))

    def _target(self, term: Clip) -> Floats:
        target: Floats = self._pair(term.model).embed_texts([term.text])[0]
        return target

    def _pair(self, name: str) -> Pair:
        if name not in self._pairs:
            opened = OpenClipPair.open(name) if name.startswith(PREFIX) else ImageText.open(name)
            self._pairs[name] = opened.to(self._device)
        return self._pairs[name]


def with_pullback(
    network: Callable[[Tensor], Tensor], x: Floats, device: torch.device
) -> tuple[Floats, Callable[[Floats], Floats]]:
    """network(x), and what turns gradients with respect to it into gradients with respect to x."""
    with torch.enable_grad():
        entry = torch.from_numpy(np.array(x, np.float32)).to(device).requires_grad_()
        out = network(entry)

    def back(slopes: Floats) -> Floats:
        given = torch.from_numpy(np.array(slopes, np.float32)).to(device)
        (found,) = torch.autograd.grad(out, entry, given, retain_graph=True)  # several terms may ask
        return np.asarray(found.cpu().numpy(), np.float32)

    return np.asarray(out.detach().float().cpu().numpy(), np.float32), back


def _group_by_decoder(
    queries: Sequence[LossQuery], loss_decoder: LossDecoder, alone: bool
) -> list[tuple[Decoder, list[int]]]:
    """Which queries share a call of a decoder: those of one decoder and shape."""
    resolved: list[Decoder] = [loss_decoder.resolve(query.term.decoder) for query in queries]  # type: ignore[attr-defined]
    if alone:
        return [(decoder, [i]) for i, decoder in enumerate(resolved)]
    return _group_by(
        range(len(queries)), lambda i: (resolved[i], queries[i].latents.shape), lambda key: key[0]
    )


def _own_loss(terms: Sequence[Steer], pictures: Tensor) -> tuple[Tensor, Tensor]:
    """(n,) losses of terms that bring their own, `term.loss`, and their slopes by automatic differentiation.

    ModelError where a term has no loss, or gives another shape than one number a picture.
    """
    with torch.enable_grad():
        entry = pictures.float().detach().requires_grad_()
        losses = []
        for i, term in enumerate(terms):
            name = type(term).__name__.lower()
            if not hasattr(term, "loss"):
                raise ModelError(f"the term {name} has no loss; give its class a method loss(pictures)")
            value = term.loss(entry[i : i + 1])
            if value.numel() != 1:
                raise ModelError(
                    f"the loss of {name} is {list(value.shape)}; it should be one number a picture"
                )
            losses.append(value.reshape(()))
        total = torch.stack(losses)
    return total.detach(), torch.autograd.grad(total.sum(), entry)[0]


def _group_by_loss(queries: Sequence[LossQuery]) -> list[list[int]]:
    """Which queries share a loss: colors of one kind; all of one CLIP."""
    kinds = [
        (type(query.term).__name__, getattr(query.term, "model", ""), getattr(query.term, "of", ""))
        for query in queries
    ]
    return [part for _, part in _group_by(range(len(queries)), kinds.__getitem__, str)]


def _group_by(items: Any, key: Any, name: Any) -> list[tuple[Any, list[int]]]:
    return [(name(k), list(part)) for k, part in groupby(sorted(items, key=key), key)]


def _on(device: torch.device, *values: Tensor) -> tuple[Tensor, ...]:
    return tuple(value.to(device) for value in values)
