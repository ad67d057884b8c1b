"""A network on disk: its config and its weights, found and checked without loading them.

Only safetensors are read, and the file names in an index may not leave the folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mezzotint.errors import ModelError
from mezzotint.files import key_of, remembered_digest
from mezzotint.models.disk.variants import has_pickles, missing_weights, weight_file
from mezzotint.models.disk.weights import Tensor, TensorFile, Weights

MAX_JSON = 64 << 20  # bytes; the largest vocabulary in use has 4 million

STEMS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
_OLD_NAMES = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}


@dataclass(frozen=True)
class NetworkFiles:
    """One network on disk."""

    name: str  # unet | vae | text_encoder
    where: Path  # for messages
    config: Mapping[str, Any]
    digest: str  # of the config and the weights
    stored: Callable[[], Mapping[str, Tensor]]  # the weights, by the names diffusers gives them today
    remark: str = ""  # what the user should know of the choice among variants

    def weights(self) -> Weights:
        """The weights, to be taken one by one."""
        return Weights(self.stored(), self.where)


def read_part(folder: Path, part: str, model: Path, cache: Path) -> NetworkFiles:
    """The network in a folder; `model` is the folder of the whole. ModelError names what is missing."""
    config = read_json(folder / "config.json")
    files, remark = _weight_files(folder, STEMS[part], model)
    digests = [remembered_digest(file, cache) for file in files]

    def load() -> Mapping[str, Tensor]:
        return {
            _today(name, part): tensor for file in files for name, tensor in TensorFile.open(file).items()
        }

    return NetworkFiles(part, folder, config, key_of(part, config, digests), load, remark)


def _today(name: str, part: str) -> str:
    """Today's name of a weight: older files name attention otherwise, and prefix the text encoder's."""
    if part == "text_encoder":
        return name.removeprefix("text_model.")
    if ".attentions." in name:
        for old, new in _OLD_NAMES.items():
            name = name.replace(old, new)
    return name


def has_weights(folder: Path, part: str) -> bool:
    """Whether all weight files of a network are in a folder, as far as their names tell."""
    try:
        return bool(_weight_files(folder, STEMS[part], folder))
    except (ModelError, OSError):
        return False


def _weight_files(folder: Path, stem: str, model: Path) -> tuple[list[Path], str]:
    """The files with the weights, and a remark on the choice. ModelError says what is there instead."""
    names = [file.name for file in folder.iterdir()]
    chosen = weight_file(names, stem, str(folder))
    if chosen is None and has_pickles(names):
        raise refuse_pickle(str(model), "folder", names)
    if chosen is None:
        raise missing_weights(names, stem, str(folder))
    if not chosen.is_index:
        return [folder / chosen.name], chosen.remark
    files = [folder / name for name in shards(folder / chosen.name)]
    for file in files:
        if not file.is_file():
            raise ModelError(f"{file} is missing; copy the model's folder again")
    return files, chosen.remark


def shards(index: Path) -> list[str]:
    """The names of the files that an index lists. ModelError where one is not a .safetensors file beside it."""
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise ModelError(f"{index} lists no weights; copy the file again")
    names = sorted({str(file) for file in listed.values()})
    for name in names:
        if Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
            raise ModelError(f"{index} names {name!r}, which is not a .safetensors file beside it")
    return names


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


def refuse_pickle(source: str, kind: Literal["folder", "file"], names: Collection[str] = ()) -> ModelError:
    """The error for weights that run code when they are opened, with the way to convert them.

    `names`: of the files in the folder, which tell whether they are a variant.
    """
    weights = [name for name in names if has_pickles([name])]
    half = ", variant='fp16'" if weights and all(".fp16." in name for name in weights) else ""
    how = (
        "DiffusionPipeline.from_pretrained"
        if kind == "folder"
        else "StableDiffusionPipeline.from_single_file"
    )
    convert = f"import diffusers; diffusers.{how}({source!r}{half}).save_pretrained('converted')"
    return ModelError(
        f"{source} holds pickled weights, which can run code when opened; "
        f'if you trust them, convert them once: python -c "{convert}", and open the folder converted'
    )
