"""`mezzotint generate`: pictures from prompts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mezzotint.cli.options import PrecisionOption

if TYPE_CHECKING:
    from mezzotint.models import AnyModel
    from mezzotint.request import Request

Mode = Literal["fast", "exact"]
Runtime = Literal["auto", "openvino", "torch"]

_what = partial(typer.Option, rich_help_panel="What is drawn")
_how = partial(typer.Option, rich_help_panel="How it is drawn")
_runs = partial(typer.Option, rich_help_panel="What draws it")
_out = partial(typer.Option, rich_help_panel="What comes out")


def generate(
    prompts: Annotated[
        list[str] | None, typer.Argument(metavar="PROMPT", help="What to draw, each in quotes.")
    ] = None,
    prompts_file: Annotated[
        Path | None, _what(metavar="FILE", help="A prompt a line; in a .jsonl file, a request's fields.")
    ] = None,
    like: Annotated[
        Path | None,
        _what(metavar="PICTURE", help="As its file says, of this tool or another; options go before."),
    ] = None,
    negative: Annotated[str | None, _what(metavar="TEXT", help="What to stay away from.")] = None,
    seed: Annotated[
        int | None, _what(metavar="N", help="Of the first picture of each prompt; by default 0.")
    ] = None,
    n: Annotated[
        int, _what("-n", metavar="N", min=1, max=10_000, help="Pictures of each prompt: seed, seed+1, ...")
    ] = 1,
    size: Annotated[str | None, _what(metavar="WxH", help="In pixels; by default the model's own.")] = None,
    steps: Annotated[
        int | None, _how(metavar="N", help="From 1 to 2000; by default the model's, else 25.")
    ] = None,
    sampler: Annotated[
        str | None, _how(metavar="NAME", help="`mezzotint samplers` lists them; by default the model's.")
    ] = None,
    spacing: Annotated[
        str | None, _how(metavar="NAME", help="leading, trailing, linspace or karras; else the model's.")
    ] = None,
    eta: Annotated[float | None, _how(metavar="X", help="Noise of the ddim sampler, from 0 to 1.")] = None,
    guidance: Annotated[
        str | None,
        _how(
            "--guidance",
            "--cfg",
            metavar="TERMS",
            help="A CFG scale such as 4 (0 and 1: off), or terms such as cfg(4, stop=0.8); by default the model's.",
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        _how(
            metavar="NAMES",
            help="Of the texts: bert, 0.7*clip + 0.3*bert, path/to/bert ...; else the model's.",
        ),
    ] = None,
    lora: Annotated[
        list[str] | None,
        _how(
            metavar="FILE:WEIGHT",
            help="An adapter and how much of it, such as style.safetensors:0.8; repeat.",
        ),
    ] = None,
    word: Annotated[
        list[str] | None,
        _how(
            metavar="FILE",
            help="A new word of textual inversion, learned_embeds.safetensors, or NAME=FILE; a folder of them; repeat.",
        ),
    ] = None,
    upscale: Annotated[
        int | None, _how(metavar="2|4", help="Enlarge each finished picture so many times.")
    ] = None,
    compat: Annotated[
        Literal["", "diffusers"] | None, _how(metavar="diffusers", help="Its pictures, with its slips.")
    ] = None,
    model: Annotated[
        str, _runs(metavar="MODEL", help="A bundled name, a folder, a .safetensors file or a hub id.")
    ] = "emoji",
    mode: Annotated[Mode, _runs(help="exact: not a bit depends on the company.")] = "fast",
    runtime: Annotated[Runtime, _runs(help="auto: torch on a GPU, else openvino.")] = "auto",
    precision: PrecisionOption = None,
    out: Annotated[Path, _out(metavar="FOLDER", help="Where the pictures go.")] = Path("out"),
    as_json: Annotated[bool, _out("--json", help="Print an object a picture, not its path.")] = False,
    trace: Annotated[bool, _out("--trace", help="Add a strip: how each came out of noise.")] = False,
    preview: Annotated[
        bool, _out("--preview", help="Keep preview.png up to date while pictures come.")
    ] = False,
    init: Annotated[
        Path | None, _what(metavar="PICTURE", help="Start from a picture: image to image.")
    ] = None,
    start: Annotated[
        str | None, _what(metavar="STEP/OF", help="With --init: where it starts, such as 10/25.")
    ] = None,
    mask: Annotated[
        Path | None, _what(metavar="PICTURE", help="With --init: white is drawn anew, black stays.")
    ] = None,
    ledger: Annotated[
        bool, _out("--ledger", help="Add what each gradient term did at each step: a table and curves.")
    ] = False,
    grid: Annotated[
        bool, _out("--grid", help="Add all pictures side by side in one file, grid.png.")
    ] = False,
    attention: Annotated[
        bool, _out("--attention", help="Add heat maps: where it looked for each word.")
    ] = False,
) -> int:
    """Make pictures from prompts. Each is on disk, and its path printed, as soon as it is finished.

    mezzotint generate "a red rose" "a cat on the moon" -n 4 --seed 7
    """
    from mezzotint.cli import options as parsing
    from mezzotint.cli import recall as recalled
    from mezzotint.models.disk.source import defaults_of, folder_of
    from mezzotint.request import Request

    width, height = parsing.parse_size(size)
    said = {
        "negative_prompt": negative,
        "seed": seed,
        "width": width,
        "height": height,
        "steps": steps,
        "sampler": sampler,
        "spacing": spacing,
        "eta": eta,
        "guidance": guidance,
        "encoder": encoder,
        "upscale": upscale,
        "compat": compat,
        "lora": parsing.parse_loras(lora) if lora else None,
        "words": parsing.parse_words(word or [], lora or []) or None,
    }
    chosen = {key: value for key, value in said.items() if value is not None}
    options, differences = recalled.like(like, chosen, model) if like else ({}, [])
    if like and not prompts and prompts_file is None and "prompt" in options:
        prompts = [options["prompt"]]
    if like and init and not start and steps is None:
        start = recalled.start_of(like)
    wordless = not prompts and prompts_file is None and parsing.draws_without_prompt(model)

    def requests_with(defaults: dict[str, Any]) -> list[Request]:
        fields = {**defaults, **options, **chosen}
        fields |= parsing.init_fields(init, start, mask, fields.get("steps", Request.steps))
        return parsing.build_requests([""] if wordless else prompts or [], prompts_file, fields, n)

    requests = requests_with(defaults := defaults_of(model))

    from mezzotint.cli.output import check_folder

    check_folder(out)
    parsing.check_extras(requests)

    from mezzotint.cli.display import display
    from mezzotint.cli.messages import print_warnings
    from mezzotint.cli.remarks import remarks
    from mezzotint.models import open_model

    with display() as shown, print_warnings(shown.remark):
        for line in differences:
            shown.remark(line)
        shown.opening(model)
        opened = open_model(model, runtime, precision or "auto")
        if wordless and opened.reads_text:
            raise parsing.no_prompt_error()
        if (found := getattr(opened, "defaults", defaults)) != defaults:  # of a model that was fetched
            requests = requests_with(found)
        for line in remarks(requests, folder_of(model), model):
            shown.remark(f"note: {line}")
        if not attention:  # which is asked of another network
            _prepare(opened, requests, mode)
        from mezzotint.cli.run import GenerateRun

        run = GenerateRun(opened, out, shown, as_json, trace, attention, ledger, preview, grid)
        return 1 if run(requests, mode) else 0


def _prepare(model: AnyModel, requests: Sequence[Request], mode: Mode) -> None:
    """Have the networks compiled for the first call, in the background, while there is more to import."""
    from mezzotint.engine.batcher import RowPadding
    from mezzotint.engine.trajectory import LaneKey

    first = requests[0]
    width, height = first.width or model.default_size[0], first.height or model.default_size[1]
    lane = LaneKey((model.latent_channels, height // model.vae_factor, width // model.vae_factor))
    alike = [r for r in requests[:64] if (r.width, r.height) == (first.width, first.height)]
    rows = sum(2 if model.reads_text and r.terms.scales(r.steps)[0] != 1 else 1 for r in alike)
    calls = RowPadding(model, mode)
    if first.lora:
        model.check_lora(first.lora)
        model = model.with_lora(first.lora)
    model.prepare(calls.padded_rows(lane, min(rows, calls.budget(lane))), width, height)
