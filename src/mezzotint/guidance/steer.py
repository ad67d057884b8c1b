"""Terms that steer by the gradient of a loss on the picture: their settings, as data; `models.steering` computes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mezzotint.checks import finite, short, whole
from mezzotint.errors import RequestError
from mezzotint.guidance.terms import Crop, Decoder, Of, Steer

SLIPS = ("counter", "range", "crop")  # of the published CLIP recipe; off unless named
MAX_CUTOUTS = 64


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
        self.check()

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
        self.check()


class LossQuery(NamedTuple):
    """One term of one picture at one step, for whoever computes its gradient."""

    term: Steer
    latents: NDArray[np.float32]  # (C, h, w) latents, or pixels in -1..1, that the loss looks at
    rng: np.random.Generator  # for its cutouts


class LossGradient(NamedTuple):
    """What came of it."""

    loss: float
    gradient: NDArray[np.float32]  # (C, h, w) of -loss, with respect to what was seen


def _hex(color: object) -> str:
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(str(color))[:3]
    except ValueError:
        advice = 'write it as "#19e680", "rgb(25, 230, 128)" or a CSS name'
        raise RequestError(f"color {short(color)} cannot be read; {advice}") from None
    return f"#{red:02x}{green:02x}{blue:02x}"


def course_color(color: str = "#1ae680", scale: float = 40.0, start: float = 0.0, stop: float = 1.0) -> Color:
    """The course's color loss: x - grad(40*L), eps held; the mean runs over its batch of 8."""
    return Color(color, scale, start=start, stop=stop, reference_batch=8)


def course_clip(text: str, scale: float = 8.0, cutouts: int = 4) -> Clip:
    """The course's CLIP guidance as it is published, slips included; its batch is 4."""
    return Clip(
        text, scale, cutouts=cutouts, factor="alpha", degrees=5, slips="counter,range,crop", reference_batch=4
    )


def course_clip_corrected(text: str, scale: float = 8.0, cutouts: int = 4) -> Clip:
    """The same as its formula says: x + scale*g*sqrt(alphas_cumprod), each picture for itself."""
    return Clip(text, scale, cutouts=cutouts, factor="alpha", degrees=5)


def clip_sd(text: str, scale: float = 100.0, cutouts: int = 4) -> Clip:
    """The community pipeline of diffusers with a DDIM or PNDM scheduler: eps - sigma*grad, through the text branch."""
    return Clip(
        text, scale, cutouts=cutouts, crop="square", through="unet", branch="text", look="blend", update="eps"
    )


def clip_sd_lms(text: str, scale: float = 100.0, cutouts: int = 4) -> Clip:
    """The community pipeline with the LMS scheduler: x + grad*sigma^2, eps held."""
    return Clip(
        text,
        scale,
        cutouts=cutouts,
        crop="square",
        through="unet",
        branch="text",
        update="x",
        factor="sigma2",
    )


def gyre(text: str, strength: float = 0.8, cutouts: int = 4) -> Clip:
    """gyre's unit, in which 0.2 to 1 are sensible: scale = 500*strength; denoised + grad*sigma^2."""
    return Clip(text, 500 * strength, cutouts=cutouts, crop="square", through="unet", update="eps")


def mpgd(text: str, scale: float = 100.0, cutouts: int = 4) -> Clip:
    """Manifold preserving guidance: the gradient with respect to x0, and x0 alone moves (2311.16424)."""
    return Clip(text, scale, cutouts=cutouts, update="x0")


def dsg(text: str, rate: float = 0.1, cutouts: int = 4) -> Clip:
    """Guidance on the sphere of the sampler's own noise (2402.03201); for samplers that add noise."""
    return Clip(text, rate, cutouts=cutouts, update="noise")


PRESETS: dict[str, Callable[..., Steer]] = {
    "course-color": course_color,
    "course-clip": course_clip,
    "course-clip-corrected": course_clip_corrected,
    "clip-sd": clip_sd,
    "clip-sd-lms": clip_sd_lms,
    "gyre": gyre,
    "mpgd": mpgd,
    "dsg": dsg,
}
