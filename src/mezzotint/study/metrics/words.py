"""Whether a picture shows what its prompt says, as an image-text pair sees it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mezzotint.data import pixel_art
from mezzotint.data.emoji import STYLES
from mezzotint.data.words import SYNONYMS
from mezzotint.evaluation.cases import FREE
from mezzotint.picture import Picture
from mezzotint.study.metrics.metric import Context, Metric, Need, Pair, batches

Floats = NDArray[np.float32]
_CALLED = {name: style.words for name, style in STYLES.items()} | {pixel_art.NAME: pixel_art.WORDS}


def clip_score(pictures: Sequence[Picture], context: Context, which: Pair) -> list[float]:
    """The cosine between picture and text (Hessel et al. 2021, 2104.08718, without their factor and cut); nan without a text."""
    scores = []
    for part in batches(pictures):
        texts = [context.wanted_text(picture.request) for picture in part]
        cosines = (context.features(part, which) * context.pair(which).embed_texts(texts)).sum(1)
        scores += [float(c) if text else np.nan for c, text in zip(cosines, texts, strict=True)]
    return scores


def objects_right(pictures: Sequence[Picture], context: Context, top: int) -> list[float]:
    """The share of the objects named in the prompt that are among the judge's first `top` of all it knows.

    With top = 1: whether its first choice is any of them. nan where the prompt names none.
    """
    objects = tuple(context.facts["objects"])
    known = context.pair("judge").embed_texts(objects)
    return [
        _verdict(features, named_objects(picture.request.prompt, objects), objects, known, top)
        for part in batches(pictures)
        for picture, features in zip(part, context.features(part, "judge"), strict=True)
    ]


def _verdict(
    features: Floats, wanted: list[frozenset[str]], objects: Sequence[str], known: Floats, top: int
) -> float:
    if not wanted:
        return np.nan
    first = {objects[i] for i in np.argsort(-(known @ features), kind="stable")[:top]}
    hits = [bool(names & first) for names in wanted]
    return float(any(hits) if top == 1 else np.mean(hits))


def styles_right(pictures: Sequence[Picture], context: Context) -> list[float]:
    """1 where of all styles the probe takes the picture for the one named, else 0; nan where the prompt names none."""
    verdicts = []
    for part in batches(pictures):
        for picture, choice in zip(part, context.probe([one.image for one in part]), strict=True):
            style = named_style(picture.request.prompt, context.probe.styles)
            verdicts.append(float(choice == style) if style else np.nan)
    return verdicts


@cache
def named_objects(prompt: str, objects: tuple[str, ...]) -> list[frozenset[str]]:
    """The objects that a prompt names, each with all that it may be taken for; the longest name wins a word.

    `red apple` is not also an apple. Plurals in s are seen; everyday words as the training captions had them.
    """
    text, found = prompt.lower(), []
    for name, meant in _names(objects):
        if name not in text:  # a pattern for each of two thousand names takes a sixth of a second
            continue
        pattern = rf"(?<![\w-]){re.escape(name)}(?:e?s)?(?![\w-])"
        if match := re.search(pattern, text):
            found.append((match.start(), meant))
            text = re.sub(pattern, lambda m: "\0" * len(m[0]), text)
    return [meant for _, meant in sorted(found, key=lambda one: one[0])]


@cache
def _names(objects: tuple[str, ...]) -> list[tuple[str, frozenset[str]]]:
    """Every name and what it may mean, the longest first."""
    meant: dict[str, set[str]] = {}
    for name, one in _synonyms(frozenset(objects)):
        meant.setdefault(name.lower(), set()).add(one)
    meant |= {name.lower(): {name} for name in objects}
    return sorted(((n, frozenset(m)) for n, m in meant.items()), key=lambda one: (-len(one[0]), one[0]))


def _synonyms(objects: frozenset[str]) -> Iterator[tuple[str, str]]:
    for name, words in SYNONYMS.items():
        yield from ((word, name) for word in words if name in objects)
    for prompt, names in FREE.items():
        yield from ((re.sub(r"^(an?|the) ", "", prompt), name) for name in names if name in objects)


def named_style(prompt: str, known: tuple[str, ...]) -> str:
    """The style that a prompt names, by any of the words of its captions followed or not by `style`; "" for none."""
    words = [(word, style) for style in known for word in _CALLED.get(style, ())]
    for word, style in sorted(words, key=lambda one: -len(one[0])):
        if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", prompt.lower()):
            return style
    return ""


def _score(which: Pair) -> Callable[[Sequence[Picture], Context], list[float]]:
    return lambda pictures, context: clip_score(pictures, context, which)


def _objects(top: int) -> Callable[[Sequence[Picture], Context], list[float]]:
    return lambda pictures, context: objects_right(pictures, context, top)


_JUDGE: frozenset[Need] = frozenset({"judge"})
_NAMES: frozenset[Need] = frozenset({"judge", "objects"})
WORDS = (
    Metric(
        "clip_score",
        frozenset({"clip"}),
        _score("clip"),
        "cosine to the text by the pair that guides",
        True,
    ),
    Metric("judge_score", _JUDGE, _score("judge"), "cosine to the text by the pair that never guides", True),
    Metric(
        "object_top1",
        _NAMES,
        _objects(1),
        "share whose first name by the judge is in the prompt",
        True,
        caution="the bundled judge finds 0.38 to 0.55 of real pictures so, 0.94 of ordinary things, among 1,644 objects",
    ),
    Metric(
        "object_top5",
        _NAMES,
        _objects(5),
        "share of the prompt's objects among the judge's first five",
        True,
        caution="the bundled judge finds 0.66 to 0.85 of real pictures so, 0.98 of ordinary things, among 1,644 objects",
    ),
    Metric(
        "style_right",
        frozenset({"style"}),
        styles_right,
        "share taken for the style of the prompt",
        True,
        caution="the probe is right for 0.83 of real pictures on white (pixel art: 0.99), 0.80 as the autoencoder of "
        "`emoji` leaves them (0.85), and 0.72 before backdrops; 0.13 is chance",
    ),
)
