"""Which adapters (LoRA, 2106.09685) are merged into a model, as data: `0.8*<digest> + <digest>`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from mezzotint.encoders import Sum, format_share
from mezzotint.errors import RequestError
from mezzotint.guidance.terms import short

MOST, LONGEST = 8, 10_000  # adapters, characters
MAX_WEIGHT = 4.0

_ADVICE = "write 0.8*DIGEST, joined by +; mezzotint.models.keep_lora(path) gives the digest of a file"
_SUM = Sum("lora", "[0-9a-f]{64}", MAX_WEIGHT, _ADVICE)


@dataclass(frozen=True)
class LoraAdapter:
    """A LoRA file, by the sha256 of its bytes, and how much of it is added to the weights."""

    digest: str
    weight: float = 1.0

    def __str__(self) -> str:
        return format_share(self.digest, self.weight)


def canonical(adapters: tuple[LoraAdapter, ...]) -> str:
    """Their expression: sorted by digest, without those that weigh nothing; "" is the model as it is."""
    heard = sorted((a for a in adapters if a.weight), key=lambda adapter: adapter.digest)
    return " + ".join(map(str, heard))


def parse(text: str) -> tuple[LoraAdapter, ...]:
    """The adapters of an expression, as they stand there; "" has none. RequestError says what is wrong."""
    if not isinstance(text, str) or len(text) > LONGEST:
        raise RequestError(f"lora must be text of at most {LONGEST} characters, got {short(text)}")
    return _parse(text.strip())


@lru_cache(maxsize=256)
def _parse(text: str) -> tuple[LoraAdapter, ...]:
    found = _SUM.shares(text) if text else ()
    adapters = tuple(LoraAdapter(digest, _SUM.weight(weight)) for digest, weight in found)
    if len(adapters) > MOST:
        raise RequestError(f"at most {MOST} adapters are merged, got {len(adapters)}")
    digests = [adapter.digest for adapter in adapters]
    if twice := next((digest for digest in digests if digests.count(digest) > 1), ""):
        raise RequestError(f"lora {twice[:10]} is named twice; add its weights")
    return adapters


def weight_of(text: str) -> float:
    """RequestError where it is no number from -4 to 4."""
    return _SUM.weight(text)
