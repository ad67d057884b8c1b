"""A network on disk: its config and its weights, found and checked without loading them.

Only safetensors are read, and the file names in an index may not leave the folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mezzotint.errors import ModelError
from mezzotint.models.cache import key_of, remembered_digest
from mezzotint.models.disk.tensors import Tensor, TensorFile
from mezzotint.models.disk.weights import Weights

MAX_JSON = 64 << 20  # bytes; the largest vocabulary in use has 4 million
PICKLED = (".bin", ".ckpt", ".pt", ".pth")

_STEMS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
_OLD_NAMES = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}


@dataclass(frozen=True)
class NetworkFiles:
    """One network on disk."""

    name: str  # unet | vae | text_encoder
    where: Path  # for messages
    config: Mapping[str, Any]
    digest: str  # of the config and the weights
    stored: Callable[[], Mapping[str, Tensor]]  # the weights, by the names diffusers gives them today

    def weights(self) -> Weights:
        """The weights, to be taken one by one."""
        return Weights(self.stored(), self.where)


def read_part(folder: Path, part: str, model: Path, cache: Path) -> NetworkFiles:
    """The network in a folder; `model` is the folder of the whole. ModelError names what is missing."""
    config = read_json(folder / "config.json")
    files = _weight_files(folder, _STEMS[part], model)
    digests = [remembered_digest(file, cache) for file in files]

    def load() -> Mapping[str, Tensor]:
        return {
            _today(name, part): tensor for file in files for name, tensor in TensorFile.open(file).items()
        }

    return NetworkFiles(part, folder, config, key_of(part, config, digests), load)


def _today(name: str, part: str) -> str:
    """Today's name of a weight: older files name attention otherwise, and prefix the text encoder's."""
    if part == "text_encoder":
        return name.removeprefix("text_model.")
    if ".attentions." in name:
        for old, new in _OLD_NAMES.items():
            name = name.replace(old, new)
    return name


def _weight_files(folder: Path, stem: str, model: Path) -> list[Path]:
    for variant in ("", ".fp16"):
        if (folder / f"{stem}{variant}.safetensors").is_file():
            return [folder / f"{stem}{variant}.safetensors"]
    for name in (f"{stem}.safetensors.index.json", f"{stem}.safetensors.index.fp16.json"):
        if (folder / name).is_file():
            return _shards(folder, folder / name)
    if any(file.suffix in PICKLED for file in folder.iterdir()):
        raise refuse_pickle(model)
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
    how = "DiffusionPipeline.from_pretrained" if path.is_dir() else "StableDiffusionPipeline.from_single_file"
    convert = f"import diffusers; diffusers.{how}({str(path)!r}).save_pretrained('converted')"
    return ModelError(
        f"{path} holds pickled weights, which can run code when opened; "
        f'if you trust them, convert them once: python -c "{convert}"'
    )
