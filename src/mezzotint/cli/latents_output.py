"""What `mezzotint latents` prints and draws."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mezzotint.inspection.codec import Pixels
    from mezzotint.inspection.comparison import Reconstruction
    from mezzotint.inspection.latents import PictureLatents
    from mezzotint.inspection.noise import NoiseLevel


def write_strip(
    path: Path, pixels: Pixels, shown: list[NoiseLevel], noisy: list[Pixels], title: str, run: str
) -> None:
    """What was decoded at each level, and the picture, side by side."""
    from mezzotint.cli.output import write_png
    from mezzotint.cli.strip import StripTile, draw

    tiles = [
        StripTile(p, f"step {level.step}", _noise_of(level)) for level, p in zip(shown, noisy, strict=True)
    ]
    write_png(path, draw([*tiles, StripTile(pixels, "picture", "no noise")], title, run))


def write_sheet(path: Path, images: list[Any], kept: list[Reconstruction]) -> None:
    """A row of pictures, and one of what each autoencoder makes of them."""
    import numpy as np
    from PIL import Image

    from mezzotint.cli.output import write_png
    from mezzotint.cli.strip import StripTile, draw

    across = len(kept[0].shown)
    rows = [draw([StripTile(np.asarray(i), "", "") for i in images[:across]], "pictures", "")]
    for told in kept:
        tiles = [StripTile(p, f"{e:.1f} dB", "") for p, e in zip(told.shown, told.psnr, strict=False)]
        rows.append(draw(tiles, told.name, describe_reconstruction(told)[0].removeprefix(f"{told.name}: ")))
    width = max(row.width for row in rows)
    write_png(path, Image.fromarray(np.concatenate([_wide(np.asarray(row), width) for row in rows])))


def _wide(row: Pixels, width: int) -> Pixels:
    import numpy as np

    return np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), mode="edge")


def latents_facts(z: PictureLatents) -> dict[str, Any]:
    """The same as `describe_latents`, for programs."""
    told = {"model": z.model, "width": z.width, "height": z.height, "shape": list(z.values.shape)}
    return {**told, "factor": z.factor, "channels": [channel._asdict() for channel in z.statistics]}


def describe_latents(z: PictureLatents) -> list[str]:
    """The compression worked out, and a line a channel."""
    c, h, w = z.values.shape
    many, few = z.width * z.height * 3, z.values.size
    rows = [
        f"{z.model}: {z.width}x{z.height}x3 to {w}x{h}x{c}, {many} numbers to {few}: a factor of {z.factor:g}"
    ]
    rows.append("channel    mean     std     min     max")
    rows += [f"{i:<7}" + "".join(f"{number:8.3f}" for number in told) for i, told in enumerate(z.statistics)]
    return rows


def _noise_of(level: NoiseLevel) -> str:
    return "no signal" if math.isinf(level.ratio) else f"sigma {level.ratio:.3g}"


def print_levels(
    as_json: bool, shown: list[NoiseLevel], pixels: Pixels, noisy: list[Pixels], out: Path
) -> None:
    from mezzotint.metrics import psnr

    if not as_json:
        print("decoded: alpha*z + sigma*noise, as it stands")
    for level, made in zip(shown, noisy, strict=True):
        near = psnr(pixels, made)
        where = "" if level.step is None else f"step {level.step} of {level.of}: "
        line = f"{where}sigma {level.sigma:.4f}, alpha {level.alpha:.4f}, timestep {level.timestep:.2f}"
        print_result(
            as_json, {"path": str(out), **level._asdict(), "psnr": near}, [f"{line}, PSNR {near:.2f} dB"]
        )
    if not as_json:
        print(out)


def reconstruction_facts(kept: Reconstruction) -> dict[str, Any]:
    """The same as `describe_reconstruction`, for programs."""
    facts = kept.facts
    return {
        "model": kept.name,
        **facts._asdict(),
        "compression": facts.compression,
        "bits": kept.bits,
        "codes_used": kept.codes_used,
        "pictures": len(kept.psnr),
        "psnr": sum(kept.psnr) / len(kept.psnr),
        "psnr_min": min(kept.psnr),
        "means": kept.means,
        "stds": kept.stds,
    }


def describe_reconstruction(kept: Reconstruction) -> list[str]:
    """What it is, what it keeps, what its latents are like."""
    told, facts = reconstruction_facts(kept), kept.facts
    what = f"{facts.kind.upper()}, {facts.factor} pixels a side, {facts.channels} channels, factor {facts.compression:g}"
    if facts.codes:
        what += f", {kept.codes_used} of {facts.codes} codes used, {kept.bits / 8:.0f} bytes a picture"
    channels = (f"{mean:+.2f} ± {std:.2f}" for mean, std in zip(kept.means, kept.stds, strict=True))
    return [
        f"{kept.name}: {what}",
        f"  PSNR {told['psnr']:.2f} dB, at least {told['psnr_min']:.2f}, of {told['pictures']} held-out pictures",
        f"  latents: {', '.join(channels)}",
    ]


def print_result(as_json: bool, facts: dict[str, Any], lines: list[str]) -> None:
    """One object, in which null stands for infinity; or the lines."""
    finite = {k: None if isinstance(v, float) and math.isinf(v) else v for k, v in facts.items()}
    print(json.dumps(finite) if as_json else "\n".join(lines))
