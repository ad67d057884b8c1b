"""The expressions in a request's fields, as data.

`encoder`: which encoder reads the texts, `bert`, `0.7*clip + 0.3*bert`, `path/to/a/bert`. `lora`: which adapters (LoRA,
2106.09685) are merged, `0.8*<digest> + <digest>`. `words`: which new words (textual inversion, 2208.01618) texts may
hold, `<cat-toy>=<digest> <style>=<digest>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mezzotint.checks import literal, short
from mezzotint.errors import RequestError, nearest

ENCODERS = ("clip", "bert", "bert-unmasked", "bert-adapted", "random", "shuffled", "norm-matched")
OWN_ENCODERS = ("clip", "random", "shuffled")
"""Of the model's own text encoder alone."""
LONGEST_ENCODER, MOST_ENCODERS = 1000, 8  # characters, shares
MAX_ENCODER_WEIGHT = 10.0

_PLAIN = re.compile(r"[\w./~@:-]+")


@dataclass(frozen=True)
class Sum:
    """How names with weights are read, `0.7*clip + 0.3*bert`: of encoders, and of adapters (`mezzotint.expressions`)."""

    of: str  # for messages
    name: str  # regular expression
    heaviest: float
    advice: str

    def shares(self, text: str) -> Iterator[tuple[str, str | None]]:
        """Names and weights as they stand there (None: none), from left to right, with a + between them."""
        pattern = re.compile(rf"\s*(?:([-+]?[.\d]+(?:[eE][-+]?\d+)?)\s*\*\s*)?({self.name})\s*", re.ASCII)
        at = 0
        while found := pattern.match(text, at):
            yield found[2], found[1]
            at = found.end()
            if at == len(text):
                return
            if text[at] != "+":
                break
            at += 1
        raise RequestError(f"{self.of} {short(text)} cannot be read at character {at + 1}; {self.advice}")

    def weight(self, text: str | None) -> float:
        """RequestError where it is no number, or too large either way; None is 1."""
        try:
            weight = 1.0 if text is None else float(text)
        except ValueError:
            raise RequestError(f"{self.of}: {short(text)} is not a number") from None
        if not abs(weight) <= self.heaviest:
            most = f"from {-self.heaviest:g} to {self.heaviest:g}"
            raise RequestError(f"{self.of}: a weight is {most}, got {short(text)}")
        return weight + 0.0  # never a negative zero


def format_share(name: str, weight: float) -> str:
    """As `Sum` reads it."""
    return name if weight == 1 else f"{literal(weight)}*{name}"


_ENCODERS_ADVICE = "write names joined by +, such as 0.7*clip + 0.3*bert"
_ENCODERS_SUM = Sum("encoder", r""""[^"]*"|'[^']*'|[^\s+*"']+""", MAX_ENCODER_WEIGHT, _ENCODERS_ADVICE)


@dataclass(frozen=True)
class Share:
    """An encoder and how much its states weigh: one of `ENCODERS`, or the folder or hub id of a BERT."""

    name: str
    weight: float = 1.0

    def __str__(self) -> str:
        quote = "'" if '"' in self.name else '"'
        name = self.name if _PLAIN.fullmatch(self.name) else f"{quote}{self.name}{quote}"
        return format_share(name, self.weight)


@dataclass(frozen=True)
class Mixture:
    """Encoders whose states are added, each times its weight."""

    shares: tuple[Share, ...] = (Share("clip"),)

    def __str__(self) -> str:
        """Canonical text; the model's own encoder alone is ""."""
        return "" if self == Mixture() else " + ".join(map(str, self.shares))


def parse_encoder(text: str) -> Mixture:
    """The mixture that an expression stands for; "" is the model's own. RequestError says what is wrong."""
    if not isinstance(text, str) or len(text) > LONGEST_ENCODER:
        raise RequestError(f"encoder must be text of at most {LONGEST_ENCODER} characters, such as bert")
    return _parse_encoders(text.strip())


@lru_cache(maxsize=256)
def _parse_encoders(text: str) -> Mixture:
    shares = [_share(*found) for found in _ENCODERS_SUM.shares(text)] if text else [Share("clip")]
    names = [share.name for share in shares]
    for name in names:
        if names.count(name) > 1:
            raise RequestError(f"encoder {name!r} is named twice; add its weights")
    if len(shares) > MOST_ENCODERS:
        raise RequestError(f"at most {MOST_ENCODERS} encoders are mixed, got {len(shares)}")
    heard = tuple(share for share in shares if share.weight)
    if not heard:
        raise RequestError(f"encoder {short(text)} weighs everything 0; give one a weight")
    return Mixture(heard)


def _share(name: str, weight: str | None) -> Share:
    name = name[1:-1] if name[0] in "\"'" else name
    if "\n" in name or not (name in ENCODERS or "/" in name.strip()):
        known = f"known: {', '.join(ENCODERS)}, and folders or hub ids with a /"
        raise RequestError(f"no encoder is called {short(name)}; {known}{nearest(name, ENCODERS)}")
    return Share(name, _ENCODERS_SUM.weight(weight))


MOST_LORAS, LONGEST_LORA = 8, 10_000  # adapters, characters
MAX_LORA_WEIGHT = 4.0

_LORA_ADVICE = "write 0.8*DIGEST, joined by +; mezzotint.models.keep_lora(path) gives the digest of a file"
_LORA_SUM = Sum("lora", "[0-9a-f]{64}", MAX_LORA_WEIGHT, _LORA_ADVICE)


@dataclass(frozen=True)
class LoraAdapter:
    """A LoRA file, by the sha256 of its bytes, and how much of it is added to the weights."""

    digest: str
    weight: float = 1.0

    def __str__(self) -> str:
        return format_share(self.digest, self.weight)


def canonical_lora(adapters: tuple[LoraAdapter, ...]) -> str:
    """Their expression: sorted by digest, without those that weigh nothing; "" is the model as it is."""
    heard = sorted((a for a in adapters if a.weight), key=lambda adapter: adapter.digest)
    return " + ".join(map(str, heard))


def parse_lora(text: str) -> tuple[LoraAdapter, ...]:
    """The adapters of an expression, as they stand there; "" has none. RequestError says what is wrong."""
    if not isinstance(text, str) or len(text) > LONGEST_LORA:
        raise RequestError(f"lora must be text of at most {LONGEST_LORA} characters, got {short(text)}")
    return _parse_lora(text.strip())


@lru_cache(maxsize=256)
def _parse_lora(text: str) -> tuple[LoraAdapter, ...]:
    found = _LORA_SUM.shares(text) if text else ()
    adapters = tuple(LoraAdapter(digest, _LORA_SUM.weight(weight)) for digest, weight in found)
    if len(adapters) > MOST_LORAS:
        raise RequestError(f"at most {MOST_LORAS} adapters are merged, got {len(adapters)}")
    digests = [adapter.digest for adapter in adapters]
    if twice := next((digest for digest in digests if digests.count(digest) > 1), ""):
        raise RequestError(f"lora {twice[:10]} is named twice; add its weights")
    return adapters


def lora_weight(text: str) -> float:
    """RequestError where it is no number from -4 to 4."""
    return _LORA_SUM.weight(text)


MOST_WORDS, LONGEST_WORDS = 32, 10_000  # words, characters
LONGEST_NAME = 100

_INVERSION_ADVICE = (
    "write WORD=DIGEST with spaces between; mezzotint.models.keep_word(path) gives both of a file"
)
_ONE = re.compile(r"(\S+)=([0-9a-f]{64})")
_SYNTAX = re.compile(r"[\s()\\]")  # a prompt reads these in ways of its own


@dataclass(frozen=True)
class NewWord:
    """A word, as it stands in texts, and the file of its embedding by the sha256 of its bytes."""

    name: str
    digest: str

    def __str__(self) -> str:
        return f"{self.name}={self.digest}"


def canonical_words(words: tuple[NewWord, ...]) -> str:
    """Their expression, sorted by name; "" has none."""
    return " ".join(map(str, sorted(words, key=lambda word: word.name)))


def parse_words(text: str) -> tuple[NewWord, ...]:
    """The words of an expression. RequestError says what is wrong."""
    if not isinstance(text, str) or len(text) > LONGEST_WORDS:
        raise RequestError(f"words must be text of at most {LONGEST_WORDS} characters, got {short(text)}")
    return _parse_inversion(text.strip())


@lru_cache(maxsize=256)
def _parse_inversion(text: str) -> tuple[NewWord, ...]:
    words = tuple(map(_word, text.split()))
    if len(words) > MOST_WORDS:
        raise RequestError(f"at most {MOST_WORDS} new words are read, got {len(words)}")
    names = [word.name.lower() for word in words]  # as tokenizers compare them
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise RequestError(f"the word {twice} is given twice; give another name to one: --word NAME=FILE")
    return words


def _word(text: str) -> NewWord:
    found = _ONE.fullmatch(text)
    if not found:
        raise RequestError(f"words: {short(text)} cannot be read; {_INVERSION_ADVICE}")
    return NewWord(check_word_name(found[1]), found[2])


def check_word_name(name: str) -> str:
    """The name. RequestError where no prompt could say it as one word."""
    if not 0 < len(name) <= LONGEST_NAME or _SYNTAX.search(name) or not name.isprintable():
        advice = f"1 to {LONGEST_NAME} characters without spaces, parentheses and backslashes"
        raise RequestError(
            f"{short(name)} cannot stand in a prompt as a word, {advice}; name it: --word NAME=FILE"
        )
    return name
