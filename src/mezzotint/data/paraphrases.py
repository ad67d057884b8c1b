"""Free wording for canonical captions: what people type for a thing, a place, a background, a count or a pair."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from mezzotint.data.scenes import NUMBERS, PALETTE
from mezzotint.data.words import article_of, plural

Pair = tuple[str, str]
"""Free wording, and the caption that training pictures have for it."""

ADJECTIVES = (
    "beautiful", "big", "bright", "cheerful", "cool", "cute", "fat", "friendly", "funny", "happy", "huge", "large",
    "little", "lovely", "nice", "old", "pretty", "shiny", "simple", "small", "sweet", "tiny", "young",
)  # fmt: skip
"""Words that a small model cannot draw; the thing matters."""
CARRIERS = (
    "{0}", "{0}", "{0}", "a picture of {0}", "a photo of {0}", "a drawing of {0}", "an image of {0}", "an icon of {0}",
    "{0} emoji", "draw {0}", "{0}, please", "{0} on a white background", "one {0}", "just {0}",
)  # fmt: skip
PLACES: dict[str, tuple[str, ...]] = {
    "on the sea": ("above the sea", "at sea", "on the water", "on the ocean", "over the ocean", "in the sea", "in the waves"),
    "on the grass": ("in a field", "in the meadow", "on a green meadow", "on a lawn", "in the garden", "in the park"),
    "in the desert": ("in the sand", "on the dunes", "in a dry desert", "on sand"),
    "in the snow": ("in winter", "on snow", "in a snowy field", "on the ice"),
    "in the city": ("in town", "downtown", "in a street", "in front of houses", "in the streets"),
    "in the mountains": ("on a mountain", "in front of mountains", "in the hills", "on top of a hill"),
    "at sunset": ("at dusk", "in the evening", "in the evening sun", "in front of a sunset"),
    "at night": ("in the night", "under the stars", "at nighttime", "by night"),
    "on the moon": ("on the surface of the moon", "on the lunar surface", "walking on the moon", "up on the moon"),
    "in space": ("in outer space", "among the stars", "in the cosmos", "floating in space", "out in space"),
}  # fmt: skip
SCENES: dict[str, tuple[str, ...]] = {
    "a sunset over the sea": ("the evening sun over the ocean", "dusk at the sea", "an evening by the sea"),
    "a starry night over the sea": ("the sea at night", "night over the ocean", "stars over the water"),
    "a sunset over a green meadow": ("evening in the meadow", "a field at dusk", "a meadow in the evening"),
    "mountains": ("a mountain landscape", "the alps", "high hills", "a view of mountains"),
    "the sea": ("the ocean", "open water", "waves", "a view of the sea"),
    "a city": ("a town", "a skyline", "city streets", "tall buildings"),
    "the desert": ("sand dunes", "a dry desert", "endless sand"),
    "snow": ("a snowy landscape", "a winter landscape", "a white winter field"),
    "a green meadow": ("a lawn", "a grassy field", "a green field", "grass"),
    "outer space full of stars": ("the universe", "the cosmos", "deep space", "a galaxy of stars"),
    "the surface of the moon": ("a moon landscape", "the lunar surface", "craters on the moon"),
}  # fmt: skip
BACKGROUNDS = (
    "{0} in front of a {1} background", "{0} over {1}", "{0} with a {1} background", "{0} against {1}",
    "{0} on {1}", "{1} background with {0}",
)  # fmt: skip
TOGETHER = (
    "{0} next to {1}", "{0} beside {1}", "{0} with {1}", "{0}, {1}", "{0} and also {1}", "{0} near {1}",
    "{0} together with {1}", "{0} & {1}",
)  # fmt: skip
COUNTS = {
    2: ("a pair of {0}", "2 {0}", "a couple of {0}", "both {0}"),
    3: ("3 {0}", "a trio of {0}", "three of the {0}"),
    4: ("4 {0}", "four of the {0}", "a group of four {0}"),
}


class Paraphraser:
    """Pairs of free wording and caption.

    `calls`: for each object the other words that mean it; `ordinary`: the objects of counts, places and pairs;
    `modifiers`: common words, any of which may stand before a thing.
    """

    def __init__(
        self, calls: Mapping[str, Sequence[str]], ordinary: Sequence[str], modifiers: Sequence[str] = ()
    ):
        self.calls = calls
        self.modifiers = modifiers or ADJECTIVES
        self.ordinary = [name for name in ordinary if name in calls] or list(calls)
        self._scenes = [(free, said) for said, all_free in SCENES.items() for free in all_free]
        self._words = [(word, name) for name, words in calls.items() for word in words]
        own = set(self.ordinary)
        self._ordinary_words = [(word, name) for word, name in self._words if name in own] or self._words

    def pair(self, rng: random.Random) -> Pair:
        """One pair, of a thing alone in two cases of three."""
        kind = rng.choices(
            ("thing", "place", "scene", "ground", "count", "both"), (0.66, 0.1, 0.04, 0.07, 0.05, 0.08)
        )[0]
        if kind == "thing":
            word, name = rng.choice(self._words if rng.random() < 0.5 else self._ordinary_words)
            return rng.choice(CARRIERS).format(self._thing(word, rng)), article_of(name)
        if kind == "scene":
            return rng.choice(self._scenes)
        name = rng.choice(self.ordinary)
        free = self._thing(self._word(name, rng), rng)
        if kind == "place":
            said = rng.choice(list(PLACES))
            where = said if rng.random() < 0.3 else rng.choice(PLACES[said])
            return f"{free} {where}", f"{article_of(name)} {said}"
        if kind == "ground":
            color = rng.choice(list(PALETTE))
            return rng.choice(BACKGROUNDS).format(free, color), f"{article_of(name)} on a {color} background"
        if kind == "count":
            count = rng.choice(list(NUMBERS))
            frame = rng.choice((NUMBERS[count] + " {0}", *COUNTS[count]))
            return frame.format(plural(self._word(name, rng))), f"{NUMBERS[count]} {plural(name)}"
        other = rng.choice([one for one in self.ordinary if one != name])
        there = self._thing(self._word(other, rng), rng)
        return rng.choice(TOGETHER).format(free, there), f"{article_of(name)} and {article_of(other)}"

    def _word(self, name: str, rng: random.Random) -> str:
        return rng.choice((name, *self.calls[name]))

    def _thing(self, word: str, rng: random.Random) -> str:
        """The word as people write it: with an article or without, now and then with an adjective."""
        if (dice := rng.random()) < 0.35:
            word = f"{rng.choice(ADJECTIVES if dice < 0.25 else self.modifiers)} {word}"
        dice = rng.random()
        return article_of(word) if dice < 0.6 else f"the {word}" if dice < 0.7 else word
