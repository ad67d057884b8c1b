r"""Weights in a prompt, in the syntax of A1111's web UI: `(words:1.2)`, nested; `\(` and `\)` are plain.

Only the form with a number is read as a weight, by that tool's own rule: the last colon before the closing
parenthesis, then a number. So "a clock (showing 10:10)" weighs "showing 10" by 10, there as here, and `remarks`
says so. Parentheses without a number, as in "Red Rose (still life)", and brackets are text, as they are for a
stock pipeline.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mezzotint.errors import RequestError

MAX_WEIGHT = 10.0  # of a piece, all weights around it multiplied
USUAL_WEIGHTS = (0.0, 2.0)  # what lies outside is more often a slip than a wish

_TOKEN = re.compile(r"\\[()]|\(|\)|:\s*(?P<weight>[-+]?[.\d]+)\s*\)|[^\\():]+|.", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Piece:
    """A part of a prompt whose tokens weigh alike."""

    text: str
    weight: float = 1.0


@lru_cache(maxsize=256)
def parse(prompt: str) -> tuple[Piece, ...]:
    """The pieces of a prompt, one at least. RequestError where a weight is beyond 10 either way."""
    pieces: list[tuple[str, float]] = [("", 1.0)]
    opened: list[int] = []  # pieces that an unclosed parenthesis begins, the innermost last
    for token in _TOKEN.finditer(prompt):
        said, weight = token[0], _number(token["weight"])
        if said == "(":
            opened.append(len(pieces))
            pieces.append((said, 1.0))
        elif opened and weight is not None:
            start = opened.pop()
            pieces[start] = (pieces[start][0][1:], pieces[start][1])
            pieces[start:] = [(text, w * weight) for text, w in pieces[start:]]
            pieces.append(("", 1.0))
        else:
            if opened and said.endswith(")") and said[0] != "\\":
                opened.pop()
            pieces[-1] = (pieces[-1][0] + (said[1:] if said in (r"\(", r"\)") else said), pieces[-1][1])
    return _merge_pieces(pieces)


def plain(prompt: str) -> str:
    """The prompt without its markup."""
    return "".join(piece.text for piece in parse(prompt))


# Markup of other tools, which is text here, and what does the same.
_FOREIGN = (
    (r"<lora:[^<>]+>", "give the file with --lora FILE:WEIGHT"),
    (r"<(?:lyco|hypernet):[^<>]+>", "only LoRA files are read: --lora FILE:WEIGHT"),
    (r"\bembedding:[\w.-]+", "give the file of the word with --word NAME=FILE"),
    (r"\bBREAK\b", "a prompt is read in one piece"),
    (r"\bAND\b", "mix prompts with --guidance 'cfg(5) + mix(\"a dog\", 3)'"),
    (r"\[[^\[\]]*:[^\[\]]*:\s*[.\d]+\s*\]", "a prompt stays the same at every step"),
    (r"\[[^\[\]|]*\|[^\[\]]*\]", "a prompt stays the same at every step"),
    (r"\(\([^():]*\)\)", "write (words:1.2)"),
    (r"\{\{?[^{}]*\}?\}", "write (words:1.1)"),
    (r"__[\w/-]+__", "give the prompts a line each in --prompts-file FILE"),
)


def remarks(prompt: str) -> list[str]:
    """What a reader of the prompt may not expect, a line each: unusual weights, and markup of other tools."""
    low, high = USUAL_WEIGHTS
    lines = [
        f"{_quote(piece.text)} weighs {piece.weight:g}; where the parentheses are text, write \\( and \\)"
        for piece in parse(prompt)
        if piece.text and not low <= piece.weight <= high
    ]
    for pattern, advice in _FOREIGN:
        if found := re.search(pattern, prompt):
            lines.append(f"{_quote(found.group())} is read as text; {advice}")
    return lines


def _quote(text: str) -> str:
    text = " ".join(text.split())
    return f'"{text}"' if len(text) <= 40 else f'"{text[:37]}..."'


def _merge_pieces(pieces: list[tuple[str, float]]) -> tuple[Piece, ...]:
    """Neighbors of one weight as one piece, none empty but where there is nothing else."""
    joined: list[Piece] = []
    for text, weight in pieces:
        if not abs(weight) <= MAX_WEIGHT:
            advice = r"or write \( and \) where the parentheses are text"
            raise RequestError(f"a weight in a prompt is at most {MAX_WEIGHT:g}, got {weight:g}; {advice}")
        if text and joined and joined[-1].weight == weight:
            joined[-1] = Piece(joined[-1].text + text, weight)
        elif text:
            joined.append(Piece(text, weight))
    return tuple(joined) or (Piece(""),)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:  # such as 1.2.3
        return None
