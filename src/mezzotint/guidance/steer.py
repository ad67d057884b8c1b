"""Terms that steer by the gradient of a loss on the picture: their settings, as data; `models.steering` computes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import RequestError, nearest
from mezzotint.guidance.terms import Term, acting, finite, short, span, whole

Through = Literal["x0", "unet"]
Update = Literal["x", "x0", "eps", "noise"]
Look = Literal["x0", "blend"]
Branch = Literal["guided", "text"]
Factor = Literal["1", "alpha", "sigma2"]
Crop = Literal["resized", "square", "whole"]
Of = Literal["pixels", "mean"]
Decoder = Literal["auto", "full", "small", "linear"]
SLIPS = ("counter", "range", "crop")  # of the published CLIP recipe; off unless named
MAX_CUTOUTS = 64


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

    def _check(self) -> None:
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
class Color(Steer):
    """Toward a color, in -1..1. of "pixels": L = mean |x0 - color| over the picture (the course's second unit), which
    washes every pixel alike; `scale` 40 is the published force a pixel, whatever the size. "mean": L = |mean of x0 -
    color|^2 / 2, which leaves shapes and contrasts, and is done where it has arrived; the force of `scale` 1 is the way
    that is left. `effect`: how far a step moves x0, root mean square.
    """

    color: str  # "#19e680" or a CSS name; kept as #rrggbb
    scale: float | None = None
    effect: float | None = None
    of: Of = field(default="pixels", kw_only=True)
    decoder: Decoder = field(default="auto", kw_only=True)  # of latents, for the loss alone

    def __post_init__(self) -> None:
        self._set("color", _hex(self.color))
        self._check()

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0..255."""
        red, green, blue = (int(self.color[i : i + 2], 16) for i in (1, 3, 5))
        return red, green, blue


@dataclass(frozen=True)
class Clip(Steer):
    """Toward a text: L = 2*arcsin(|u-v|/2)^2 between unit vectors of picture and text, a mean over random cutouts.

    `effect`: how far a step moves x0, root mean square. Cutouts are drawn from the request's own randomness.
    """

    text: str
    scale: float | None = None
    effect: float | None = None
    cutouts: int = 4
    model: str = field(default="clip", kw_only=True)  # a bundled name, a folder, a hub id
    crop: Crop = field(
        default="resized", kw_only=True
    )  # as torchvision's RandomResizedCrop; "square": MakeCutouts
    degrees: float = field(default=0.0, kw_only=True)  # random rotation, either way
    decoder: Decoder = field(default="auto", kw_only=True)
    slips: str = field(default="", kw_only=True)  # of the published recipe, such as "counter,range"

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise RequestError(f'clip needs a text, such as clip("a red rose"); got {short(self.text)}')
        self._set("cutouts", whole(self.cutouts, "clip: cutouts", 1, MAX_CUTOUTS))
        self._set("degrees", finite(self.degrees, "clip: degrees"))
        if not 0 <= self.degrees <= 180:
            raise RequestError(f"clip: degrees must be from 0 to 180, got {self.degrees:g}")
        if not isinstance(self.model, str) or not self.model:
            raise RequestError("clip: model is a bundled name, a folder or a hub id")
        known = [s for s in SLIPS if s in str(self.slips).split(",")]
        if set(str(self.slips).split(",")) - {*known, ""}:
            raise RequestError(
                f"clip: slips are {', '.join(SLIPS)}, joined by commas; got {short(self.slips)}"
            )
        self._set("slips", ",".join(known))
        self._check()


class LossQuery(NamedTuple):
    """One term of one picture at one step, for whoever computes its gradient."""

    term: Steer
    latents: NDArray[np.float32]  # (C, h, w) latents, or pixels in -1..1, that the loss looks at
    rng: np.random.Generator  # for its cutouts


class LossGradient(NamedTuple):
    """What came of it."""

    loss: float
    gradient: NDArray[np.float32]  # (C, h, w) of -loss, with respect to what was seen


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


def _choice(name: str, key: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise RequestError(
            f"{name}: {key} is {', '.join(known)}; got {short(value)}{nearest(str(value), known)}"
        )


def _hex(color: object) -> str:
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(str(color))[:3]
    except ValueError:
        advice = 'write it as "#19e680", "rgb(25, 230, 128)" or a CSS name'
        raise RequestError(f"color {short(color)} cannot be read; {advice}") from None
    return f"#{red:02x}{green:02x}{blue:02x}"
