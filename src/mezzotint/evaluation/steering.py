"""What gradient guidance does to a model's pictures: color reached, similarity gained, and what it costs the subject.

Every comparison is paired: the same seeds with and without the term. The strength is found by a sweep over seeds of its
own, then measured on others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from mezzotint.api import generate
from mezzotint.data.subsets import is_face
from mezzotint.models import AnyModel, open_model
from mezzotint.models.image_text import ImageText
from mezzotint.request import Request

Floats = NDArray[np.float64]
# Color acts early only: what the picture will be is then painted in that color, not washed over by it.
COLOR = 'color("{wish}", effect={effect}, stop=0.15)'
CLIP = 'clip("{wish}", effect={effect})'
EFFECTS = {"color": (0.1, 0.2, 0.4, 0.8), "clip": (0.02, 0.04, 0.08, 0.16)}
TARGETS = ("#19e680", "#d62828", "#2c60ce")
SUBJECTS = {"faces": ("",), "emoji": ("a cat", "a red apple", "a house", "a butterfly")}
WISHES = {
    "faces": ("an angry face", "smiling face with sunglasses", "a robot", "a clown face"),
    "emoji": ("a red rose", "a blue butterfly", "a castle", "a pizza"),
}


@dataclass(frozen=True)
class Outcome:
    """One strength of one kind of term, over pairs of pictures."""

    kind: str  # color | clip
    effect: float
    pairs: int
    gain: float  # color: share of the way to the target; clip: the judge's similarity to the text, guided minus not
    low: float  # 95 % interval of the gain, by bootstrap over pairs
    high: float
    kept: float  # share of pictures still taken for their subject, over the same share unguided


def sweep(
    model: str,
    kind: str,
    seeds: int,
    effects: Sequence[float] = (),
    steps: int = 25,
    first_seed: int = 0,
    out: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """Every effect on the same pairs; `out` gets a sheet of the first pictures, a row a strength."""
    opened, judge = open_model(model), ImageText.open("judge")
    bases = _bases(opened, model, seeds, steps, first_seed)
    progress(f"drawing {len(bases)} pictures without {kind}")
    plain = [p.image for p in generate(bases, opened)]
    rows = [plain]
    found = []
    for effect in effects or EFFECTS[kind]:
        progress(f"drawing {len(bases)} with {kind} at effect {effect}")
        wishes = [_wish(kind, model, i) for i in range(len(bases))]
        form = COLOR if kind == "color" else CLIP
        terms = [form.format(wish=wish, effect=effect) for wish in wishes]
        asked = [replace(b, guidance=_joined(b, term)) for b, term in zip(bases, terms, strict=True)]
        steered = [p.image for p in generate(asked, opened)]
        rows.append(steered)
        gains = (
            _reached(plain, steered, wishes) if kind == "color" else _nearer(plain, steered, wishes, judge)
        )
        low, high = interval(gains)
        kept = _kept(bases, plain, steered, judge) if kind == "color" else float("nan")
        found.append(Outcome(kind, effect, len(bases), float(gains.mean()), low, high, kept))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        _sheet(rows).save(out / f"{model}-{kind}.png")
    return found


def best(found: Sequence[Outcome]) -> Outcome:
    """Of color, the gentlest that goes half the way, or the farthest; of clip, the largest gain."""
    if found[0].kind == "clip":
        return max(found, key=lambda o: o.gain)
    enough = [o for o in found if o.gain >= 0.5]
    return min(enough, key=lambda o: o.effect) if enough else max(found, key=lambda o: o.gain)


def _bases(opened: AnyModel, model: str, seeds: int, steps: int, first: int) -> list[Request]:
    """The unguided halves of the pairs; low classifier-free guidance where there is a prompt."""
    subjects = SUBJECTS.get(model, SUBJECTS["emoji"]) if opened.reads_text else ("",)
    guidance, sampler = ("cfg(2)", "ddim") if opened.reads_text else ("none", "euler-a")
    return [
        Request(subjects[i % len(subjects)], seed=first + i, steps=steps, sampler=sampler, guidance=guidance)
        for i in range(seeds)
    ]


def _wish(kind: str, model: str, i: int) -> str:
    wishes = TARGETS if kind == "color" else WISHES.get(model, WISHES["emoji"])
    return wishes[i // 4 % len(wishes)]


def _joined(base: Request, term: str) -> str:
    return term if str(base.guidance) == "none" else f"{base.guidance} + {term}"


def _reached(plain: list[Image.Image], steered: list[Image.Image], targets: list[str]) -> Floats:
    """(n,) the share of the way that the mean color went toward the target, in RGB."""
    wanted = np.array([ImageColor.getrgb(t)[:3] for t in targets], np.float64)
    before, after = (
        np.linalg.norm(np.array([np.asarray(i, np.float64).mean((0, 1)) for i in images]) - wanted, axis=1)
        for images in (plain, steered)
    )
    return np.asarray(1 - after / before)


def _nearer(
    plain: list[Image.Image], steered: list[Image.Image], texts: list[str], judge: ImageText
) -> Floats:
    """(n,) the judge's cosine to the text, with guidance minus without."""
    wanted = judge.embed_texts(texts)
    before, after = ((judge.embed_images(images) * wanted).sum(1) for images in (plain, steered))
    return np.asarray(after - before, np.float64)


def _kept(
    bases: list[Request], plain: list[Image.Image], steered: list[Image.Image], judge: ImageText
) -> float:
    """The share still taken for its subject, over the share before."""
    objects = json.loads((judge.path / "objects.json").read_text())["objects"]
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


def interval(values: Floats, draws: int = 4000) -> tuple[float, float]:
    """The 95 % interval of a mean, by bootstrap (percentile)."""
    picks = np.random.default_rng(0).integers(0, len(values), (draws, len(values)))
    low, high = np.percentile(values[picks].mean(1), [2.5, 97.5])
    return float(low), float(high)


def _sheet(rows: list[list[Image.Image]], across: int = 12) -> Image.Image:
    side = rows[0][0].width
    canvas = Image.new("RGB", (across * (side + 4) + 4, len(rows) * (side + 4) + 4), "#fbfaf7")
    for y, row in enumerate(rows):
        for x, image in enumerate(row[:across]):
            canvas.paste(image, (4 + x * (side + 4), 4 + y * (side + 4)))
    return canvas
