"""Which adapters (LoRA, 2106.09685) are merged into a model, as data: `0.8*<digest> + <digest>`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mezzotint.errors import RequestError
from mezzotint.guidance.terms import short

MOST, LONGEST = 8, 10_000  # adapters, characters
MAX_WEIGHT = 4.0

_SHARE = re.compile(
    r"\s*(?:(?P<weight>[-+]?[.\d]+(?:[eE][-+]?\d+)?)\s*\*\s*)?(?P<digest>[0-9a-f]{64})\s*", re.A
)


@dataclass(frozen=True)
class Adapter:
    """A LoRA file, by the sha256 of its bytes, and how much of it is added to the weights."""

    digest: str
    weight: float = 1.0

    def __str__(self) -> str:
        return self.digest if self.weight == 1 else f"{_number(self.weight)}*{self.digest}"


def canonical(adapters: tuple[Adapter, ...]) -> str:
    """Their expression: sorted by digest, without those that weigh nothing; "" is the model as it is."""
    heard = sorted((a for a in adapters if a.weight), key=lambda adapter: adapter.digest)
    return " + ".join(map(str, heard))


def parse(text: str) -> tuple[Adapter, ...]:
    """The adapters of an expression, as they stand there; "" has none. RequestError says what is wrong."""
    if not isinstance(text, str) or len(text) > LONGEST:
        raise RequestError(f"lora must be text of at most {LONGEST} characters, got {short(text)}")
    return _parsed(text.strip())


@lru_cache(maxsize=256)
def _parsed(text: str) -> tuple[Adapter, ...]:
    adapters = tuple(_shares(text)) if text else ()
    if len(adapters) > MOST:
        raise RequestError(f"at most {MOST} adapters are merged, got {len(adapters)}")
    digests = [adapter.digest for adapter in adapters]
    if twice := next((digest for digest in digests if digests.count(digest) > 1), ""):
        raise RequestError(f"lora {twice[:10]} is named twice; add its weights")
    return adapters


def _shares(text: str) -> Iterator[Adapter]:
    """From left to right, with a + between them."""
    at = 0
    while found := _SHARE.match(text, at):
        yield Adapter(found["digest"], 1.0 if found["weight"] is None else weight_of(found["weight"]))
        at = found.end()
        if at == len(text):
            return
        if text[at] != "+":
            break
        at += 1
    advice = "write 0.8*DIGEST, joined by +; mezzotint.models.keep_lora(path) gives the digest of a file"
    raise RequestError(f"lora {short(text)} cannot be read at character {at + 1}; {advice}")


def weight_of(text: str) -> float:
    """RequestError where it is no number from -4 to 4."""
    try:
        weight = float(text)
    except ValueError:
        raise RequestError(f"lora: {short(text)} is not a number") from None
    if not abs(weight) <= MAX_WEIGHT:
        raise RequestError(f"lora: a weight is from {-MAX_WEIGHT:g} to {MAX_WEIGHT:g}, got {short(text)}")
    return weight + 0.0  # never a negative zero


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")
