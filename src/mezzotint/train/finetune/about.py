"""What a run says of itself: facts for its report, and the card of what it made."""

from __future__ import annotations

import os
import platform
import shlex
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from mezzotint import __version__
from mezzotint.files import write_atomic
from mezzotint.models.bundled import BUNDLED
from mezzotint.models.disk.bundle import AnyBundle, Bundle
from mezzotint.pages.figures import Figure, svg
from mezzotint.precision import with_precision
from mezzotint.train.finetune.config import FinetuneConfig
from mezzotint.train.finetune.data import FinetuneData
from mezzotint.train.finetune.report import RunRecord, losses
from mezzotint.train.finetune.task import FinetuneTask
from mezzotint.train.finetune.text import FinetunedTextModel

_LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "peft")


def describe_run(
    bundle: AnyBundle, data: FinetuneData, task: FinetuneTask, command: Sequence[str]
) -> dict[str, Any]:
    """Facts, as JSON has them."""
    config = task.config
    source = Path(config.data).name or config.data
    known = BUNDLED.get(bundle.name)
    return {
        "title": f"{bundle.name} on {source}",
        "what": kind(config),
        "began": time.strftime("%Y-%m-%d"),
        "command": shlex.join(["mezzotint", *command]) if command else "",
        "precision": config.precision,
        "steps": config.epochs * task.steps_per_epoch,
        "steps_per_epoch": task.steps_per_epoch,
        "size": data.size,
        "hflip": task.subject.hflip,
        "model": {
            "name": bundle.name,
            "digest": bundle.digest,
            "licence": known.licence if known else "as the model's own card says",
        },
        "data": {"source": config.data, **_data_facts(config, data)},
        "learned": count_trainable(task.module),
        "judge": {"name": config.judge, "digest": task.domains.digest} if task.domains else {},
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {_device()}",
        "versions": {
            "mezzotint": __version__,
            **{name: version(name) for name in _LIBRARIES if find_spec(name)},
        },
        "pairs": task.fixed.description
        + ("" if data.apart else "; too few pictures to hold any out, so these are learned too"),
        "kid": _kid(task),
        "prompts": task.subject.prompts if isinstance(task.subject, FinetunedTextModel) else [],
        "text": isinstance(bundle, Bundle),
    }


def kind(config: FinetuneConfig) -> str:
    """What was done, in words."""
    if config.lora:
        return f"LoRA of rank {config.lora}"
    return f"textual inversion of {config.new_word}" if config.new_word else "fine-tuning of all weights"


def count_trainable(module: Any) -> str:
    """How many numbers learn."""
    count = sum(weight.numel() for weight in module.parameters() if weight.requires_grad)
    return f"{count:,} weights"


def _data_facts(config: FinetuneConfig, data: FinetuneData) -> dict[str, Any]:
    said = ", ".join(f"{name} ({count})" for name, count in data.whole.survey.licenses.items())
    return {
        **data.facts(),
        "licence": config.licence or said or "not stated: see to it before you publish the result",
    }


def _kid(task: FinetuneTask) -> dict[str, Any]:
    if task.domains is None:
        return {}
    counts = task.domains.counts
    return {
        "samples": task.config.kid_samples, "judge": task.config.judge, "between": task.domains.between(), **counts
    }  # fmt: skip


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} threads"


def write_card(run: Path, made: Path) -> None:
    """README.md of what was made, with its curves beside it."""
    found = RunRecord.read(run)
    if not made.is_dir():
        return
    write_atomic(made / "loss.svg", svg(Figure(losses(found), found.unit)).encode())
    for name in ("ema", "raw"):
        if sheets := found.sheets(name):
            (made / "samples.png").write_bytes(sheets[-1][1].read_bytes())
            break
    write_atomic(made / "README.md", card(found, made.name).encode())


def card(run: RunRecord, made: str) -> str:
    """The model card, in the form of the hub."""
    facts, settings = run.facts, run.settings
    data, model = facts["data"], facts["model"]
    rows = {
        "from": f"{model['name']} ({model['digest']}), {model['licence']}",
        "data": f"{data['source']}: {data['learned']} pictures learned, {data['held_out']} held out; digest {data['digest']}",
        "licence of the data": data["licence"],
        "recipe": _recipe(settings, facts),
        "versions": ", ".join(f"{name} {number}" for name, number in facts["versions"].items()),
    }
    rows |= {name: f"{value:.4f}" for name, value in _measures(run)}
    head = "text-to-image" if facts.get("text") else "unconditional-image-generation"
    lines = [
        "---",
        "library_name: diffusers",
        f"pipeline_tag: {head}",
        f"base_model: {model['name']}",
        "---",
        "",
    ]
    lines += [
        f"# {facts['title']}",
        "",
        f"{facts['what'][:1].upper()}{facts['what'][1:]}, made with Mezzotint.",
        "",
    ]
    lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items()), ""]
    lines += ["## How it is used", "", *_use(made, settings, facts), ""]
    if facts.get("command"):
        lines += ["## How it was made", "", "```", facts["command"], "```", ""]
    return "\n".join([*lines, "![loss](loss.svg)", "", "![samples of fixed seeds](samples.png)", ""])


def _measures(run: RunRecord) -> list[tuple[str, float]]:
    kid = run.facts.get("kid") or {}
    names = {
        "val_loss": "validation loss",
        "kid_new": f"KID to the new pictures ({kid.get('samples')} samples, {kid.get('new')} pictures)",
        "kid_old": f"KID to the model before ({kid.get('samples')} samples, {kid.get('old')} samples)",
    }
    return [(name, value) for key, name in names.items() if (value := run.last(key)) is not None]


def _recipe(settings: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    parts = [
        f"AdamW {settings['lr']:g}",
        f"Muon {settings['muon_lr']:g}" if settings.get("muon_lr") else "",
        f"batch {settings['batch']} x {settings['accumulate']}",
        f"{settings['epochs']} epochs of {facts['steps_per_epoch']} steps", f"EMA {settings['ema']}",
        facts.get("precision") or with_precision(settings).get("precision", ""),
        f"{facts['size']} pixels", "mirrored" if facts["hflip"] else "",
        f"noisy times weighted up to {settings['weight_cap']:g}" if settings.get("weight_cap", 1) > 1 else "",
        f"times up to {settings['max_timestep']}" if settings.get("max_timestep") else "",
        f"times from {settings['min_timestep']}" if settings.get("min_timestep") else "",
        f"held to the model before at other times, weight {settings['prior_loss_weight']:g}"
        if settings.get("prior_loss_weight") else "",
        f"noise schedule {settings['schedule']}" if settings.get("schedule") else "",
        f"offset noise {settings['offset_noise']}" if settings.get("offset_noise") else "", f"seed {settings['seed']}",
    ]  # fmt: skip
    return ", ".join(filter(None, parts))


def _use(made: str, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    words = ' "..."' if facts.get("text") else ""
    if made == "lora":
        command = f"    mezzotint generate{words} --model {settings['model']} --lora lora/pytorch_lora_weights.safetensors:0.8"
        return [
            command,
            "",
            "`pytorch_lora_weights.safetensors` is for diffusers' `load_lora_weights`, the other file for kohya's tools.",
        ]
    if made == "word":
        word = settings["new_word"]
        command = f'    mezzotint generate "a {word}" --model {settings["model"]} --word word'
        load = f'`pipeline.load_textual_inversion("learned_embeds.safetensors", token="{word}")`'
        return [command, "", f"or in diffusers {load}; then `{word}` stands in prompts."]
    command = f"    mezzotint generate{words} --model model"
    return [command, "", 'or `DiffusionPipeline.from_pretrained("model")`.']
