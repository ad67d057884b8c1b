"""The terms of guidance: each is data, a frozen dataclass that writes itself as a short expression."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from itertools import pairwise
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mezzotint.checks import finite, literal, short, whole
from mezzotint.errors import RequestError, nearest

Through = Literal["x0", "unet"]
Update = Literal["x", "x0", "eps", "noise"]
Look = Literal["x0", "blend"]
Branch = Literal["guided", "text"]
Factor = Literal["1", "alpha", "sigma2"]
Crop = Literal["resized", "square", "whole"]
Of = Literal["pixels", "mean"]
Decoder = Literal["auto", "full", "small", "linear"]

_CHOICES = {
    "through": Through,
    "update": Update,
    "look": Look,
    "branch": Branch,
    "factor": Factor,
    "crop": Crop,
    "decoder": Decoder,
    "of": Of,
}

MAX_MIXES = 6  # with the prompt and the row without it they fill a call of 8 rows, which `exact` always takes


class Term:
    """What every term has: `a + b`, and `str(term)`, the expression that `parse` reads back."""

    def __add__(self, other: Term | Guidance) -> Guidance:
        return Guidance((self,)) + other

    def acts(self, steps: int) -> NDArray[np.bool_]:
        """(steps,) on which of the steps it acts."""
        return acting(self.start, self.stop, steps)  # type: ignore[attr-defined]  # every term has both

    def __str__(self) -> str:
        words = []
        for field in sorted(fields(self), key=lambda f: bool(f.kw_only)):  # type: ignore[arg-type]  # every term is a dataclass
            value = getattr(self, field.name)
            if field.default is MISSING:
                words.append(literal(value))
            elif value != field.default:
                words.append(f"{field.name}={literal(value)}")
        return f"{type(self).__name__.lower()}({', '.join(words)})"


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


@dataclass(frozen=True, kw_only=True)
class Steer(Term):
    """A loss L on the picture of each sample. With g = -grad L, a step moves (Bansal et al. 2023, 2302.07121):

    update "x": x += scale*factor*g, eps held, so x0 follows by 1/alpha; "x0": x0 alone += scale*factor*g (MPGD,
    2311.16424); "eps": eps -= scale*sigma*g (classifier guidance, 2105.05233); "noise": the sampler's fresh noise
    turns toward g by the rate `scale`, its length kept (DSG, 2402.03201).
    """

    start: float = 0.0  # it acts on the steps i of n with start <= i/n < stop
    stop: float = 1.0
    every: int = 1  # and on every so many of them
    through: Through = "x0"  # g with respect to x, eps held; "unet": exactly, through the network
    update: Update = "x"
    look: Look = "x0"  # the loss sees x0; "blend": sigma*x0 + (1-sigma)*x, as the community pipeline does
    branch: Branch = "guided"  # x0 after classifier-free guidance; "text": of the row with the prompt alone
    factor: Factor = "1"
    reference_batch: int = 1  # published recipes average over a batch, which divides the force by its size

    usual: ClassVar[float] = 0.05  # the effect where neither scale nor effect is given

    @property
    def strength(self) -> tuple[float | None, float | None]:
        """(scale, effect); one of them is None."""
        return self.scale, self.effect  # type: ignore[attr-defined]  # every term has both

    def check(self) -> None:
        """Check and normalize the settings that every such term has; a subclass calls it when it is made."""
        name = type(self).__name__.lower()
        span(self, name)
        for key, kind in _CHOICES.items():
            if hasattr(self, key):
                _choice(name, key, getattr(self, key), get_args(kind))
        for key, most in (("every", 2000), ("reference_batch", 1024)):
            self._set(key, whole(getattr(self, key), f"{name}: {key}", 1, most))
        scale, effect = self.strength
        if scale is None and effect is None:
            effect = self.usual if self.update != "noise" else None
            scale = 0.1 if self.update == "noise" else None
        if scale is not None and effect is not None:
            raise RequestError(f"{name}: give scale or effect, not both")
        if effect is not None and (effect := finite(effect, f"{name}: effect")) <= 0:
            raise RequestError(
                f"{name}: effect is how far x0 moves a step; it must be above 0, got {effect:g}"
            )
        if self.update == "noise" and (effect is not None or not 0 <= finite(scale, f"{name}: scale") <= 1):
            raise RequestError(f'{name}: with update="noise" the scale is a rate from 0 to 1')
        self._set("scale", None if scale is None else finite(scale, f"{name}: scale"))
        self._set("effect", effect)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def slip(self, name: str) -> bool:
        """Whether it makes this slip of the published recipe."""
        return name in getattr(self, "slips", "").split(",")

    def acts(self, steps: int) -> NDArray[np.bool_]:
        """(steps,) on which of the steps it acts."""
        acts = acting(self.start, self.stop, steps)
        first = int(np.argmax(acts)) if acts.any() else 0
        turn: NDArray[np.bool_] = (np.arange(steps) - first) % self.every == 0
        return acts & turn


@dataclass(frozen=True)
class Guidance:
    """Terms that act together. Several `cfg` may follow one another in time, never overlap."""

    terms: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        spans = sorted((term.start, term.stop) for term in self.terms if isinstance(term, Cfg))
        if any(stop > start for (_, stop), (start, _) in pairwise(spans)):
            raise RequestError(f"two cfg act at the same steps in {self}; keep one, or set start and stop")
        if len(self.mixes) > MAX_MIXES:
            raise RequestError(
                f"{len(self.mixes)} further prompts in one guidance; at most {MAX_MIXES} are mixed"
            )

    def __add__(self, other: Term | Guidance) -> Guidance:
        return Guidance(self.terms + (other.terms if isinstance(other, Guidance) else (other,)))

    def __str__(self) -> str:
        return " + ".join(map(str, self.terms)) or "none"

    @property
    def mixes(self) -> tuple[Mix, ...]:
        """The further prompts, in their order."""
        return tuple(term for term in self.terms if isinstance(term, Mix))

    @property
    def steers(self) -> tuple[Steer, ...]:
        """The gradient terms, in their order."""
        return tuple(term for term in self.terms if isinstance(term, Steer))

    def adaptive(self, steps: int) -> NDArray[np.float64]:
        """(steps,) the cosine above which classifier-free guidance ends for good; 0: never."""
        return self._of_cfg("adaptive", steps, 0.0)

    def scales(self, steps: int) -> NDArray[np.float64]:
        """(steps,) the classifier-free scale of each step; 1 where no `cfg` acts."""
        return self._of_cfg("scale", steps, 1.0)

    def _of_cfg(self, name: str, steps: int, rest: float) -> NDArray[np.float64]:
        values = np.full(steps, rest)
        for term in self.terms:
            if isinstance(term, Cfg):
                values[term.acts(steps)] = getattr(term, name)
        return values


def span(term: Term, name: str) -> None:
    """Check and normalize the start and stop of a term."""
    start, stop = (finite(getattr(term, key), f"{name}: {key}") for key in ("start", "stop"))
    if not 0 <= start < stop <= 1:
        got = f"start={literal(start)}, stop={literal(stop)}"
        raise RequestError(f"{name}: 0 <= start < stop <= 1, both fractions of the steps; got {got}")
    object.__setattr__(term, "start", start)
    object.__setattr__(term, "stop", stop)


def acting(start: float, stop: float, steps: int) -> NDArray[np.bool_]:
    """(steps,) whether start <= i/steps < stop."""
    i = np.arange(steps) + 1e-9 * steps  # so that step 3 of 30 is at 0.1
    return np.asarray((start * steps <= i) & (i < stop * steps))


def _choice(name: str, key: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise RequestError(
            f"{name}: {key} is {', '.join(known)}; got {short(value)}{nearest(str(value), known)}"
        )
