"""What a model knows that was trained on canonical scenes: the words of their captions, and those of its text encoder.

The text encoder learned from freer captions (`data/compose.py`): its synonyms count as names of an object, and its other
words as tags, which are known and not listed.
"""

from __future__ import annotations

from collections.abc import Sequence

from mezzotint.data.emoji import HELD_OUT_STYLE, STYLES
from mezzotint.data.frames import FRAMES
from mezzotint.data.places import GROUNDS, MOON, SCENERY, SKIES, SKY_NAMES, SPACE
from mezzotint.data.scenes import NUMBERS, PALETTE
from mezzotint.data.subsets import Row
from mezzotint.data.words import SYNONYMS
from mezzotint.models.known_words import KnownWords


def known_words(rows: Sequence[Row], objects: Sequence[str]) -> KnownWords:
    """Of a model that learned to draw `objects` of the emoji set; `rows`: what it learned from."""
    names: dict[str, set[str]] = {name: set(SYNONYMS.get(name, ())) for name in sorted(objects)}
    tags = set(NUMBERS.values())
    for row in rows:
        if row["object"] in names:
            names[row["object"]].update(row["aliases"])
            tags.update(row["tags"])
    phrases = [said for _, _, said in (*SKIES.values(), *GROUNDS.values())]
    for freer in (*phrases, *SCENERY.values(), *SKY_NAMES.values(), MOON, SPACE):
        tags.update(freer)
    places = [place for frame in FRAMES.values() for place in (*frame.where, *frame.alone)]
    return KnownWords(
        objects={name: tuple(sorted(others - {name})) for name, others in names.items()},
        tags=tuple(sorted(tags)),
        styles=tuple(
            word for name, style in STYLES.items() if name != HELD_OUT_STYLE for word in style.words
        ),
        colors=tuple(PALETTE),
        places=tuple(dict.fromkeys(places)),
    )
