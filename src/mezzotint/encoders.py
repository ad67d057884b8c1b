"""Which encoder reads the texts, as data: `bert`, `0.7*clip + 0.3*bert`, `path/to/a/bert`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mezzotint.errors import RequestError, nearest
from mezzotint.guidance.terms import literal, short

NAMES = ("clip", "bert", "bert-unmasked", "bert-adapted", "random", "shuffled", "norm-matched")
LONGEST, MOST = 1000, 8  # characters, shares
MAX_WEIGHT = 10.0

_PLAIN = re.compile(r"[\w./~@:-]+")


@dataclass(frozen=True)
class Sum:
    """How names with weights are read, `0.7*clip + 0.3*bert`: of encoders, and of adapters (`mezzotint.lora`)."""

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


_ADVICE = "write names joined by +, such as 0.7*clip + 0.3*bert"
_SUM = Sum("encoder", r""""[^"]*"|'[^']*'|[^\s+*"']+""", MAX_WEIGHT, _ADVICE)


@dataclass(frozen=True)
class Share:
    """An encoder and how much its states weigh: one of `NAMES`, or the folder or hub id of a BERT."""

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


def parse(text: str) -> Mixture:
    """The mixture that an expression stands for; "" is the model's own. RequestError says what is wrong."""
    if not isinstance(text, str) or len(text) > LONGEST:
        raise RequestError(f"encoder must be text of at most {LONGEST} characters, such as bert")
    return _parse(text.strip())


@lru_cache(maxsize=256)
def _parse(text: str) -> Mixture:
    shares = [_share(*found) for found in _SUM.shares(text)] if text else [Share("clip")]
    names = [share.name for share in shares]
    for name in names:
        if names.count(name) > 1:
            raise RequestError(f"encoder {name!r} is named twice; add its weights")
    if len(shares) > MOST:
        raise RequestError(f"at most {MOST} encoders are mixed, got {len(shares)}")
    heard = tuple(share for share in shares if share.weight)
    if not heard:
        raise RequestError(f"encoder {short(text)} weighs everything 0; give one a weight")
    return Mixture(heard)


def _share(name: str, weight: str | None) -> Share:
    name = name[1:-1] if name[0] in "\"'" else name
    if "\n" in name or not (name in NAMES or "/" in name.strip()):
        known = f"known: {', '.join(NAMES)}, and folders or hub ids with a /"
        raise RequestError(f"no encoder is called {short(name)}; {known}{nearest(name, NAMES)}")
    return Share(name, _SUM.weight(weight))
