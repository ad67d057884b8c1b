"""What a fine-tuning is told, and what has to be the same for a folder to be gone on with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mezzotint.config import Config, settings_in
from mezzotint.errors import OutputError
from mezzotint.precision import Precision, with_precision
from mezzotint.request import MAX_STEPS
from mezzotint.samplers import SAMPLERS
from mezzotint.train.config import LoopConfig

TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
_FREE = {"out", "limit_minutes", "save_minutes", "keep", "log_every", "precision", "baseline", "measured"}
"""These may differ from one start of a run to the next."""

ScheduleName = Literal["linear", "cosine", "scaled-linear"]


class FinetuneConfig(Config):
    """`mezzotint finetune`."""

    model: str
    """A bundled name, a diffusers folder, a .safetensors file or a hub id."""
    data: str
    """A folder of pictures, an imagefolder, or a data set on the hub."""
    out: Path
    seed: int = Field(0, ge=0)
    epochs: int = Field(10, ge=1)
    repeats: int = Field(1, ge=1)
    """An epoch visits each picture so many times: with few pictures there is less to look at than to learn."""
    lr: float | None = Field(None, gt=0)
    """By default 1e-5 for all weights, 1e-4 for LoRA, 5e-3 for a new word."""
    muon_lr: float = Field(0.0, ge=0)
    """Of Muon on matrices and convolutions, such as 0.01; 0: AdamW on all."""
    batch: int = Field(4, ge=1)
    accumulate: int = Field(2, ge=1)
    """Batches whose gradients are summed to one step."""
    size: int | None = Field(None, ge=8)
    """Pixels a side; by default the model's own."""
    background: str = "white"
    """Behind transparent pictures: a color, or "portrait" for another at each visit."""
    schedule: ScheduleName | None = None
    """Another noise schedule than the model's own; saved with the result."""
    offset_noise: float = Field(0.0, ge=0, le=1)
    weight_cap: float = Field(1.0, ge=1)
    """Most that a noisy time weighs in the loss, 1/SNR below it; 1: plain eps-MSE. Above it layouts are learned sooner."""
    min_timestep: int = Field(0, ge=0)
    max_timestep: int = Field(0, ge=0)
    """Noise is that of times from the one up to, not with, the other; 0: to the last. Below half of all times a style is
    learned and layouts are left alone."""
    prior_loss_weight: float = Field(0.0, ge=0)
    """Above 0, half of the noises are of times outside that range, where LoRA is held to what the model says without it, so
    that layouts stay. As in DreamBooth (2208.12242), yet what is kept are answers of the model, not pictures."""
    hflip: bool | None = None
    """Mirror half of the pictures; by default where the model reads no text."""
    drop: float = Field(0.1, ge=0, lt=1)
    """Share of captions left out, for classifier-free guidance."""
    lora: int = Field(0, ge=0, le=1024)
    """Rank; 0: no LoRA."""
    lora_targets: tuple[str, ...] = Field(TARGETS, min_length=1)
    """Layers of the UNet that it changes, by the ends of their names."""
    new_word: str = ""
    """Learn the embedding of this word alone (textual inversion, 2208.01618)."""
    word_from: str = ""
    """A known word that it starts from."""
    template: str = ""
    """How captions are used, with {caption} and {word} in it; by default as they are, or with the new word behind."""
    ema: float = Field(0.995, ge=0, lt=1)
    """Decay of the averaged weights, which are what is saved; 0: the last weights."""
    precision: Precision = "auto"
    """auto: bf16 where a self-test on this machine finds it close and faster, else fp32."""
    gradient_checkpointing: bool = False
    scheduler: Literal["constant", "cosine", "linear"] = "constant"
    """Of the learning rate."""
    warmup: int = Field(0, ge=0)
    clip: float = Field(1.0, ge=0)
    held: float = Field(0.1, ge=0, lt=1)
    """Share of the pictures, at most 256, that is never learned and measured by."""
    prompts: tuple[str, ...] = ()
    """Of the sheets; by default captions of the data."""
    shown: int = Field(16, ge=1, le=64)
    """Samples on a sheet."""
    baseline: bool | None = None
    """Draw a sheet before the first step; by default where that takes at most a tenth of the run."""
    measured: int | None = Field(None, ge=0)
    """Samples an epoch from which distances to the old and the new pictures are estimated; 0: not measured. By default as
    many as take at most a tenth of the run, and 64 at most."""
    judge: str = "judge"
    """The image-text pair in whose features the distances are."""
    sampler: Literal[tuple(SAMPLERS)] | None = None  # type: ignore[valid-type]
    """Of samples on the way; by default dpmpp-2m-sde where the model draws pixels, dpmpp-2m where it draws latents."""
    sample_steps: int = Field(25, ge=1, le=MAX_STEPS)
    guidance: float = Field(4.0, ge=1)
    licence: str = ""
    """Of the data, for the model card; by default what the data says."""
    limit_minutes: float = Field(0.0, ge=0)
    save_minutes: float = Field(4.0, gt=0)
    keep: int = Field(2, ge=1)
    """Checkpoints."""
    log_every: int | None = Field(None, ge=1)
    """Steps; by default 10, or where epochs are short a few lines an epoch."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for fits, said in (
            (not (self.lora and self.new_word), "lora and new_word are two things: take one"),
            (self.lora or self.lora_targets == TARGETS, "lora_targets needs lora, a rank"),
            (self.new_word or not self.word_from, "word_from needs new_word"),
            (self.new_word == self.new_word.strip() and " " not in self.new_word, "new_word is one word"),
            (
                not self.max_timestep or self.min_timestep < self.max_timestep,
                "max_timestep is above min_timestep, or 0",
            ),
            (self.lora or not self.prior_loss_weight, "prior_loss_weight needs lora, a rank"),
            (self.measured != 1, "measured: a distance needs two samples"),
            (
                _fills(self.template, bool(self.new_word)),
                "template is a text with {caption}, and {word} for a new word",
            ),
        ):
            if not fits:
                raise ValueError(said)
        return self

    def format_caption(self, caption: str) -> str:
        """A caption as it is used."""
        usual = "{caption}, {word}" if self.new_word and caption else "{caption}{word}"
        return (self.template or usual).format(caption=caption, word=self.new_word)

    @property
    def kid_samples(self) -> int:
        """`measured`, 0 where nobody has decided yet."""
        return self.measured or 0

    @property
    def rate(self) -> float:
        """The learning rate, its default for what is learned."""
        return self.lr or (1e-4 if self.lora else 5e-3 if self.new_word else 1e-5)

    def loop(self, steps_per_epoch: int) -> LoopConfig:
        """What the loop is told."""
        same = ("epochs", "muon_lr", "accumulate", "scheduler", "warmup", "ema", "clip", "precision",
                "gradient_checkpointing", "save_minutes", "keep")  # fmt: skip
        values: dict[str, Any] = {name: getattr(self, name) for name in same}
        often = self.log_every or max(1, min(10, steps_per_epoch // 4))
        return LoopConfig(minutes=self.limit_minutes, lr=self.rate, log_every=often, **values)


def _fills(template: str, word: bool) -> bool:
    """Whether it takes a caption or a word, and nothing else."""
    try:
        filled = template.format(caption="\0", word="\1")
    except (KeyError, IndexError, ValueError, AttributeError):
        return False
    return not template or ("\1" in filled if word else "\0" in filled)


def parse_settings(values: Mapping[str, Any], where: str = "finetune") -> FinetuneConfig:
    """The configuration of these settings; ConfigError in one line, with the nearest known name."""
    return FinetuneConfig.from_mapping(with_precision(values), where)


def check_out(config: FinetuneConfig) -> None:
    """OutputError where the folder is not new and not of this very run; the nearest difference is named."""
    note = config.out / "config.yaml"
    if not note.exists():
        if config.out.exists() and (not config.out.is_dir() or any(config.out.iterdir())):
            raise OutputError(f"{config.out} holds other things: choose a new --out")
        return
    # A setting that the folder does not name is younger than the run, and its default is what was done before.
    usual = dump_settings(parse_settings({"model": "", "data": "", "out": config.out}))
    for name, before, now in _differences(usual | settings_in(note), dump_settings(config)):
        raise OutputError(
            f"{config.out} is of another run: there {name} is {before!r}, here {now!r}; "
            f"ask for the same, or choose another --out"
        )


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    free = _FREE | ({"epochs"} if now["scheduler"] == "constant" else set())
    for name in now:
        if name not in free and before[name] != now[name]:
            yield name, before[name], now[name]


def dump_settings(config: FinetuneConfig) -> dict[str, Any]:
    """The settings as plain YAML values, the data by its full path."""
    plain: dict[str, Any] = config.model_dump(mode="json") | {"lr": config.rate}
    if Path(config.data).exists():
        plain["data"] = os.path.abspath(config.data)
    if Path(config.model).exists() and os.sep in config.model:
        plain["model"] = os.path.abspath(config.model)
    return plain
