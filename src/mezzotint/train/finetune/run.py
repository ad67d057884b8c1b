"""Fine-tuning: a model and a folder of pictures in, a run's folder with the result, its curves and its samples out."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import torch
import yaml
from accelerate import PartialState
from PIL import Image

from mezzotint.errors import ConfigError, DataError
from mezzotint.files import default_cache, write_atomic
from mezzotint.models.disk.bundle import AnyBundle, Bundle, PixelBundle
from mezzotint.models.disk.source import find
from mezzotint.models.image_text import folder_of_pair
from mezzotint.pages.tiles import make_grid
from mezzotint.train.finetune.about import describe_run, write_card
from mezzotint.train.finetune.budget import describe_budget, fit_to_run
from mezzotint.train.finetune.config import FinetuneConfig, check_out, dump_settings
from mezzotint.train.finetune.data import FinetuneData
from mezzotint.train.finetune.files import write_facts
from mezzotint.train.finetune.pixels import FinetunedPixelModel
from mezzotint.train.finetune.report import LEARNED, write_report
from mezzotint.train.finetune.task import BEFORE, FinetunedModel, FinetuneTask, device_of, precision, times_of
from mezzotint.train.finetune.text import FinetunedTextModel
from mezzotint.train.finetune.unet import UnetLearner
from mezzotint.train.finetune.validation import DomainDistances
from mezzotint.train.finetune.word import WordLearner
from mezzotint.train.loop.loop import train
from mezzotint.train.loop.precision import choose_precision
from mezzotint.train.loop.progress_line import say
from mezzotint.train.loop.samples import at_rest


@dataclass(frozen=True)
class FinetuneSetup:
    """A fine-tuning with everything opened and checked, and nothing done."""

    config: FinetuneConfig
    bundle: AnyBundle
    data: FinetuneData
    subject: FinetunedModel


def prepare(config: FinetuneConfig) -> FinetuneSetup:
    """Open the model and look through the pictures. All that is wrong is an error here."""
    check_out(config)
    if config.precision == "fp16" and not torch.cuda.is_available():
        raise ConfigError("fp16 is for GPUs; on this machine take precision auto, fp32 or bf16")
    bundle = find(config.model, default_cache())
    if config.measured:
        folder_of_pair(config.judge)
    predicted = bundle.scheduler.get("prediction_type", "epsilon")
    if config.weight_cap > 1 and predicted != "epsilon":
        said = f"weight_cap is for models that predict noise; {bundle.name} predicts {predicted}"
        raise ConfigError(f"{said}, whose own loss weighs so already")
    size, multiple = fitting_size(config, bundle)
    data = FinetuneData.open(config, size, multiple, isinstance(bundle, Bundle) and not config.new_word)
    if len(data.whole) < 2:
        raise DataError(f"{config.data} has one picture that can be used; fine-tuning needs two at least")
    config = fit_to_run(config, len(data.learned), isinstance(bundle, Bundle))
    subject = _subject(config, bundle, data)
    times_of(config, subject.noise.times)
    return FinetuneSetup(config, bundle, data, subject)


def fitting_size(config: FinetuneConfig, bundle: AnyBundle) -> tuple[int, int]:
    """Pixels a side, and of what they have to be a multiple. ConfigError where the settings are not for such a model."""
    if isinstance(bundle, PixelBundle):
        arch = bundle.architecture()
        (height, width), multiple = arch.sample_size, arch.side_multiple
        for name in ("lora", "new_word", "prompts", "template"):
            if getattr(config, name):
                raise ConfigError(f"{name} is for text-to-image models; {bundle.name} reads no text")
        if arch.colors != 3:
            raise ConfigError(
                f"{bundle.name} draws gray pictures, of one channel; fine-tuning takes models of three"
            )
    else:
        unet, vae, _ = bundle.architectures()
        multiple = vae.factor * 2 ** (len(unet.channels) - 1)
        height, width = (side * vae.factor for side in unet.sample_size)
    if config.size is None and height != width:
        raise ConfigError(
            f"{bundle.name} draws {width}x{height}; say which size to learn: --size {min(height, width)}"
        )
    return config.size or height, multiple


def _subject(config: FinetuneConfig, bundle: AnyBundle, data: FinetuneData) -> FinetunedModel:
    if isinstance(bundle, PixelBundle):
        return FinetunedPixelModel(config, bundle, data)
    return FinetunedTextModel(
        config, bundle, data, WordLearner(config, bundle) if config.new_word else UnetLearner(config, bundle)
    )


def finetune(config: FinetuneConfig, command: Sequence[str] = ()) -> Path:
    """Run, or go on; returns the folder of what was learned. `command`: the words that asked, for the report."""
    run, processes = prepare(config), PartialState()
    processes.wait_for_everyone()  # until all have found the folder as it should be
    run.subject.module.to(processes.device)
    config.out.mkdir(parents=True, exist_ok=True)
    write_atomic(config.out / "config.yaml", yaml.safe_dump(dump_settings(config), sort_keys=False).encode())
    if processes.is_main_process and (line := describe_budget(config, run.config)):
        say(line)
    counts = len(run.data.learned), len(run.data.held)
    config = run.config
    probe = FinetuneTask(config, run.subject, *counts, None)
    chosen = choose_precision(probe, config.loop(probe.steps_per_epoch), config.out)
    config = config.model_copy(update={"precision": chosen.kind})
    run = replace(run, config=config)
    task = FinetuneTask(config, run.subject, *counts, domains(run), lambda: _try_report(config.out))
    _keep_learned(run)
    facts = describe_run(run.bundle, run.data, task, command)
    write_atomic(config.out / "about.json", json.dumps(facts, indent=2).encode())
    try:
        train(task, config.loop(task.steps_per_epoch), config.out, chosen)
    finally:
        _try_report(config.out)
    if isinstance(run.bundle, Bundle) and not (config.lora or config.new_word):
        whole = run.data.whole
        captions = [config.format_caption(said) for i in range(len(whole)) for said in whole.captions(i)]
        write_facts(run.bundle.path, result_folder(config), captions)
    write_card(config.out, result_folder(config))
    return result_folder(config)


def _try_report(folder: Path) -> None:
    """A page is not worth the training: where it cannot be written, that is a warning."""
    try:
        write_report(folder)
    except OSError as error:
        warnings.warn(f"cannot write the report in {folder}: {error.strerror or error}", stacklevel=2)


def _keep_learned(run: FinetuneSetup) -> None:
    """A sheet of pictures that are learned, which the report shows beside the samples."""
    buffer, place = BytesIO(), run.config.out / LEARNED
    make_grid(run.data.learned_pictures(run.config.shown)).save(buffer, format="PNG")
    place.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(place, buffer.getvalue())


def result_folder(config: FinetuneConfig) -> Path:
    """Where the result is."""
    return config.out / ("lora" if config.lora else "word" if config.new_word else "model")


def domains(run: FinetuneSetup) -> DomainDistances | None:
    """The new pictures, and what the model draws as it is, before anything is learned."""
    config, subject = run.config, run.subject
    if not config.kid_samples:
        return None
    kept = config.out / "watch" / "domains.safetensors"

    def before() -> list[Image.Image]:
        with at_rest(subject.module), precision(config, device_of(subject.module)):
            return subject.draw(subject.module, range(BEFORE, BEFORE + config.kid_samples), reference=True)

    return DomainDistances(config.judge, run.data.reference, before, kept)
