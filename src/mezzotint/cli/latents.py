"""`mezzotint latents`: a picture into latents and back, looked at and measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mezzotint.cli.latents_output import (
    describe_latents,
    describe_reconstruction,
    latents_facts,
    print_levels,
    print_result,
    reconstruction_facts,
    write_sheet,
    write_strip,
)
from mezzotint.errors import DataError, OutputError, RequestError

if TYPE_CHECKING:
    from mezzotint.inspection.codec import Codec, Pixels
    from mezzotint.inspection.latents import PictureLatents
    from mezzotint.inspection.noise import NoiseLevel
    from mezzotint.schedule import Schedule

latents = typer.Typer(
    name="latents", help="Look at a picture as the model does: latents, noise, and the way back."
)

Source = Annotated[Path, typer.Argument(metavar="PICTURE", help="PNG, JPEG or WebP, of any size.")]
Named = Annotated[
    str, typer.Option(metavar="MODEL", help="As for generate, or the folder of an autoencoder.")
]
Size = Annotated[
    str | None, typer.Option(metavar="WxH", help="Scaled and cropped to; by default the model's own.")
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, max=2**63 - 1, help="Of the noise.")]
Sampler = Annotated[str, typer.Option(metavar="NAME", help="`mezzotint samplers` lists them.")]
Step = Annotated[int, typer.Option(metavar="N", help="Counted from 0.")]
Of = Annotated[int, typer.Option(metavar="N", help="Steps of the whole run: step 10 of 15 is not 10 of 50.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print an object a line.")]


@latents.command()
def encode(
    picture: Source,
    out: Annotated[Path, typer.Option(metavar="FILE.safetensors", help="Where the latents go.")],
    model: Named = "emoji",
    sample: Annotated[
        bool, typer.Option("--sample", help="Draw from the latents; by default their mean.")
    ] = False,
    seed: Seed = 0,
    size: Size = None,
    as_json: AsJson = False,
) -> None:
    """A picture to latents: a safetensors file, statistics by channel, and what the way back loses."""
    _check_out(out, ".safetensors")
    codec, pixels = _open_inputs(model, picture, size)
    from mezzotint.cli.output import write
    from mezzotint.inspection.latents import decode
    from mezzotint.inspection.latents import encode as encoded
    from mezzotint.metrics import psnr

    z = encoded(codec, pixels, seed if sample else None)
    near = psnr(pixels, decode(codec, z))
    write(out, z.to_bytes())
    facts = {"path": str(out), **latents_facts(z), "psnr": near}
    print_result(as_json, facts, [*describe_latents(z), f"PSNR of the way back: {near:.2f} dB", str(out)])


@latents.command()
def decode(
    file: Annotated[Path, typer.Argument(metavar="FILE.safetensors", help="Of `latents encode`.")],
    out: Annotated[Path, typer.Option(metavar="FILE.png", help="Where the picture goes.")],
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="By default the one that the file names.")
    ] = None,
    original: Annotated[
        Path | None, typer.Option(metavar="PICTURE", help="To measure the loss against.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Latents to a picture, and how near it is to the original."""
    _check_out(out, ".png")
    from PIL import Image

    from mezzotint.cli.output import write_png
    from mezzotint.inspection.latents import PictureLatents
    from mezzotint.inspection.latents import decode as decoded
    from mezzotint.library import fit_to_size, read
    from mezzotint.metrics import psnr

    z, against = PictureLatents.load(file), None if original is None else read(original)
    pixels = decoded(_model_of(z, model), z)
    height, width = pixels.shape[:2]
    write_png(out, Image.fromarray(pixels))
    facts: dict[str, Any] = {"path": str(out), "width": width, "height": height}
    lines = [str(out)]
    if against is not None:
        facts["psnr"] = psnr(fit_to_size(against, width, height), pixels)
        lines.insert(0, f"PSNR: {facts['psnr']:.2f} dB")
    print_result(as_json, facts, lines)


@latents.command()
def noise(
    picture: Source,
    out: Annotated[Path, typer.Option(metavar="FILE.png", help="Where the picture goes.")],
    model: Named = "emoji",
    step: Step = 10,
    of: Of = 15,
    sampler: Sampler = "lms",
    sigma: Annotated[
        float | None, typer.Option(metavar="X", help="In place of a step; alpha is then 1.")
    ] = None,
    seed: Seed = 0,
    strip: Annotated[bool, typer.Option("--strip", help="All steps side by side, at most 15.")] = False,
    size: Size = None,
    as_json: AsJson = False,
) -> None:
    """Latents with the noise of a step added, decoded as they stand: alpha*z + sigma*noise."""
    if strip and sigma is not None:
        raise RequestError("--strip shows the steps of a run; leave --sigma out")
    _check_out(out, ".png")
    _check_run(sampler, 0 if strip or sigma is not None else step, of)
    codec, pixels = _open_inputs(model, picture, size)
    from PIL import Image

    from mezzotint.cli.output import write_png
    from mezzotint.inspection.latents import encode as encoded
    from mezzotint.inspection.noise import even_choice, level_at, level_of, levels

    z, schedule = encoded(codec, pixels), _schedule(codec)
    if strip:
        shown = even_choice(levels(schedule, sampler, of))
    else:
        shown = [level_of(schedule, sigma) if sigma is not None else level_at(schedule, sampler, step, of)]
    noisy = [_decode_noisy(codec, z, level, seed) for level in shown]
    if strip:
        title, run = picture.name, f"{sampler}, {of} steps, {codec.name}, seed {seed}"
        write_strip(out, pixels, shown, noisy, title, run)
    else:
        write_png(out, Image.fromarray(noisy[0]))
    print_levels(as_json, shown, pixels, noisy, out)


@latents.command()
def show(
    picture: Source,
    out: Annotated[Path, typer.Option(metavar="FILE.png", help="Where the figure goes.")],
    model: Named = "emoji",
    sampler: Sampler = "lms",
    steps: Of = 15,
    step: Step = 10,
    seed: Seed = 0,
    size: Size = None,
) -> None:
    """One figure: the channels and their values, the way back, and a run's noise with one step marked."""
    _check_out(out, ".png")
    _check_run(sampler, step, steps)
    codec, pixels = _open_inputs(model, picture, size)
    from mezzotint.cli.output import write
    from mezzotint.inspection.figure import LatentsFigure, draw
    from mezzotint.inspection.latents import decode as decoded
    from mezzotint.inspection.latents import encode as encoded
    from mezzotint.inspection.noise import levels

    z = encoded(codec, pixels)
    run = levels(_schedule(codec), sampler, steps)
    noisy = _decode_noisy(codec, z, run[step], seed)
    look = LatentsFigure(
        picture.name, describe_latents(z)[0], pixels, z, decoded(codec, z), sampler, run, step, noisy
    )
    write(out, draw(look))
    print(out)


@latents.command()
def compare(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Autoencoders, KL or VQ, alone or in models.")
    ],
    data: Annotated[Path, typer.Option(metavar="DIR", help="Of `mezzotint data emoji`: held-out pictures.")],
    count: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="Composed scenes.")] = 64,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Some pictures, and what each makes of them.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Autoencoders side by side: reconstruction, latents, and the compression worked out. Needs the torch extra."""
    if out is not None:
        _check_out(out, ".png")
    import random

    from mezzotint.extras import require

    require("comparing autoencoders", "torch", "torch", "diffusers")
    from mezzotint.data.compose import Composer
    from mezzotint.data.subsets import read_rows
    from mezzotint.inspection.comparison import measure_reconstruction
    from mezzotint.models.autoencoder import Autoencoder

    read_rows(data)  # DataError before any model is opened
    autoencoders = [Autoencoder.open(model) for model in models]
    rng = random.Random(f"held out {seed}")
    composer = Composer(data, ("test",))
    images = [composer.scene(rng).image for _ in range(count)]
    kept = [measure_reconstruction(auto, images) for auto in autoencoders]
    if out is not None:
        write_sheet(out, images, kept)
    for told in kept:
        print_result(as_json, reconstruction_facts(told), describe_reconstruction(told))
    if out is not None and not as_json:
        print(out)


def _check_out(path: Path, ending: str) -> None:
    """OutputError before any work where the result could not be written."""
    from mezzotint.cli.output import check_file

    if path.suffix.lower() != ending:
        raise OutputError(f"give {path.name!r} the ending {ending}")
    check_file(path)


def _check_run(sampler: str, step: int, of: int) -> None:
    """RequestError before any work where there is no such run."""
    from mezzotint.request import Request

    Request(sampler=sampler, steps=of)
    if not 0 <= step < of:
        raise RequestError(f"step must be from 0 to {of - 1} of {of}, got {step}")


def _open_inputs(model: str, picture: Path, size: str | None) -> tuple[Codec, Pixels]:
    """The model, and the picture at its size or at the one asked for."""
    from mezzotint.cli.options import parse_size as parsed
    from mezzotint.inspection.codec import open_codec
    from mezzotint.library import fit_to_size, read

    asked, pixels = parsed(size), read(picture)
    if not all(side is None or 8 <= side <= 2048 for side in asked):
        raise RequestError(f"size must be from 8x8 to 2048x2048 pixels, got {size}")
    codec = open_codec(model)
    width, height = codec.default_size
    return codec, fit_to_size(pixels, asked[0] or width, asked[1] or height)


def _model_of(z: PictureLatents, model: str | None) -> Codec:
    """The model asked for, else the one a file names, which must be here already: a file fetches nothing."""
    from mezzotint.cli.messages import note
    from mezzotint.inspection.codec import open_codec
    from mezzotint.models import BUNDLED

    if model is None and z.model not in BUNDLED and not Path(z.model).is_dir():
        raise DataError(f"the latents are of {z.model[:200]!r}; name the model with --model")
    codec = open_codec(model or z.model)
    if codec.digest != z.digest:
        note(f"warning: the latents were encoded by another model than this {codec.name}")
    return codec


def _schedule(codec: Codec) -> Schedule:
    schedule: Schedule | None = getattr(codec, "schedule", None)
    if schedule is None:
        raise RequestError(f"{codec.name} is an autoencoder alone and adds no noise; name a whole model")
    return schedule


def _decode_noisy(codec: Codec, z: PictureLatents, level: NoiseLevel, seed: int) -> Pixels:
    from mezzotint.inspection.noise import add_noise

    return codec.decode(add_noise(z.values, level, seed)[None])
