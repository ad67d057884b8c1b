"""CLIP's vocabulary, that of every Stable Diffusion 1.x and 2.x: shipped, since single files come without it.

`bundles/clip-vocabulary/merges.txt.gz` holds the first 48,894 merges of `bpe_simple_vocab_16e6.txt` of CLIP (OpenAI, MIT),
as in the PyPI package open_clip_torch 3.3.0 (sha256 924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a).
The written files have the bytes of those that the hub's models come with.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from pathlib import Path

from mezzotint.errors import ModelError
from mezzotint.models.cache import put

MERGES = "9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a"  # sha256 of merges.txt
_SHIPPED = Path(__file__).parents[2] / "bundles" / "clip-vocabulary" / "merges.txt.gz"


def clip_vocabulary(cache: Path) -> Path:
    """A tokenizer folder in the cache with vocab.json and merges.txt, written where it is not whole.

    ModelError where this copy of the package is damaged, OutputError where the cache cannot be written.
    """
    folder = cache / "tokenizers" / MERGES[:16]
    try:
        text = gzip.decompress(_SHIPPED.read_bytes()).decode()
    except (OSError, EOFError, ValueError, zlib.error):
        text = ""
    if hashlib.sha256(text.encode()).hexdigest() != MERGES:
        raise ModelError(f"{_SHIPPED} is missing or damaged; install Mezzotint again")
    vocabulary = json.dumps({token: i for i, token in enumerate(_tokens(text))}, ensure_ascii=False)
    for name, content in (("vocab.json", vocabulary), ("merges.txt", text)):
        place, data = folder / name, content.encode()
        if not place.is_file() or place.read_bytes() != data:
            put(place, data, f"keep CLIP's vocabulary in {folder}")
    return folder


def _tokens(merges: str) -> list[str]:
    """All tokens in the order of their ids: bytes, bytes that end a word, merges, start, end."""
    from tokenizers.pre_tokenizers import ByteLevel

    alphabet = sorted(ByteLevel.alphabet())  # bytes that print stand for themselves, the others follow them
    joined = [line.replace(" ", "") for line in merges.splitlines()[1:]]
    ends = [letter + "</w>" for letter in alphabet]
    return [*alphabet, *ends, *joined, "<|startoftext|>", "<|endoftext|>"]
