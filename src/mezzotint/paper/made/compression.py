"""Figures 11 and 12: a picture to latents, the factor worked out, and what keeps latents tame: KL or a codebook."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.inspection.codec import Codec, Pixels, open_codec
from mezzotint.inspection.latents import PictureLatents, decode, encode
from mezzotint.metrics import psnr
from mezzotint.models.autoencoder import Facts
from mezzotint.pages.figures import Figure, svg
from mezzotint.pages.layout import details, figure, wide
from mezzotint.paper.made.codebook import as_vectors, learn_codebook, quantize
from mezzotint.paper.made.drawing import Tile, band_series, tiles
from mezzotint.paper.made.drawn import pictures, resize_to, scenes
from mezzotint.paper.made.making import SectionParts
from mezzotint.paper.made.verdicts import above, equal, short
from mezzotint.paper.section import PaperSettings, open_cached
from mezzotint.request import Request
from mezzotint.study.finding import Finding

PUBLISHED = Facts("kl", 4, 8)  # Stable Diffusion's autoencoder: 512x512x3 to 64x64x4
FACTOR, GOOD = 48.0, 24.0  # dB
CODES = (4, 16, 64, 256)


@dataclass(frozen=True, eq=False)
class RoundTrips:
    """Pictures with what the autoencoder makes of them."""

    pixels: Sequence[Pixels]
    latents: Sequence[PictureLatents]
    back: Sequence[Pixels]

    @property
    def psnr(self) -> list[float]:
        """Of each picture there and back, dB."""
        return _psnr(self, self.back)


class Compression:
    """The section's function. `vq`: the folder of an autoencoder with a codebook, to compare with."""

    def __init__(self, vq: Path | None = None) -> None:
        self.vq = vq

    def __call__(self, setting: PaperSettings) -> SectionParts:
        """Draw pictures, send them through, and lay codebooks over their latents."""
        own, foreign = _pictures(setting, 24 if setting.quick else 128)
        codec = open_codec(setting.text_model)
        setting.say(f"{codec.name}: {len(own) + len(foreign)} pictures to latents and back")
        test = _round_trip(codec, foreign)
        train = _round_trip(codec, own)
        rounded = _by_codes(codec, train.latents, test)
        errors = {codes: _psnr(test, back) for codes, back in rounded.items()}
        vq = _vq_psnr(self.vq, foreign) if self.vq else None
        html = (
            _pictures_html(test, rounded)
            + _curve(test, errors)
            + details("Sizes and PSNR", _table(train, test))
        )
        findings = (
            *_sizes(test.latents[0]),
            _quality_finding(test),
            *_codebook_findings(test, errors, vq, self.vq),
        )
        return SectionParts(html, findings, _NOTES)


_NOTES = (
    "The pictures measured are samples of the pixel model, enlarged: no decoder drew them. Those of the text model, on which "
    "codebooks are learned, come from the very decoder that is asked, and so are kept better than others would be.",
    "The codebooks are k-means over the KL latents, laid on afterwards; in a VQ autoencoder encoder, decoder and codes learn "
    "together, so these curves bound from below what such a codebook would keep.",
)


def _pictures(setting: PaperSettings, count: int) -> tuple[list[Pixels], list[Pixels]]:
    """Of the text model, and of the pixel model at the same size."""
    text, pixel = (
        open_cached(setting.text_model, setting.precision),
        open_cached(setting.pixel_model, setting.precision),
    )
    drawn = pictures(setting, text, scenes(count))
    faces = [Request(seed=seed, steps=20, sampler="ddim", guidance="none") for seed in range(count // 2)]
    return [np.asarray(p.image) for p in drawn], [resize_to(p, text) for p in pictures(setting, pixel, faces)]


def _round_trip(codec: Codec, pixels: Sequence[Pixels]) -> RoundTrips:
    latents = [encode(codec, one) for one in pixels]
    return RoundTrips(pixels, latents, [decode(codec, z) for z in latents])


def _by_codes(codec: Codec, train: Sequence[PictureLatents], test: RoundTrips) -> dict[int, list[Pixels]]:
    """Each test picture with its latents rounded, by the size of the codebook."""
    vectors = np.concatenate([as_vectors(z.values) for z in train])
    found = {}
    for codes in CODES:
        centers = learn_codebook(vectors, codes)
        found[codes] = [codec.decode(quantize(z.values, centers)[None]) for z in test.latents]
    return found


def _psnr(test: RoundTrips, back: Sequence[Pixels]) -> list[float]:
    return [psnr(one, again) for one, again in zip(test.pixels, back, strict=True)]


def _sizes(z: PictureLatents) -> tuple[Finding, Finding]:
    c, h, w = z.values.shape
    few = PUBLISHED.compression
    return (
        equal(
            "512x512x3 become 64x64x4: a factor of 48",
            [few],
            [FACTOR],
            2,
            "3 * 8 * 8 / 4, by the architecture",
            "report",
        ),
        equal(
            f"{z.model} has the same factor",
            [z.factor],
            [FACTOR],
            2,
            f"{z.width}x{z.height}x3 become {w}x{h}x{c}",
            "report",
        ),
    )


def _quality_finding(test: RoundTrips) -> Finding:
    return above(
        "The autoencoder keeps the picture",
        test.psnr,
        GOOD,
        "PSNR there and back, dB",
        "enlarged samples",
        "report",
    )


def _codebook_findings(
    test: RoundTrips, errors: dict[int, list[float]], vq: list[float] | None, folder: Path | None
) -> tuple[Finding, Finding]:
    most = max(errors)
    costs = above(
        "A codebook costs quality: latents rounded to its entries keep less than the KL latents themselves",
        np.subtract(test.psnr, errors[most]),
        0,
        f"PSNR lost to a k-means codebook of {most} entries laid over the KL latents, dB",
        "enlarged samples",
    )
    claim = "A KL-regularized autoencoder keeps as much as a VQ-regularized one"
    if vq is None:
        why = (
            "no VQ autoencoder comes with the package, and training one takes hours: mezzotint train vae configs/vq.yaml; "
            "mezzotint.paper.made.compression.Compression(vq=FOLDER) then compares"
        )
        return costs, Finding(claim, "undecided", f"not measured: {why}", "report")
    name = folder.name if folder else ""
    return costs, above(
        claim,
        np.subtract(test.psnr, vq),
        0,
        f"PSNR of KL less that of VQ ({name}), dB",
        "enlarged samples",
        "report",
    )


def _vq_psnr(folder: Path, pixels: Sequence[Pixels]) -> list[float]:
    from mezzotint.inspection.comparison import measure_reconstruction
    from mezzotint.models.autoencoder import Autoencoder

    return list(
        measure_reconstruction(Autoencoder.open(folder), [Image.fromarray(one) for one in pixels]).psnr
    )


def _table(train: RoundTrips, test: RoundTrips) -> str:
    z = test.latents[0]
    c, h, w = z.values.shape
    rows = [
        _row("Stable Diffusion v1", (512, 512), (64, 64, 4), PUBLISHED.compression, "", ""),
        _row(
            z.model,
            (z.width, z.height),
            (w, h, c),
            z.factor,
            short(train.psnr),
            short(test.psnr),
        ),
    ]
    return wide(
        (
            "autoencoder",
            "picture",
            "latents",
            "numbers",
            "factor",
            "dB, own pictures",
            "dB, enlarged samples",
        ),
        rows,
    )


def _row(
    name: str, size: tuple[int, int], latents: tuple[int, int, int], factor: float, own: str, other: str
) -> list[str]:
    many, few = math.prod(size) * 3, math.prod(latents)
    return [
        name,
        "x".join(map(str, (*size, 3))),
        "x".join(map(str, latents)),
        f"{many:,} to {few:,}",
        f"{factor:g}",
        own,
        other,
    ]


def _pictures_html(test: RoundTrips, rounded: dict[int, list[Pixels]]) -> str:
    """Some pictures, there and back, and through a small codebook and the largest."""
    rows = [tiles([Tile(p) for p in test.pixels[:8]], "Pictures: samples of the pixel model, enlarged")]
    rows.append(
        tiles(
            [Tile(p, f"{e:.1f} dB") for p, e in zip(test.back[:8], test.psnr, strict=False)],
            "There and back (KL)",
        )
    )
    for codes in (CODES[1], CODES[-1]):
        back = rounded[codes][:8]
        made = [Tile(b, f"{psnr(p, b):.1f} dB") for p, b in zip(test.pixels, back, strict=False)]
        rows.append(
            tiles(
                made,
                f"The same latents rounded to {codes} codes: {_bits(codes, test.latents[0]) / 8:g} bytes a picture",
            )
        )
    return "".join(rows)


def _bits(codes: int, z: PictureLatents) -> float:
    return float(z.values[0].size * math.log2(codes))


def _curve(test: RoundTrips, errors: dict[int, list[float]]) -> str:
    x = [_bits(codes, test.latents[0]) / 8 for codes in errors]
    values = np.array(list(errors.values())).T
    kl: NDArray[np.float64] = np.array([test.psnr] * len(x)).T
    series = [
        band_series("k-means codebook over the KL latents", x, values),
        band_series("KL latents as they are, float32", x, kl),
    ]
    note = (
        f"PSNR, dB, by bytes a picture ({', '.join(map(str, errors))} codes); bands are 95 % intervals of the mean over "
        f"{len(test.pixels)} pictures. As float32 the latents take {4 * test.latents[0].values.size:,} bytes."
    )
    return figure(
        "What a codebook keeps", svg(Figure(series, "bytes a picture, as indices of the codebook")), note
    )
