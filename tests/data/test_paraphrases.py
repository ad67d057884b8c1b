"""Free wording: each pair's caption is one that canonical scenes have."""

from __future__ import annotations

import random
import re

from mezzotint.data.paraphrases import PLACES, SCENES, Paraphraser
from mezzotint.data.places import FRAMES
from mezzotint.data.scenes import NUMBERS, PALETTE
from mezzotint.data.words import article_of, plural

NAMES = {"cat": ["kitten", "kitty"], "owl": [], "racing car": ["race car"]}


def is_caption(text: str) -> bool:
    """Whether canonical scenes may be called so."""
    things = {article_of(name) for name in NAMES}
    grounds = "|".join(PALETTE)
    places = {where for frame in FRAMES.values() for where in frame.where}
    alone = {name for frame in FRAMES.values() for name in frame.alone}
    counts = {f"{NUMBERS[count]} {plural(name)}" for count in NUMBERS for name in NAMES}
    if text in things | alone | counts:
        return True
    for thing in things:
        if text.startswith(thing):
            rest = text.removeprefix(thing).strip()
            if rest in places or rest.removeprefix("and ") in things:
                return True
            if re.fullmatch(rf"on a ({grounds}) background", rest):
                return True
    return False


def test_paraphraser_pairs_lead_to_captions() -> None:
    source, rng = Paraphraser(NAMES, list(NAMES)), random.Random(0)
    pairs = [source.pair(rng) for _ in range(600)]
    assert [said for _, said in pairs if not is_caption(said)] == []
    assert sum(free != said for free, said in pairs) > 500
    assert any("kitten" in free and said == "a cat" for free, said in pairs)


def test_paraphraser_knows_each_place_of_the_scenes() -> None:
    where = {text for frame in FRAMES.values() for text in frame.where}
    alone = {text for frame in FRAMES.values() for text in frame.alone}
    assert set(PLACES) <= where
    assert set(SCENES) <= alone


def test_paraphraser_pairs_are_the_same_for_the_same_seed() -> None:
    source = Paraphraser(NAMES, list(NAMES))
    assert [source.pair(random.Random(i)) for i in range(20)] == [
        source.pair(random.Random(i)) for i in range(20)
    ]
