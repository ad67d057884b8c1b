"""A model of the hub: its list of files and its configs are looked at before any weight is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from mezzotint.errors import ModelError
from mezzotint.models.disk.bundle import check_configs, is_whole
from mezzotint.models.disk.hub import fetch, list_files, local_folder
from mezzotint.models.disk.parts import STEMS, refuse_pickle, shards
from mezzotint.models.disk.variants import has_pickles, missing_weights, weight_file

# All that a model needs but for its weights. The oldest models without text have it all in one folder.
_SMALL = (
    "model_index.json",
    "mezzotint.json",
    "words.json",
    "config.json",
    "scheduler_config.json",
    "scheduler/scheduler_config.json",
    "tokenizer/*.json",
    "tokenizer/*.txt",
    "decoder_small/*.json",
    *(f"{part}/config.json" for part in STEMS),
    *(f"{part}/*.safetensors*.json" for part in STEMS),
    "*.safetensors*.json",
)
_OWN = "decoder_small/model.safetensors"
_LORA = ("adapter_config.json", "adapter_model.safetensors", "pytorch_lora_weights.safetensors")


def download_model(repo: str) -> Path:
    """The folder of a hub model, fetched where it is not here yet.

    ModelError before any weight is fetched where it is none that Mezzotint opens; it says what is there.
    """
    local = local_folder(repo)
    if local and is_whole(local):
        return local
    names = list_files(repo)
    if "model_index.json" not in names and "config.json" not in names:
        raise _no_folder(repo, names)
    small = [name for name in names if any(_matches(name, pattern) for pattern in _SMALL)]
    folder = fetch(repo, small)
    try:
        weights = _weights(repo, folder, names)
    except ModelError as error:  # of files in the hub's cache, whose path says nothing to the user
        message = str(error).replace(str(folder), repo)
        raise ModelError(message if repo in message else f"{repo}: {message}") from None
    return fetch(repo, [*small, *weights, *(name for name in names if name == _OWN)])


def _matches(name: str, pattern: str) -> bool:
    return name.count("/") == pattern.count("/") and fnmatch(name, pattern)


def _weights(repo: str, folder: Path, names: Sequence[str]) -> list[str]:
    """The weight files of each network, of which the configs are in `folder` already."""
    found: list[str] = []
    for part, place in check_configs(folder).items():
        start = "" if place == folder else f"{place.name}/"
        inside = (name.removeprefix(start) for name in names if name.startswith(start))
        beside = [name for name in inside if "/" not in name]
        where = f"{repo}/{start}".rstrip("/")
        chosen = weight_file(beside, STEMS[part], where)
        if chosen is None and has_pickles(beside):
            raise refuse_pickle(repo, "folder", beside)
        if chosen is None:
            raise missing_weights(beside, STEMS[part], where)
        files = shards(place / chosen.name) if chosen.is_index else [chosen.name]
        if missing := [file for file in files if file not in beside]:
            raise ModelError(
                f"{where}/{missing[0]} is missing, which {chosen.name} lists; tell the model's owner"
            )
        found += [start + file for file in files]
    return found


def _no_folder(repo: str, names: Sequence[str]) -> ModelError:
    """The error for a repository that is no diffusers folder: what it is, and what to do."""
    top = [name for name in names if "/" not in name]
    single = [name for name in top if name.endswith(".safetensors")]
    if any(name in top for name in _LORA):
        file = next((name for name in _LORA[1:] if name in top), _LORA[0])
        return ModelError(
            f"{repo} is a LoRA, no model; fetch it (hf download {repo} --local-dir lora) and draw with --lora lora/{file}"
        )
    if single:
        more = f" and {len(single) - 1} more" if len(single) > 1 else ""
        return ModelError(
            f"{repo} has single files, {single[0]}{more}, and is no diffusers folder; fetch one "
            f"(hf download {repo} {single[0]} --local-dir .) and name its path"
        )
    if pickles := [name for name in top if has_pickles([name])]:
        return ModelError(
            f"{repo} has pickled weights alone ({pickles[0]}), which can run code when opened; "
            "look for the model as .safetensors"
        )
    inner = sorted({name.rpartition("/")[0] for name in names if name.endswith("/model_index.json")})
    if inner:
        return ModelError(
            f"{repo} has models in folders, such as {inner[0]}; fetch one (hf download {repo} --include '{inner[0]}/*' "
            f"--local-dir .) and name its path"
        )
    return ModelError(f"{repo} holds no model: it has neither model_index.json nor a .safetensors file")
