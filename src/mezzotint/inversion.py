"""Which new words (textual inversion, 2208.01618) texts may hold, as data: `<cat-toy>=<digest> <style>=<digest>`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mezzotint.errors import RequestError
from mezzotint.guidance.terms import short

MOST, LONGEST = 32, 10_000  # words, characters
LONGEST_NAME = 100

_ADVICE = "write WORD=DIGEST with spaces between; mezzotint.models.keep_word(path) gives both of a file"
_ONE = re.compile(r"(\S+)=([0-9a-f]{64})")
_SYNTAX = re.compile(r"[\s()\\]")  # a prompt reads these in ways of its own


@dataclass(frozen=True)
class NewWord:
    """A word, as it stands in texts, and the file of its embedding by the sha256 of its bytes."""

    name: str
    digest: str

    def __str__(self) -> str:
        return f"{self.name}={self.digest}"


def canonical(words: tuple[NewWord, ...]) -> str:
    """Their expression, sorted by name; "" has none."""
    return " ".join(map(str, sorted(words, key=lambda word: word.name)))


def parse(text: str) -> tuple[NewWord, ...]:
    """The words of an expression. RequestError says what is wrong."""
    if not isinstance(text, str) or len(text) > LONGEST:
        raise RequestError(f"words must be text of at most {LONGEST} characters, got {short(text)}")
    return _parse(text.strip())


@lru_cache(maxsize=256)
def _parse(text: str) -> tuple[NewWord, ...]:
    words = tuple(map(_word, text.split()))
    if len(words) > MOST:
        raise RequestError(f"at most {MOST} new words are read, got {len(words)}")
    names = [word.name.lower() for word in words]  # as tokenizers compare them
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise RequestError(f"the word {twice} is given twice; give another name to one: --word NAME=FILE")
    return words


def _word(text: str) -> NewWord:
    found = _ONE.fullmatch(text)
    if not found:
        raise RequestError(f"words: {short(text)} cannot be read; {_ADVICE}")
    return NewWord(check_name(found[1]), found[2])


def check_name(name: str) -> str:
    """The name. RequestError where no prompt could say it as one word."""
    if not 0 < len(name) <= LONGEST_NAME or _SYNTAX.search(name) or not name.isprintable():
        advice = f"1 to {LONGEST_NAME} characters without spaces, parentheses and backslashes"
        raise RequestError(
            f"{short(name)} cannot stand in a prompt as a word, {advice}; name it: --word NAME=FILE"
        )
    return name
