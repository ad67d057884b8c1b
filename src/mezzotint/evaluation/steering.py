"""What gradient guidance does to a model's pictures: color reached, similarity gained, and what it costs the subject.

Every comparison is paired: the same seeds with and without the term. The strength is found by a sweep over seeds of its
own, then measured on others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from mezzotint.api import generate
from mezzotint.data.subsets import is_face
from mezzotint.evaluation.run import facts_of
from mezzotint.models import AnyModel
from mezzotint.models.image_text import ImageText
from mezzotint.pages.tiles import make_grid
from mezzotint.request import Request
from mezzotint.stats import interval

Floats = NDArray[np.float64]
# Color acts early only: what the picture will be is then painted in that color, not washed over by it. Of 96 seeds of
# `faces`, the mean and x0 went 0.65 of the way and kept all the faces; every pixel, through x, 0.69 and 0.41 to 0.54.
FORMS = {
    "color": 'color("{wish}", {strength}, of="mean", update="x0", stop=0.3)',
    "color of latents": 'color("{wish}", {strength}, of="mean", update="x0", start=0.05, stop=0.3)',
    "clip": 'clip("{wish}", effect={strength})',
}
STRENGTHS = {
    "color": (0.2, 0.4, 0.6, 0.8),
    "color of latents": (0.035, 0.07, 0.14),
    "clip": (0.02, 0.04, 0.08, 0.16),
}
CFG = {"color": "cfg(4)", "clip": "cfg(2)"}
"""Of models that read text: the subject as it is usually asked for, or low, so that the term has something to add."""
ACROSS = 12  # of the pictures of a strength, so many are shown
TARGETS = ("#19e680", "#d62828", "#2c60ce")
SUBJECTS = {
    "faces": ("",),
    "emoji": ("a cat", "a house", "an owl", "a sailboat", "a sunflower", "a lion", "a mushroom", "a whale"),
}
WISHES = {
    "faces": ("an angry face", "smiling face with sunglasses", "a robot", "a clown face"),
    "emoji": ("a red rose", "a blue butterfly", "a castle", "a pizza"),
}


@dataclass(frozen=True)
class GuidanceEffect:
    """One strength of one kind of term, over pairs of pictures."""

    kind: str  # color | clip
    strength: float  # of the term as `FORMS` has it: its effect, or its scale
    pairs: int
    gain: float  # color: share of the way to the target; clip: the judge's similarity to the text, guided minus not
    low: float  # 95 % interval of the gain, by bootstrap over pairs
    high: float
    kept: float  # share of pictures still taken for their subject, over the same share unguided


@dataclass(frozen=True)
class GuidanceSweep:
    """The unguided halves for a kind of term, drawn once; every strength is set against them."""

    kind: str  # color | clip
    name: str  # of the model, for its subjects and wishes
    model: AnyModel
    judge: ImageText
    bases: list[Request]
    plain: list[Image.Image]

    @classmethod
    def prepare(
        cls, kind: str, name: str, model: AnyModel, judge: ImageText, seeds: int, steps: int, first: int = 0
    ) -> GuidanceSweep:
        """As many pictures as seeds, from the first."""
        bases = _bases(kind, model, name, seeds, steps, first)
        return cls(kind, name, model, judge, bases, _pictures(bases, model))

    def sweep(self, strengths: Sequence[float] = (), out: Path | None = None) -> list[GuidanceEffect]:
        """The other halves by each strength, by default those of `STRENGTHS`; `out` gets a sheet, a row a strength."""
        form = "color of latents" if self.kind == "color" and self.model.reads_text else self.kind
        wishes = [_wish(self.kind, self.name, i) for i in range(len(self.bases))]
        rows = [self.plain]
        found = []
        for strength in strengths or STRENGTHS[form]:
            terms = [FORMS[form].format(wish=wish, strength=strength) for wish in wishes]
            pairs = zip(self.bases, terms, strict=True)
            rows.append(_pictures([replace(b, guidance=_add_term(b, t)) for b, t in pairs], self.model))
            found.append(self._outcome(strength, rows[-1], wishes))
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            shown = [image for row in rows for image in row[:ACROSS]]
            sheet = make_grid(shown, min(ACROSS, len(self.plain)), gap=4)
            sheet.save(out / f"{self.name}-{self.kind}.png")
        return found

    def _outcome(self, strength: float, steered: list[Image.Image], wishes: list[str]) -> GuidanceEffect:
        if self.kind == "color":
            gains, kept = (
                _color_gain(self.plain, steered, wishes),
                _subject_share(self.bases, self.plain, steered, self.judge),
            )
        else:
            gains, kept = _similarity_gain(self.plain, steered, wishes, self.judge), float("nan")
        return GuidanceEffect(self.kind, strength, len(self.bases), *interval(gains)[:3], kept)


def _pictures(requests: list[Request], model: AnyModel) -> list[Image.Image]:
    return [picture.image for picture in generate(requests, model)]


def best(found: Sequence[GuidanceEffect]) -> GuidanceEffect:
    """Of color, the gentlest that goes half the way, or the farthest; of clip, the largest gain."""
    if found[0].kind == "clip":
        return max(found, key=lambda o: o.gain)
    enough = [o for o in found if o.gain >= 0.5]
    return min(enough, key=lambda o: o.strength) if enough else max(found, key=lambda o: o.gain)


def _bases(kind: str, opened: AnyModel, model: str, seeds: int, steps: int, first: int) -> list[Request]:
    """The unguided halves of the pairs."""
    subjects = SUBJECTS.get(model, SUBJECTS["emoji"]) if opened.reads_text else ("",)
    guidance, sampler = (CFG[kind], "ddim") if opened.reads_text else ("none", "euler-a")
    return [
        Request(subjects[i % len(subjects)], seed=first + i, steps=steps, sampler=sampler, guidance=guidance)
        for i in range(seeds)
    ]


def _wish(kind: str, model: str, i: int) -> str:
    wishes = TARGETS if kind == "color" else WISHES.get(model, WISHES["emoji"])
    return wishes[i // 4 % len(wishes)]


def _add_term(base: Request, term: str) -> str:
    return term if str(base.guidance) == "none" else f"{base.guidance} + {term}"


def _color_gain(plain: list[Image.Image], steered: list[Image.Image], targets: list[str]) -> Floats:
    """(n,) the share of the way that the mean color went toward the target, in RGB."""
    wanted = np.array([ImageColor.getrgb(t)[:3] for t in targets], np.float64)
    before, after = (
        np.linalg.norm(np.array([np.asarray(i, np.float64).mean((0, 1)) for i in images]) - wanted, axis=1)
        for images in (plain, steered)
    )
    return np.asarray(1 - after / before)


def _similarity_gain(
    plain: list[Image.Image], steered: list[Image.Image], texts: list[str], judge: ImageText
) -> Floats:
    """(n,) the judge's cosine to the text, with guidance minus without."""
    wanted = judge.embed_texts(texts)
    before, after = ((judge.embed_images(images) * wanted).sum(1) for images in (plain, steered))
    return np.asarray(after - before, np.float64)


def _subject_share(
    bases: list[Request], plain: list[Image.Image], steered: list[Image.Image], judge: ImageText
) -> float:
    """The share still taken for its subject, over the share before."""
    objects = facts_of(judge.path)["objects"]
    before, after = (
        np.mean(
            [_is_subject(b.prompt, judge.rank(i, objects)[:5]) for b, i in zip(bases, images, strict=True)]
        )
        for images in (plain, steered)
    )
    return float(after / before) if before else float("nan")


def _is_subject(prompt: str, ranked: list[str]) -> bool:
    """Whether any of the judge's first choices is what was asked, or a face where nothing was."""
    if not prompt:
        return any(is_face(name) for name in ranked)
    return any(name in prompt for name in ranked)
