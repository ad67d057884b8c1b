"""Prompts between the syntaxes of tools: weights are translated, what we do not read is taken out and said.

Rules of A1111: `modules/prompt_parser.py`, `parse_prompt_attention`. ComfyUI's are the same without brackets;
NovelAI's braces weigh 1.05.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from mezzotint.prompt import MAX_WEIGHT
from mezzotint.request import MAX_PROMPT

Marks = dict[str, tuple[str, float]]  # an opening bracket, its closing one, the weight without a number
A1111: Marks = {"(": (")", 1.1), "[": ("]", 1 / 1.1)}
COMFYUI: Marks = {"(": (")", 1.1)}
NOVELAI: Marks = {"{": ("}", 1.05), "[": ("]", 1 / 1.05)}
PLAIN: Marks = {}
DEEPEST = 20  # brackets in brackets; those deeper are text

_TOKEN = re.compile(
    r"\\[\\()\[\]{}]|[()\[\]{}]|:\s*(?P<weight>[-+]?[.\d]{1,20})\s*\)|[^\\()\[\]{}:]+|.",
    re.ASCII | re.DOTALL,
)
_NETWORK = re.compile(r"<(lora|lyco|hypernet):([^<>:]{1,200})((?::[^<>:]{0,40})*)>")
_EDIT = re.compile(r"\[([^\[\]:|]{0,500}):(?:([^\[\]:|]{0,500}):)?\s*[.\d]+\s*\]")
_SWITCH = re.compile(r"\[([^\[\]|]{1,500})\|[^\[\]]{0,500}\]")


@dataclass(frozen=True)
class Translation:
    """A prompt in our syntax, the LoRA that it named with their weights, and what was left out."""

    text: str
    loras: tuple[tuple[str, float], ...] = ()
    remarks: tuple[str, ...] = ()


def translate(prompt: str, marks: Marks) -> Translation:
    """A prompt of another tool in our syntax."""
    text, loras, remarks = prompt[:MAX_PROMPT], [], []

    def network(found: re.Match[str]) -> str:
        kind, name, rest = found.groups()
        weight = _number(rest[1:].split(":")[0]) if rest else 1.0
        if kind == "hypernet" or weight is None:
            remarks.append(f"{found[0][:60]} is left out")
        else:
            loras.append((name, weight))
        return ""

    if marks is A1111:
        text = _NETWORK.sub(network, text)
        text = _substitute(
            text, r"\s*\bBREAK\b\s*", " ", "BREAK is left out: a prompt is read in one piece", remarks
        )
        text = _substitute(text, r"\s*\bAND\b\s*", ", ", "AND is left out: the prompts are joined", remarks)
        edit = "a prompt that changes between steps keeps its first words"
        text = _substitute(text, _EDIT, lambda found: found[1] or found[2] or "", edit, remarks)
        text = _substitute(text, _SWITCH, lambda found: found[1], edit, remarks)
    if marks is NOVELAI:
        many = "weights such as 1.2::words:: are left out"
        text = _substitute(text, r"-?\d*\.?\d+::([^:]{0,500})::", lambda found: found[1], many, remarks)
    if marks is PLAIN and re.search(r"\)[-+\d]|\w\+{1,9}(?:\W|$)|\)\.(?:and|blend|swap)\(", text):
        remarks.append("weights such as word++ and (words)1.2 are read as text")
    if re.search(r"\bembedding:[\w.-]", text):
        remarks.append("embedding:NAME is a learned word: give its file with --word NAME=FILE")
    return Translation(_render(text.strip(), marks, remarks), tuple(loras), tuple(dict.fromkeys(remarks)))


def _render(text: str, marks: Marks, remarks: list[str]) -> str:
    pieces = _pieces(text, marks)
    if any(abs(weight) > MAX_WEIGHT for _, weight in pieces):
        remarks.append(f"weights over {MAX_WEIGHT:g} are {MAX_WEIGHT:g}")
        pieces = [(said, max(-MAX_WEIGHT, min(MAX_WEIGHT, weight))) for said, weight in pieces]
    return "".join(
        _escape(said) if weight == 1 else f"({_escape(said)}:{round(weight, 4):g})"
        for said, weight in pieces
        if said
    )


def _escape(text: str) -> str:
    """For our parser a parenthesis is text unless a number and `)` follow; one with a backslash always is."""
    return re.sub(r"([()])", r"\\\1", text)


def _pieces(text: str, marks: Marks) -> list[tuple[str, float]]:
    """Pieces of one weight. A bracket that is never closed weighs to the end, as there."""
    pieces: list[tuple[str, float]] = [("", 1.0)]
    opened: dict[str, list[int]] = {mark: [] for mark in marks}
    closing = {end: (mark, weight) for mark, (end, weight) in marks.items()}

    def weigh(start: int, by: float) -> None:
        pieces[start:] = [(said, weight * by) for said, weight in pieces[start:]]
        pieces.append(("", 1.0))

    for token in _TOKEN.finditer(text):
        said, weight = token[0], _number(token["weight"] or "")
        if said in opened and len(opened[said]) < DEEPEST:
            opened[said].append(len(pieces))
            pieces.append(("", 1.0))
        elif weight is not None and opened.get("("):
            weigh(opened["("].pop(), weight)
        elif said in closing and opened[closing[said][0]]:
            weigh(opened[closing[said][0]].pop(), closing[said][1])
        else:
            plain = said[1:] if len(said) == 2 and said[0] == "\\" else said
            pieces[-1] = (pieces[-1][0] + plain, pieces[-1][1])
    for mark, starts in opened.items():
        for start in starts:
            weigh(start, marks[mark][1])
    return pieces


def _substitute(
    text: str,
    pattern: str | re.Pattern[str],
    by: str | Callable[[re.Match[str]], str],
    remark: str,
    remarks: list[str],
) -> str:
    new, count = re.subn(pattern, by, text)
    remarks += [remark] if count else []
    return new


def _number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e6 else None
