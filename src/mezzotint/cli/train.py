"""`mezzotint train`: the networks of a model, each from a configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mezzotint.cli.options import PrecisionOption
from mezzotint.extras import needs_extra

train = typer.Typer(name="train", help="Train a network; run again to go on where it stopped.")

File = Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="Such as those in configs/.")]
Minutes = Annotated[
    float | None, typer.Option(metavar="N", min=0, help="Stop this run after so many; 0: at the last step.")
]


@train.command()
def vae(
    config: File,
    minutes: Minutes = None,
    precision: PrecisionOption = None,
    regularizer: Annotated[
        Literal["kl", "vq"] | None,
        typer.Option(help="In place of the file's: Gaussian latents, or a codebook."),
    ] = None,
) -> None:
    """The autoencoder: pictures to latents and back."""
    with needs_extra("train"):
        from mezzotint.train.vae import VaeConfig, train_vae
    asked = _read(VaeConfig, config, minutes, precision)
    train_vae(asked.model_copy(update={"regularizer": regularizer}) if regularizer else asked)


@train.command()
def clip(config: File, minutes: Minutes = None, precision: PrecisionOption = None) -> None:
    """An image-text pair, or the text encoder alone where the file has no `vision`."""
    with needs_extra("train"):
        from mezzotint.train.clip import ClipConfig
        from mezzotint.train.pair import train_clip
    train_clip(_read(ClipConfig, config, minutes, precision))


@train.command()
def diffusion(config: File, minutes: Minutes = None, precision: PrecisionOption = None) -> None:
    """The denoiser of a text-to-image model."""
    with needs_extra("train"):
        from mezzotint.train.diffusion import DiffusionConfig, train_diffusion
    train_diffusion(_read(DiffusionConfig, config, minutes, precision))


@train.command()
def bundle(config: File, minutes: Minutes = None, precision: PrecisionOption = None) -> None:
    """The denoiser of `emoji` in stages, each from the weights of the one before; `make train-bundle`."""
    with needs_extra("train"):
        from mezzotint.train.curriculum import CurriculumConfig, train_curriculum
    from mezzotint.cli.output import check_folder

    curriculum = CurriculumConfig.read(config)
    check_folder(curriculum.out)
    if precision:
        loop = {**curriculum.base.get("loop", {}), "precision": precision}
        curriculum = curriculum.model_copy(update={"base": {**curriculum.base, "loop": loop}})
    train_curriculum(curriculum, curriculum.stage_configs(str(config)), minutes or 0.0, typer.echo)


@train.command()
def ddpm(config: File, minutes: Minutes = None, precision: PrecisionOption = None) -> None:
    """A model that draws pixels without a prompt, such as `faces`."""
    with needs_extra("train"):
        from mezzotint.train.ddpm import DdpmConfig, train_ddpm
    train_ddpm(_read(DdpmConfig, config, minutes, precision))


@train.command()
def adapter(config: File, minutes: Minutes = None, precision: PrecisionOption = None) -> None:
    """The map from BERT's states to a model's own text states, for `generate --encoder bert-adapted`."""
    with needs_extra("train"):
        from mezzotint.train.adapter import AdapterConfig, train_adapter
    train_adapter(_read(AdapterConfig, config, minutes, precision))


@train.command()
def words(config: File, minutes: Minutes = None, precision: PrecisionOption = None) -> None:
    """The text encoder of a model learns free wording; the denoiser and its captions stay as they are."""
    with needs_extra("train"):
        from mezzotint.train.free_wording import FreeWordingConfig, train_free_wording
    train_free_wording(_read(FreeWordingConfig, config, minutes, precision))


@train.command()
def decoder(config: File, minutes: Minutes = None, precision: PrecisionOption = None) -> None:
    """The small decoder of a model, through which guidance and previews see; goes into its `decoder_small/`."""
    with needs_extra("train"):
        from mezzotint.train.decoder import DecoderConfig, train_decoder
    train_decoder(_read(DecoderConfig, config, minutes, precision))


@train.command()
def sharpen(config: File, minutes: Minutes = None, precision: PrecisionOption = None) -> None:
    """The decoder of an autoencoder learns canonical scenes, so that pictures are sharper; latents stay as they are."""
    with needs_extra("train"):
        from mezzotint.train.sharpen import SharpenConfig, train_sharpen
    train_sharpen(_read(SharpenConfig, config, minutes, precision))


@train.command()
def upscaler(config: File, minutes: Minutes = None, precision: PrecisionOption = None) -> None:
    """The network behind `generate --upscale`; goes into the package's `bundles/upscaler/`."""
    with needs_extra("train"):
        from mezzotint.train.upscaler import UpscalerConfig, train_upscaler
    train_upscaler(_read(UpscalerConfig, config, minutes, precision))


@train.command()
def style(config: File, minutes: Minutes = None, precision: PrecisionOption = None) -> None:
    """The probe that tells the styles of the emoji set apart, for the metric `style_right`."""
    with needs_extra("train"):
        from mezzotint.train.style import StyleConfig, train_style
    train_style(_read(StyleConfig, config, minutes, precision))


def _read(kind: Any, file: Path, minutes: float | None, precision: str | None) -> Any:
    """The configuration of this kind, with `minutes` and `precision` in place of its own."""
    from mezzotint.cli.output import check_folder

    config = kind.read(file)
    check_folder(config.out)
    said = {"minutes": minutes, "precision": precision}
    update = {name: value for name, value in said.items() if value is not None}
    return config.model_copy(update={"loop": config.loop.model_copy(update=update)}) if update else config
