"""Published recipes by name, with their published numbers. A preset writes itself out as the term that it stands for."""

from __future__ import annotations

from collections.abc import Callable

from mezzotint.guidance.steer import Clip, Color, Steer


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
