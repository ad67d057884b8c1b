"""Texts without end: captions of composed scenes, and free phrases over the words of English."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from mezzotint.data.compose import Composer

PHRASES = (
    "{0}", "a {0}", "the {0}", "{0} {1}", "a {0} {1}", "{0} and {1}", "a {0} with a {1}", "{0} of {1}", "a {0} on the {1}",
    "a {0} in the {1}", "a picture of a {0}", "a {0} {1}, {2}", "a {0} under the {1}", "{0} {1} {2}", "a painting of {0} and {1}",
)  # fmt: skip
SCENES = (
    "a {0} on a {1} background", "{0} in {1} style", "a {0} next to a {1}", "two {0}s", "three {0}s",
    "a beautiful {0} above the {1}", "a {0} at night", "a {0} on the moon",
)  # fmt: skip


def caption(composer: Composer, rng: random.Random) -> str:
    """The caption of a scene."""
    return composer.scene(rng).caption


def phrase(names: Sequence[str], words: Sequence[str], rng: random.Random) -> str:
    """A made-up phrase: common words are likelier, and names of objects take part."""

    def word() -> str:
        return rng.choice(names) if rng.random() < 0.4 else words[int(len(words) * rng.random() ** 2)]

    return rng.choice(PHRASES if rng.random() < 0.6 else SCENES).format(word(), word(), word())


def texts(composer: Composer, words: Sequence[str]) -> Callable[[random.Random], str]:
    """A source of texts: captions and phrases, half and half."""
    names = [name for row in composer.rows for name in (row["object"], *row["aliases"], *row["tags"])]
    return lambda rng: caption(composer, rng) if rng.random() < 0.5 else phrase(names, words, rng)
