"""Figures 16 to 20: a picture encoded, its four channels, decoded, and noise added at a step and decoded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mezzotint.engine import Network
from mezzotint.inspection.codec import Pixels
from mezzotint.inspection.figure import LatentsFigure, draw
from mezzotint.inspection.latents import PictureLatents, decode, encode
from mezzotint.inspection.noise import NoiseLevel, add_noise, even_choice, level_at, levels
from mezzotint.library import fit_to_size
from mezzotint.metrics import psnr
from mezzotint.paper.made.drawing import Tile, png_figure, tiles
from mezzotint.paper.made.drawn import CAR, pictures, scenes
from mezzotint.paper.made.making import SectionParts
from mezzotint.paper.made.verdicts import above, below, equal
from mezzotint.paper.section import PaperSettings, open_cached
from mezzotint.request import Request
from mezzotint.schedule import Schedule
from mezzotint.study.finding import Finding

SAMPLER, OF, STEP = "lms", 15, 10
STABLE = Schedule.from_config(
    {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False}
)
"""What Stable Diffusion v1-4 was trained with."""


def channels(setting: PaperSettings) -> SectionParts:
    """The picture of the report's prompt, and statistics over many others."""
    network = open_cached(setting.text_model, setting.precision)
    setting.say(f"{network.name}: latents, their channels, and noise")
    asked = [Request(prompt=CAR, seed=0, steps=25), *scenes(24 if setting.quick else 128)]
    shown, *others = [np.asarray(p.image) for p in pictures(setting, network, asked)]
    z = encode(network, shown)
    run = levels(network.schedule, SAMPLER, OF)
    html = _figure(network, shown, z, run) + _strip(network, shown, z, run)
    several = [encode(network, one) for one in others]
    findings = (
        *_schedule(),
        *_looks(others, several),
        _noise_finding(network, shown, z, run),
    )
    return SectionParts(html, findings, _NOTES)


_NOTES = (
    "A step is named with its run and its sigma: step 10 alone says nothing. Sigmas compared with published ones are those of "
    "Stable Diffusion v1-4's schedule; in the figures, those of the model that drew the picture.",
    "The picture comes from the very decoder that is asked here, so its PSNR is an upper bound; the section on latent diffusion "
    "has one that is not.",
)


def _schedule() -> tuple[Finding, Finding, Finding]:
    """Numbers without chance, of LMS on the published model's schedule."""
    run = levels(STABLE, SAMPLER, OF)
    one, other = level_at(STABLE, SAMPLER, STEP, OF), level_at(STABLE, SAMPLER, STEP, 50)
    return (
        equal(
            f"The sigma schedule of LMS, {OF} steps",
            [run[0].sigma, run[1].sigma, run[-1].sigma],
            [14.6146, 9.6826, 0.0292],
            4,
            "first, second and last sigma",
            "report",
        ),
        equal(
            "Its timesteps are not whole numbers",
            [run[0].timestep, run[1].timestep],
            [999, 927.64],
            2,
            "the first two",
        ),
        equal(
            "Step 10 is another noise in another run",
            [one.sigma, other.sigma],
            [0.791, 4.999],
            3,
            f"sigma at step {STEP} of {OF} and of 50",
        ),
    )


def _looks(pixels: Sequence[Pixels], latents: Sequence[PictureLatents]) -> tuple[Finding, Finding]:
    """What the channels are like."""
    told = [explained_variance(one, z) for one, z in zip(pixels, latents, strict=True)]
    spread = [float(np.std(z.values)) for z in latents]
    return (
        above(
            "The four channels still show the picture, small",
            told,
            0.5,
            "share of the variance of the small picture's colors that a linear map of the channels explains",
            "pictures",
            "report",
        ),
        _unit_variance("Scaled latents have about unit variance", spread),
    )


def _unit_variance(claim: str, spread: Sequence[float]) -> Finding:
    """Within a fifth of 1, by the interval of the mean distance from it."""
    return below(
        claim,
        np.abs(np.subtract(spread, 1)),
        0.2,
        f"distance of a picture's standard deviation from 1 (mean {np.mean(spread):.3f})",
        "pictures",
        "report",
    )


def explained_variance(pixels: Pixels, z: PictureLatents) -> float:
    """R² of the picture at the latents' size, fitted from the channels and a constant."""
    c, h, w = z.values.shape
    small = fit_to_size(pixels, w, h).reshape(-1, 3).astype(np.float64)
    given = np.concatenate([z.values.reshape(c, -1).T, np.ones((h * w, 1))], 1)
    left = small - given @ np.linalg.lstsq(given, small, rcond=None)[0]
    return float(1 - np.square(left).sum() / max(np.square(small - small.mean(0)).sum(), 1e-9))


def _noise_finding(network: Network, pixels: Pixels, z: PictureLatents, run: Sequence[NoiseLevel]) -> Finding:
    """Eight noises at the first and at the marked step."""
    early, late = (
        [psnr(pixels, _decode_noisy(network, z, run[step], seed)) for seed in range(8)]
        for step in (STEP - 4, STEP)
    )
    claim = "The more noise is added, the less of the picture is decoded"
    said = f"PSNR at {_at(run[STEP])} less that at {_at(run[STEP - 4])}, dB"
    return above(claim, np.subtract(late, early), 0, said, "noises", "report")


def _figure(network: Network, pixels: Pixels, z: PictureLatents, run: list[NoiseLevel]) -> str:
    noisy = _decode_noisy(network, z, run[STEP], 0)
    c, h, w = z.values.shape
    about = f"{z.model}: {z.width}x{z.height}x3 to {w}x{h}x{c}, a factor of {z.factor:g}"
    look = LatentsFigure(CAR, about, pixels, z, decode(network, z), SAMPLER, run, STEP, noisy)  # type: ignore[arg-type]
    return png_figure(draw(look), f"latents of {CAR}")


def _strip(network: Network, pixels: Pixels, z: PictureLatents, run: list[NoiseLevel]) -> str:
    shown = [
        Tile(
            _decode_noisy(network, z, level, 0),
            f"step {level.step} of {level.of}",
            f"sigma {level.sigma:.3g}",
        )
        for level in even_choice(run, 9)
    ]
    return tiles([*shown, Tile(pixels, "picture", "no noise")], "Noise added to the latents, and decoded")


def _decode_noisy(network: Network, z: PictureLatents, level: NoiseLevel, seed: int) -> Pixels:
    return network.decode(add_noise(z.values, level, seed)[None])


def _at(level: NoiseLevel) -> str:
    return f"(step {level.step} of {level.of}, sigma {level.sigma:.3g})"
