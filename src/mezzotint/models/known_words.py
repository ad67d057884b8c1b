"""The words that a model knows: those of the captions it was trained on, from `words.json` in its folder.

A byte-pair tokenizer reads any text, so its tokens do not tell what was learned; words of captions do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self, cast

from mezzotint.errors import ModelError, nearest
from mezzotint.models.disk.parts import read_json

FILE_NAME = "words.json"
PARTS = ("objects", "styles", "colors", "places")  # what people ask for; tags only go along with objects

_LETTERS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
# Words that say nothing of what is drawn.
_EMPTY_TEXT = """
a an the this that these those some any all of on in at by to from for with without and or but not no nor as is are be
being been was were has have had its it his her their my your our one up down over under above below into onto near next
very more most so than then there here where who which what how i you he she we they me him them us do does picture
pictures photo photos image images drawing painting icon icons emoji render style background beautiful cute
"""
_EMPTY = frozenset(_EMPTY_TEXT.split())


@dataclass(frozen=True)
class KnownWords:
    """Objects with their other names, the words that captions add to objects, styles, colors and places."""

    objects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    colors: tuple[str, ...] = ()
    places: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Of a model's folder; None where it does not say. ModelError where the file is damaged."""
        path = folder / FILE_NAME
        if not path.is_file():
            return None
        data = read_json(path)
        known = list(cls.__dataclass_fields__)
        for key in data:
            if key not in known:
                raise ModelError(f"{path} has {key!r}; it holds {', '.join(known)}{nearest(key, known)}")
        objects = data.get("objects", {})
        if not isinstance(objects, dict):
            raise ModelError(f"{path}: objects is an object of names, each with a list of other names")
        lists = {key: _texts(data.get(key, []), path, key) for key in known if key != "objects"}
        return cls({name: _texts(names, path, "objects") for name, names in objects.items()}, **lists)

    def write(self, folder: Path) -> None:
        """Into a model's folder."""
        text = json.dumps(asdict(self), indent=0, ensure_ascii=False)
        (folder / FILE_NAME).write_text(text + "\n", encoding="utf-8")

    def with_captions(self, captions: Iterable[str]) -> Self:
        """The same, and the words of more captions."""
        learned = {word for caption in captions for word in words_in(caption)} - self._words
        return cast(
            Self,
            KnownWords(self.objects, (*self.tags, *sorted(learned)), self.styles, self.colors, self.places),
        )

    def knows(self, text: str) -> bool:
        """Whether any word of a text says something of what is drawn, and was in a caption."""
        return any(form in self._words for word in words_in(text) for form in _singulars(word))

    def listing(self, part: str) -> dict[str, tuple[str, ...]]:
        """The names of one of `PARTS`; those of objects with their other names."""
        return dict(self.objects) if part == "objects" else dict.fromkeys(getattr(self, part), ())

    @cached_property
    def _words(self) -> frozenset[str]:
        texts = [*self.objects, *(name for names in self.objects.values() for name in names)]
        texts += [*self.tags, *self.styles, *self.colors, *self.places]
        return frozenset(form for text in texts for word in words_in(text) for form in _singulars(word))


def words_in(text: str) -> Iterator[str]:
    """The words that say something of what is drawn, in lower case."""
    for found in _LETTERS.finditer(text.lower()):
        if found.group() not in _EMPTY:
            yield found.group()


def _singulars(word: str) -> Iterator[str]:
    """The word, and what it may be the plural or possessive of."""
    yield word
    for ending, instead in (("'s", ""), ("’s", ""), ("ies", "y"), ("es", ""), ("s", "")):
        if len(word) > len(ending) + 2 and word.endswith(ending):
            yield word.removesuffix(ending) + instead


def _texts(value: object, path: Path, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ModelError(f"{path}: {key} is not a list of words; copy the file again")
    return tuple(value)
