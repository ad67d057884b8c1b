"""A model on disk, of one of two kinds: a text-to-image model, or one that draws pixels without a prompt.

Names in a folder's files are data: classes are matched against a list and never imported from what a file
says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mezzotint.config_keys import KeyTable
from mezzotint.errors import ModelError, nearest
from mezzotint.files import key_of, remembered_digest
from mezzotint.models.disk.architecture import PixelArch, TextArch, UNetArch, VaeArch
from mezzotint.models.disk.key_tables import PIXEL_INDEX, TEXT_TO_IMAGE_INDEX
from mezzotint.models.disk.parts import NetworkFiles, has_weights, read_json, read_part
from mezzotint.scheduler_config import check, correct_config, with_index_class

_TEXT_TO_IMAGE = ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline")
_PIXELS = ("DDPMPipeline", "DDIMPipeline")
_CLASSES = {
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL",),
    "text_encoder": ("CLIPTextModel",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
}
_PIXEL_UNET = "UNet2DModel"
_TYPO = 0.9  # likeness of a name that is meant; names of other pipelines are less alike
_NETWORKS = ("unet", "vae", "text_encoder")

# What a foreign pipeline is, by a part of its name; the first that fits.
_FOREIGN = {
    "ControlNet": "a model with a ControlNet",
    "Inpaint": "an inpainting model",
    "InstructPix2Pix": "a model that edits pictures",
    "Upscale": "an upscaler",
    "Depth2Img": "a model guided by depth",
    "ImageVariation": "a model that varies pictures",
    "UnCLIP": "an unCLIP model",
    "StableDiffusionXL": "Stable Diffusion XL",
    "StableDiffusion3": "Stable Diffusion 3",
    "LatentConsistency": "a latent consistency model",
    "Flux": "Flux",
    "PixArt": "PixArt",
    "Sana": "Sana",
    "Kandinsky": "Kandinsky",
    "Wuerstchen": "Wuerstchen",
    "StableCascade": "Stable Cascade",
    "AuraFlow": "AuraFlow",
    "Lumina": "Lumina",
    "Hunyuan": "a Hunyuan model",
    "QwenImage": "Qwen-Image",
    "CogView": "CogView",
    "DeepFloyd": "DeepFloyd IF",
    "IFPipeline": "DeepFloyd IF",
    "LDMTextToImage": "latent diffusion of before Stable Diffusion",
    "LDM": "an unconditional latent diffusion model",
    "DiT": "a diffusion transformer with class labels",
    "Audio": "a model of sound",
    "Music": "a model of sound",
    "Video": "a model of video",
    "Animate": "a model of video",
    "CogVideo": "a model of video",
    "Wan": "a model of video",
    "LTX": "a model of video",
    "Mochi": "a model of video",
    "ShapE": "a model of shapes",
    "StableDiffusion": "a variant of Stable Diffusion",
}
_OPENS = f"Mezzotint opens {_TEXT_TO_IMAGE[0]} and {_PIXELS[0]}"


def what_is(kind: str) -> str:
    """What a pipeline that Mezzotint does not open is, in words; "" where that is not known."""
    return next((words for part, words in _FOREIGN.items() if part in kind), "")


@dataclass(frozen=True)
class Bundle:
    """A text-to-image model on disk, checked as far as its configs go."""

    name: str
    path: Path
    digest: str  # of everything that decides pixels
    unet: NetworkFiles
    vae: NetworkFiles
    text_encoder: NetworkFiles
    scheduler: Mapping[str, Any]
    tokenizer: Path  # a folder
    pad_token: str | None = None  # overrides the tokenizer's own

    def architectures(self) -> tuple[UNetArch, VaeArch, TextArch]:
        """What the three networks are; ModelError where they do not fit together."""
        parts = {part.name: (part.config, part.where) for part in (self.unet, self.vae, self.text_encoder)}
        return _architectures(parts, self.path)

    @property
    def remarks(self) -> list[str]:
        """What the user should know of the files that were chosen."""
        return [part.remark for part in (self.unet, self.vae, self.text_encoder) if part.remark]


@dataclass(frozen=True)
class PixelBundle:
    """A model on disk that draws pixels without a prompt, checked as far as its config goes."""

    name: str
    path: Path
    digest: str  # of everything that decides pixels
    unet: NetworkFiles
    scheduler: Mapping[str, Any]

    def architecture(self) -> PixelArch:
        """What the network is."""
        return PixelArch.read(self.unet.config, str(self.unet.where / "config.json"))

    @property
    def remarks(self) -> list[str]:
        """What the user should know of the files that were chosen."""
        return [self.unet.remark] if self.unet.remark else []


AnyBundle = Bundle | PixelBundle


def read_folder(path: Path, name: str, cache: Path) -> AnyBundle:
    """A diffusers folder of either kind. ModelError names the file that is missing, foreign or damaged."""
    return (_read_pixels if draws_pixels(path) else _read_text_to_image)(path, name, cache)


def draws_pixels(path: Path) -> bool:
    """Whether a folder's model has no text to read; ModelError where it is of neither kind.

    The oldest models on the hub are a denoiser alone, without an index.
    """
    index, bare = path / "model_index.json", path / "config.json"
    if not index.is_file() and bare.is_file():
        return bool(read_json(bare).get("_class_name") == _PIXEL_UNET)
    if not index.is_file() and (single := sorted(path.glob("*.safetensors"))):
        raise ModelError(f"{path} has no model_index.json; name the file in it: {single[0]}")
    kind, known = read_json(index).get("_class_name"), _TEXT_TO_IMAGE + _PIXELS
    if kind not in known:
        words = what_is(str(kind))
        hint = "" if words else nearest(str(kind), known, _TYPO)
        is_what = f" is {words}" if words else "" if hint else " is of another family"
        raise ModelError(f"{index}: pipeline {kind!r}{is_what}; {_OPENS}{hint}")
    return kind in _PIXELS


def is_whole(path: Path) -> bool:
    """Whether a folder has the files of a model, of either kind, as far as their names tell."""
    if (path / "model_index.json").is_file() and all((path / part).is_dir() for part in _NETWORKS):
        scheduled = (path / "scheduler" / "scheduler_config.json").is_file()
        return scheduled and (path / "tokenizer").is_dir() and all(_filled(path / p, p) for p in _NETWORKS)
    unet = _pixel_folder(path, "unet")
    scheduled = (_pixel_folder(path, "scheduler") / "scheduler_config.json").is_file()
    filled = _filled(unet, "unet")
    return scheduled and filled and read_json(unet / "config.json").get("_class_name") == _PIXEL_UNET


def _filled(folder: Path, part: str) -> bool:
    return (folder / "config.json").is_file() and has_weights(folder, part)


def check_configs(path: Path) -> dict[str, Path]:
    """The folder of each network of a model of which only the configs are looked at, not the weights.

    ModelError where it is no model that Mezzotint opens.
    """
    if draws_pixels(path):
        folders = {"unet": _pixel_folder(path, "unet")}
        _check_pixels(path, read_json(folders["unet"] / "config.json"), folders["unet"])
        check(_scheduler(path, _pixel_folder(path, "scheduler")))
        return folders
    _check_index(path / "model_index.json", TEXT_TO_IMAGE_INDEX, _CLASSES)
    folders = {part: path / part for part in _NETWORKS}
    _architectures(
        {part: (read_json(folder / "config.json"), folder) for part, folder in folders.items()}, path
    )
    check(_scheduler(path, path / "scheduler"))
    _check_tokenizer(path)
    return folders


def _check_tokenizer(path: Path) -> None:
    if not (path / "tokenizer").is_dir():
        raise ModelError(f"{path / 'tokenizer'} is missing; copy the model's folder again")


def _architectures(
    parts: Mapping[str, tuple[Mapping[str, Any], Path]], path: Path
) -> tuple[UNetArch, VaeArch, TextArch]:
    """What three networks are by their configs; ModelError where they do not fit together."""
    configs = {part: (config, str(where / "config.json")) for part, (config, where) in parts.items()}
    unet, vae = UNetArch.read(*configs["unet"]), VaeArch.read(*configs["vae"])
    text = TextArch.read(*configs["text_encoder"])
    if unet.latent_channels != vae.latent_channels:
        raise ModelError(f"{path}: unet has {unet.latent_channels} channels, vae {vae.latent_channels}")
    if unet.context != text.width:
        raise ModelError(f"{path}: unet reads text {unet.context} wide, text_encoder gives {text.width}")
    return unet, vae, text


def _read_text_to_image(path: Path, name: str, cache: Path) -> Bundle:
    _check_index(path / "model_index.json", TEXT_TO_IMAGE_INDEX, _CLASSES)
    unet, vae, text = (read_part(path / part, part, path, cache) for part in _NETWORKS)
    _check_tokenizer(path)
    scheduler = correct_config(_scheduler(path, path / "scheduler"))
    digest = digest_of((unet, vae, text), scheduler, path / "tokenizer", cache)
    return Bundle(name, path, digest, unet, vae, text, scheduler, path / "tokenizer")


def _read_pixels(path: Path, name: str, cache: Path) -> PixelBundle:
    """The parts lie in folders of their own or, in the oldest models, in the model's folder itself."""
    unet = read_part(_pixel_folder(path, "unet"), "unet", path, cache)
    _check_pixels(path, unet.config, unet.where)
    scheduler = _scheduler(path, _pixel_folder(path, "scheduler"))
    return PixelBundle(name, path, key_of("model", [unet.digest], dict(scheduler)), unet, scheduler)


def _check_pixels(path: Path, config: Mapping[str, Any], folder: Path) -> None:
    if (path / "model_index.json").is_file():
        _check_index(path / "model_index.json", PIXEL_INDEX, {"unet": (_PIXEL_UNET,)})
    if (kind := config.get("_class_name", _PIXEL_UNET)) != _PIXEL_UNET:
        raise ModelError(f"{folder / 'config.json'}: class {kind!r}; a pixel model has a {_PIXEL_UNET}")
    PixelArch.read(config, str(folder / "config.json"))


def _scheduler(path: Path, folder: Path) -> dict[str, Any]:
    """The settings of the scheduler, of the class that the index of the model names, where there is one."""
    config, index = read_json(folder / "scheduler_config.json"), path / "model_index.json"
    return with_index_class(config, read_json(index).get("scheduler")) if index.is_file() else config


def _pixel_folder(path: Path, part: str) -> Path:
    return path / part if (path / part).is_dir() else path


def digest_of(
    parts: Iterable[NetworkFiles], scheduler: Mapping[str, Any], tokenizer: Path, cache: Path
) -> str:
    """The digest of a model: of everything that decides pixels."""
    files = [file for file in sorted(tokenizer.iterdir()) if file.suffix in (".json", ".txt")]
    words = [(file.name, remembered_digest(file, cache)) for file in files]
    return key_of("model", [part.digest for part in parts], dict(scheduler), words)


def _check_index(path: Path, table: KeyTable, classes: Mapping[str, tuple[str, ...]]) -> None:
    index = read_json(path)
    table.check(index, str(path))
    for part, known in classes.items():
        found = index.get(part)
        if not isinstance(found, list) or len(found) != 2 or found[1] not in known:
            raise ModelError(f"{path}: {part} is {found!r}; Mezzotint opens {' or '.join(known)}")
