"""Terms that combine the predictions of several rows: classifier-free guidance, and further prompts."""

from __future__ import annotations

from dataclasses import dataclass

from mezzotint.errors import RequestError
from mezzotint.guidance.terms import Term, finite, literal, short, span


@dataclass(frozen=True)
class Cfg(Term):
    """Classifier-free guidance: uncond + scale*(cond - uncond), any real scale (Ho & Salimans, 2207.12598).

    Scale 1 costs half: the row without the prompt is not computed. It acts on the steps i of n with
    start <= i/n < stop (2404.07724); the others run at scale 1. With `adaptive` above 0 it ends for good once the
    two predictions of eps have a cosine above it (2312.12487, who take 0.991).
    """

    scale: float
    start: float = 0.0
    stop: float = 1.0
    adaptive: float = 0.0

    def __post_init__(self) -> None:
        for name in ("scale", "adaptive"):
            object.__setattr__(self, name, finite(getattr(self, name), f"cfg: {name}"))
        if not 0 <= self.adaptive <= 1:
            raise RequestError(f"cfg: adaptive is a cosine from 0 to 1, got {literal(self.adaptive)}")
        span(self, "cfg")


@dataclass(frozen=True)
class Mix(Term):
    """A further prompt: adds weight*(its prediction - uncond), so a negative weight moves away (2206.01714)."""

    prompt: str
    weight: float
    start: float = 0.0
    stop: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.prompt, str):
            raise RequestError(
                f'mix needs a prompt and a weight, such as mix("a cat", 3); got {short(self.prompt)}'
            )
        object.__setattr__(self, "weight", finite(self.weight, "mix: weight"))
        span(self, "mix")
