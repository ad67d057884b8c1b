"""Which encoder reads the texts, as data: `bert`, `0.7*clip + 0.3*bert`, `path/to/a/bert`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mezzotint.errors import RequestError, nearest
from mezzotint.guidance.terms import short

NAMES = ("clip", "bert", "bert-unmasked", "bert-adapted", "random", "shuffled", "norm-matched")
LONGEST, MOST = 1000, 8  # characters, shares
MAX_WEIGHT = 10.0

_SHARE = re.compile(
    r"""\s*(?:(?P<weight>[-+]?[.\d]+(?:[eE][-+]?\d+)?)\s*\*\s*)?(?P<name>"[^"]*"|'[^']*'|[^\s+*"']+)\s*""",
    re.ASCII,
)
_PLAIN = re.compile(r"[\w./~@:-]+")


@dataclass(frozen=True)
class Share:
    """An encoder and how much its states weigh: one of `NAMES`, or the folder or hub id of a BERT."""

    name: str
    weight: float = 1.0

    def __str__(self) -> str:
        quote = "'" if '"' in self.name else '"'
        name = self.name if _PLAIN.fullmatch(self.name) else f"{quote}{self.name}{quote}"
        return name if self.weight == 1 else f"{_number(self.weight)}*{name}"


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
    return _parsed(text.strip())


@lru_cache(maxsize=256)
def _parsed(text: str) -> Mixture:
    shares = _shares(text) if text else [Share("clip")]
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


def _shares(text: str) -> list[Share]:
    """Shares from left to right, with a + between them."""
    shares, at = [], 0
    while found := _SHARE.match(text, at):
        shares.append(_share(found["name"], found["weight"]))
        at = found.end()
        if at == len(text):
            return shares
        if text[at] != "+":
            break
        at += 1
    advice = "write names joined by +, such as 0.7*clip + 0.3*bert"
    raise RequestError(f"encoder {short(text)} cannot be read at character {at + 1}; {advice}")


def _share(name: str, weight: str | None) -> Share:
    name = name[1:-1] if name[0] in "\"'" else name
    if "\n" in name or not (name in NAMES or "/" in name.strip()):
        known = f"known: {', '.join(NAMES)}, and folders or hub ids with a /"
        raise RequestError(f"no encoder is called {short(name)}; {known}{nearest(name, NAMES)}")
    return Share(name, 1.0 if weight is None else _weight(weight))


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        raise RequestError(f"encoder: {short(text)} is not a number") from None
    if not abs(weight) <= MAX_WEIGHT:
        raise RequestError(f"encoder: a weight is from {-MAX_WEIGHT:g} to {MAX_WEIGHT:g}, got {short(text)}")
    return weight + 0.0  # never a negative zero


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")
