"""What a run says before it begins, where a request may not mean what it seems to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mezzotint.prompt import remarks as remarks_on_prompt

if TYPE_CHECKING:
    from mezzotint.models.known_words import KnownWords
    from mezzotint.request import Request

MOST = 5  # lines


def remarks(requests: Sequence[Request], folder: Path | None, model: str) -> list[str]:
    """One line a subject, none twice, at most `MOST`. `folder`: of the model, None where it has none."""
    from mezzotint.models.known_words import KnownWords

    known = KnownWords.read(folder) if folder else None
    lines = list(
        dict.fromkeys(line for request in _unlike(requests) for line in _lines(request, known, model))
    )
    lines += _unsaid_words(requests)
    more = len(lines) - MOST
    return lines if more <= 0 else [*lines[:MOST], f"and {more} more on other prompts"]


def _unsaid_words(requests: Sequence[Request]) -> list[str]:
    """A line on new words that no prompt of the run says, where there are any."""
    from mezzotint.expressions import parse_words

    texts = "\n".join(
        f"{r.prompt}\n{r.negative_prompt}\n{r.guidance}" for r in _unlike(requests) if r.words
    ).lower()
    expressions = dict.fromkeys(request.words for request in requests if request.words)
    names = dict.fromkeys(word.name for text in expressions for word in parse_words(text))
    unsaid = [name for name in names if name.lower() not in texts]
    if not unsaid:
        return []
    listed = ", ".join(unsaid[:3]) + (f" and {len(unsaid) - 3} more" if len(unsaid) > 3 else "")
    return [f"no prompt says {listed}; a new word is drawn where a prompt has it"]


def _unlike(requests: Sequence[Request]) -> Iterator[Request]:
    """Without those that differ in their seed alone."""
    seen = set()
    for request in requests:
        key = (request.prompt, request.negative_prompt, request.guidance, request.lora, request.words)
        if key not in seen:
            seen.add(key)
            yield request


def _lines(request: Request, known: KnownWords | None, model: str) -> Iterator[str]:
    for text in (request.prompt, request.negative_prompt):
        yield from remarks_on_prompt(text)
    if request.prompt and _skips_prompt(request):
        yield f"{request.guidance} leaves the prompt unread, as its formula says; --cfg 0 is guidance off"
    brings_words = request.lora or request.words or request.encoder
    if known and request.prompt.strip() and not brings_words and not known.knows(request.prompt):
        advice = f"mezzotint models {model} --words"
        yield f"{model} knows no word of {request.prompt[:60]!r}; what it knows: {advice}"


def _skips_prompt(request: Request) -> bool:
    """Whether every step is drawn at scale 0; stock pipelines switch guidance off there."""
    scales = request.terms.scales(request.steps)[request.begin :]
    return request.compat != "diffusers" and not scales.any()
