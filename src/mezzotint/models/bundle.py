"""A model on disk: the parts of a diffusers folder, found and checked without loading any of them.

Names in a folder's files are data: classes are matched against a list and never imported from what a file
says, file names may not leave the folder, and only safetensors are read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mezzotint.errors import ModelError, nearest
from mezzotint.models.architecture import TextArch, UNetArch, VaeArch
from mezzotint.models.cache import key_of, remembered_digest
from mezzotint.models.tensors import Tensor, TensorFile
from mezzotint.models.weights import Weights

MAX_JSON = 64 << 20  # bytes; the largest vocabulary in use has 4 million
PICKLED = (".bin", ".ckpt", ".pt", ".pth")

_PIPELINES = ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline")
_CLASSES = {
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL",),
    "text_encoder": ("CLIPTextModel",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
}
_STEMS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
_OLD_NAMES = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}


@dataclass(frozen=True)
class Part:
    """One network on disk."""

    name: str  # unet | vae | text_encoder
    where: Path  # for messages
    config: Mapping[str, Any]
    digest: str  # of the config and the weights
    stored: Callable[[], Mapping[str, Tensor]]  # the weights, by the names diffusers gives them today

    def weights(self) -> Weights:
        """The weights, to be taken one by one."""
        return Weights(self.stored(), self.where)


@dataclass(frozen=True)
class Bundle:
    """A text-to-image model on disk, checked as far as its configs go."""

    name: str
    path: Path
    digest: str  # of everything that decides pixels
    unet: Part
    vae: Part
    text_encoder: Part
    scheduler: Mapping[str, Any]
    tokenizer: Path  # a folder
    pad_token: str | None = None  # overrides the tokenizer's own

    def architectures(self) -> tuple[UNetArch, VaeArch, TextArch]:
        """What the three networks are; ModelError where they do not fit together."""
        unet = UNetArch.read(self.unet.config, str(self.unet.where / "config.json"))
        vae = VaeArch.read(self.vae.config, str(self.vae.where / "config.json"))
        text = TextArch.read(self.text_encoder.config, str(self.text_encoder.where / "config.json"))
        if unet.latent_channels != vae.latent_channels:
            raise ModelError(
                f"{self.path}: unet has {unet.latent_channels} channels, vae {vae.latent_channels}"
            )
        if unet.context != text.width:
            raise ModelError(
                f"{self.path}: unet reads text {unet.context} wide, text_encoder gives {text.width}"
            )
        return unet, vae, text


def read_folder(path: Path, name: str, cache: Path) -> Bundle:
    """A diffusers folder. ModelError names the file that is missing, foreign or damaged."""
    index = read_json(path / "model_index.json")
    _check_index(path / "model_index.json", index)
    unet, vae, text = (_part(path / part, part, cache) for part in _STEMS)
    if not (path / "tokenizer").is_dir():
        raise ModelError(f"{path / 'tokenizer'} is missing; copy the model's folder again")
    scheduler = read_json(path / "scheduler" / "scheduler_config.json")
    digest = digest_of((unet, vae, text), scheduler, path / "tokenizer", cache)
    return Bundle(name, path, digest, unet, vae, text, scheduler, path / "tokenizer")


def digest_of(parts: Iterable[Part], scheduler: Mapping[str, Any], tokenizer: Path, cache: Path) -> str:
    """The digest of a model: of everything that decides pixels."""
    files = [file for file in sorted(tokenizer.iterdir()) if file.suffix in (".json", ".txt")]
    words = [(file.name, remembered_digest(file, cache)) for file in files]
    return key_of("model", [part.digest for part in parts], dict(scheduler), words)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of bounded size. ModelError names the file."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise ModelError(f"{path} is larger than {MAX_JSON >> 20} MB; it is no part of a model")
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(
            f"{path} is missing; a model is a diffusers folder or a .safetensors file"
        ) from error
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON; copy the file again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} should hold a JSON object")
    return found


def refuse_pickle(path: Path) -> ModelError:
    """The error for weights that run code when they are opened, with the way to convert them."""
    load = f"from_pretrained({str(path)!r})" if path.is_dir() else f"from_single_file({str(path)!r})"
    convert = f"import diffusers; diffusers.StableDiffusionPipeline.{load}.save_pretrained('converted')"
    return ModelError(
        f"{path} holds pickled weights, which can run code when opened; "
        f'if you trust them, convert them once: python -c "{convert}"'
    )


def _check_index(path: Path, index: Mapping[str, Any]) -> None:
    kind = index.get("_class_name")
    if kind not in _PIPELINES:
        raise ModelError(
            f"{path}: pipeline {kind!r}; Mezzotint opens {_PIPELINES[0]}{nearest(str(kind), _PIPELINES)}"
        )
    for part, known in _CLASSES.items():
        found = index.get(part)
        if not isinstance(found, list) or len(found) != 2 or found[1] not in known:
            raise ModelError(f"{path}: {part} is {found!r}; Mezzotint opens {' or '.join(known)}")


def _part(folder: Path, part: str, cache: Path) -> Part:
    config = read_json(folder / "config.json")
    files = _weight_files(folder, _STEMS[part])
    digests = [remembered_digest(file, cache) for file in files]

    def stored() -> Mapping[str, Tensor]:
        return {
            _today(name, part): tensor for file in files for name, tensor in TensorFile.open(file).items()
        }

    return Part(part, folder, config, key_of(part, config, digests), stored)


def _today(name: str, part: str) -> str:
    """Today's name of a weight: older files name attention otherwise, and prefix the text encoder's."""
    if part == "text_encoder":
        return name.removeprefix("text_model.")
    if part == "vae" and ".attentions." in name:
        for old, new in _OLD_NAMES.items():
            name = name.replace(old, new)
    return name


def _weight_files(folder: Path, stem: str) -> list[Path]:
    for variant in ("", ".fp16"):
        if (folder / f"{stem}{variant}.safetensors").is_file():
            return [folder / f"{stem}{variant}.safetensors"]
    for name in (f"{stem}.safetensors.index.json", f"{stem}.safetensors.index.fp16.json"):
        if (folder / name).is_file():
            return _shards(folder, folder / name)
    if any(file.suffix in PICKLED for file in folder.iterdir()):
        raise refuse_pickle(folder.parent)
    raise ModelError(f"{folder / stem}.safetensors is missing; copy the model's folder again")


def _shards(folder: Path, index: Path) -> list[Path]:
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise ModelError(f"{index} lists no weights; copy the file again")
    files = []
    for name in sorted({str(file) for file in listed.values()}):
        if Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
            raise ModelError(f"{index} names {name!r}, which is not a .safetensors file beside it")
        if not (folder / name).is_file():
            raise ModelError(f"{folder / name} is missing; copy the model's folder again")
        files.append(folder / name)
    return files
