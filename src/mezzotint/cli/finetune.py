"""`mezzotint finetune`: a model and a folder of pictures; run again to go on where it stopped."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from mezzotint.cli.options import PrecisionOption
from mezzotint.errors import ConfigError
from mezzotint.extras import needs_extra
from mezzotint.precision import FORMER_KEYS

_learned = partial(typer.Option, rich_help_panel="What is learned")
_pictures = partial(typer.Option, rich_help_panel="Pictures")
_watched = partial(typer.Option, rich_help_panel="What is watched")
_run = partial(typer.Option, rich_help_panel="The run")


def finetune(
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="As for generate.")] = None,
    data: Annotated[
        str | None,
        _pictures(
            metavar="DIR",
            help="A folder of pictures, an imagefolder, or a data set on the hub.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="RUN", help="The run's folder.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE.yaml", help="Settings; what the command line says goes before them."),
    ] = None,
    grid: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.yaml", help="A study: base and axes, every combination a run, and grid.html."
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, help="Runs of a study at a time.")] = 1,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="10 by default.")] = None,
    repeats: Annotated[
        int | None, typer.Option(metavar="N", help="Visits of each picture in an epoch, for small sets.")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(metavar="X", help="By default 1e-5; for LoRA 1e-4, for a new word 5e-3.")
    ] = None,
    muon_lr: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="Of Muon on inner matrices, such as 0.01; by default AdamW learns all."
        ),
    ] = None,
    batch: Annotated[int | None, typer.Option(metavar="N", help="4 by default.")] = None,
    accumulate: Annotated[int | None, typer.Option(metavar="N", help="Batches a step, 2 by default.")] = None,
    size: Annotated[
        int | None,
        _pictures(metavar="N", help="Pixels a side; by default the model's own."),
    ] = None,
    background: Annotated[
        str | None,
        _pictures(
            metavar="COLOR",
            help="Behind transparent pictures; portrait: another at each visit.",
        ),
    ] = None,
    hflip: Annotated[
        bool | None,
        _pictures("--hflip/--no-hflip", help="Mirror half; by default where no text is read."),
    ] = None,
    licence: Annotated[
        str | None,
        _pictures(metavar="TEXT", help="Of the pictures, for the model card."),
    ] = None,
    lora: Annotated[
        int | None,
        _learned(metavar="RANK", help="Low-rank weights beside the UNet's."),
    ] = None,
    lora_targets: Annotated[
        str | None,
        _learned(metavar="NAMES", help="to_q,to_k,to_v,to_out.0 by default."),
    ] = None,
    new_word: Annotated[
        str | None,
        _learned(metavar="'<WORD>'", help="Learn this word alone: textual inversion."),
    ] = None,
    word_from: Annotated[str | None, _learned(metavar="WORD", help="A known word it starts from.")] = None,
    template: Annotated[
        str | None,
        _learned(metavar="TEXT", help="How captions are used: '{caption}, {word} style'."),
    ] = None,
    drop: Annotated[
        float | None,
        _learned(metavar="X", help="Share of captions left out, 0.1 by default."),
    ] = None,
    schedule: Annotated[
        str | None,
        _learned(
            metavar="NAME",
            help="Another noise schedule: linear, cosine, scaled-linear.",
        ),
    ] = None,
    offset_noise: Annotated[
        float | None,
        _learned(metavar="X", help="Noise that whole channels share, such as 0.1."),
    ] = None,
    min_timestep: Annotated[
        int | None,
        _learned(metavar="T", help="The least noisy time that is learned; 0 by default."),
    ] = None,
    max_timestep: Annotated[
        int | None,
        _learned(metavar="T", help="Learn times below this one: styles, not layouts."),
    ] = None,
    prior_loss_weight: Annotated[
        float | None,
        _learned(
            metavar="X",
            help="Hold LoRA to the model before it at times that are not learned; such as 1.",
        ),
    ] = None,
    weight_cap: Annotated[
        float | None,
        _learned(
            metavar="X",
            help="Most that a noisy time weighs in the loss; above 1, such as 30, layouts are learned sooner.",
        ),
    ] = None,
    prompts: Annotated[
        list[str] | None,
        _watched("--prompt", metavar="TEXT", help="Of the sheets; may be repeated."),
    ] = None,
    baseline: Annotated[
        bool | None,
        _watched(
            "--baseline/--no-baseline",
            help="Samples before the first step; by default where they take at most a tenth of the run.",
        ),
    ] = None,
    measured: Annotated[
        int | None,
        _watched(
            metavar="N",
            help="Samples an epoch for KID, by default as many as take a tenth of the run, at most 64; 0: none.",
        ),
    ] = None,
    sampler: Annotated[
        str | None,
        _watched(
            metavar="NAME",
            help="Of samples on the way: dpmpp-2m-sde for pixels, else dpmpp-2m; `mezzotint samplers` lists them.",
        ),
    ] = None,
    sample_steps: Annotated[int | None, _watched(metavar="N", help="25 by default.")] = None,
    ema: Annotated[
        float | None,
        _run(
            metavar="X",
            help="Decay of the averaged weights, 0.995 by default; 0: none.",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        _run(metavar="NAME", help="Of the rate: constant, cosine, linear."),
    ] = None,
    warmup: Annotated[int | None, _run(metavar="N", help="Steps.")] = None,
    precision: PrecisionOption = None,
    gradient_checkpointing: Annotated[
        bool | None,
        _run("--gradient-checkpointing", help="Less memory, slower."),
    ] = None,
    limit_minutes: Annotated[
        float | None,
        _run(metavar="N", help="Stop this start of the run after so many."),
    ] = None,
    seed: Annotated[int | None, _run(metavar="N")] = None,
) -> None:
    """Fine-tune a model on pictures of your own; run again to go on where it stopped.

    mezzotint finetune --model faces --data animals --out runs/animals
    """
    given = {name: value for name, value in locals().items() if value is not None}
    for name in ("config", "grid", "jobs"):
        given.pop(name, None)
    if lora_targets is not None:
        given["lora_targets"] = [part.strip() for part in lora_targets.split(",") if part.strip()]
    if grid and config:
        raise ConfigError("--grid and --config are two things: a study has its own base")
    if jobs > 1 and not grid:
        raise ConfigError("--jobs is for a study: --grid FILE.yaml")
    with needs_extra("train"):
        import mezzotint.train.finetune.run as learning
    if grid:
        _study(learning, grid, given, jobs)
    else:
        _one(learning, config, given)


def _one(learning: Any, file: Path | None, given: dict[str, Any]) -> None:
    from mezzotint.config import settings_in
    from mezzotint.train.finetune.config import FinetuneConfig, parse_settings

    settings = (settings_in(file) if file else {}) | given
    known = {*FinetuneConfig.model_fields, *FORMER_KEYS}
    for name in ("model", "data", "out"):
        if not settings.get(name) and settings.keys() <= known:  # else one of them may be misspelled
            raise ConfigError(f"--{name} is missing: mezzotint finetune --model MODEL --data DIR --out RUN")
    chosen = parse_settings(settings, str(file) if file else "finetune")
    _check(chosen.out)
    print(learning.finetune(chosen, _command(file, given)))
    print(chosen.out / "report.html")


def _study(learning: Any, file: Path, given: dict[str, Any], jobs: int) -> None:
    from mezzotint.cli.messages import note
    from mezzotint.train.finetune.grid import combinations, run_grid
    from mezzotint.train.finetune.report_grid import write_grid

    runs = combinations(file, given)
    folder = next(iter(runs.values())).out.parent
    _check(folder)
    for config in runs.values():
        learning.prepare(config)
    folders = {name: config.out for name, config in runs.items()}

    def begin(config: Any) -> None:
        learning.finetune(config, ["finetune", "--grid", str(file)])
        write_grid(folder, folders)

    failed = run_grid(runs, jobs, begin, note)
    print(write_grid(folder, folders))
    if failed:
        raise typer.Exit(1)


def _command(file: Path | None, given: dict[str, Any]) -> list[str]:
    """The words that ask for this, for the report."""
    words = ["finetune", *(["--config", str(file)] if file else [])]
    for name, value in given.items():
        option = "--" + name.replace("_", "-")
        if name == "prompts":
            words += [word for prompt in value for word in ("--prompt", prompt)]
        elif isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        else:
            words += [option, ",".join(value) if isinstance(value, list) else str(value)]
    return words


def _check(folder: Path) -> None:
    from mezzotint.cli.output import check_folder

    check_folder(folder)
