"""Which files in a network's folder are its weights: plain or a variant, in one file or in shards.

diffusers writes `STEM[.VARIANT].safetensors`, or shards beside `STEM.safetensors.index[.VARIANT].json`. Only names
are read here, so that a list of files on the hub serves as well as a folder.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from mezzotint.errors import ModelError

PICKLED = (".bin", ".ckpt", ".pt", ".pth")
# The first that is there is opened. float16 keeps more digits than bfloat16; the moving average (EMA) is what
# pictures are drawn with, the weights beside it are for training on.
ORDER = ("", "fp16", "bf16", "ema", "non_ema")
_OTHER_FORMATS = {
    ".msgpack": "Flax",
    ".h5": "TensorFlow",
    ".onnx": "ONNX",
    ".gguf": "GGUF",
    ".pb": "TensorFlow",
}


class WeightFile(NamedTuple):
    """What to open: weights, or the index of shards."""

    name: str
    variant: str  # "" of plain weights
    remark: str = ""  # what the user should know of the choice

    @property
    def is_index(self) -> bool:
        """Whether the weights are in shards, which this file lists."""
        return self.name.endswith(".json")


def weight_file(names: Collection[str], stem: str, folder: str) -> WeightFile | None:
    """The weights among the names in one folder; None where there are no safetensors by diffusers' names.

    ModelError where several unknown variants are there and none that is known. `folder`: for messages.
    """
    there = _variants(names, stem)
    known = [variant for variant in ORDER if variant in there]
    if not known and len(there) > 1:
        raise ModelError(
            f"{folder} has the variants {', '.join(sorted(there))}; rename the one to open to {_plain(there, stem)}"
        )
    if not there:
        return None
    variant = known[0] if known else next(iter(there))
    return WeightFile(there[variant], variant, _remark(variant, there, stem, folder))


def missing_weights(names: Collection[str], stem: str, folder: str) -> ModelError:
    """The error for a folder without weights that can be opened; pickles are refused elsewhere."""
    if shards := sorted(
        name for name in names if re.fullmatch(rf"{stem}[\w.]*-\d+-of-\d+.*\.safetensors", name)
    ):
        index = f"{stem}.safetensors.index.json"
        return ModelError(
            f"{folder}/{index} is missing, which lists {shards[0]}; copy the model's folder again"
        )
    if others := sorted(name for name in names if name.endswith(".safetensors")):
        return ModelError(
            f"{folder}/{stem}.safetensors is missing; rename {others[0]} to that if it holds the weights"
        )
    formats = {
        what for suffix, what in _OTHER_FORMATS.items() if any(name.endswith(suffix) for name in names)
    }
    if formats:
        return ModelError(
            f"{folder} has weights for {' and '.join(sorted(formats))} alone; Mezzotint opens .safetensors"
        )
    return ModelError(f"{folder}/{stem}.safetensors is missing; copy the model's folder again")


def has_pickles(names: Collection[str]) -> bool:
    """Whether weights that run code when opened are among the names."""
    return any(name.endswith(PICKLED) for name in names)


def _variants(names: Collection[str], stem: str) -> dict[str, str]:
    """The file of each variant: one with all weights goes before an index, which may be a leftover."""
    one = re.compile(rf"{re.escape(stem)}(?:\.(\w+))?\.safetensors")
    index = re.compile(rf"{re.escape(stem)}\.safetensors(?:\.(\w+))?\.index(?:\.(\w+))?\.json")
    found: dict[str, str] = {}
    for pattern in (index, one):
        for name in names:
            if match := pattern.fullmatch(name):
                found["".join(group or "" for group in match.groups())] = name
    return found


def _remark(variant: str, there: Mapping[str, str], stem: str, folder: str) -> str:
    """What the user should know; empty where there was nothing to choose."""
    if variant == "" or (len(there) == 1 and variant in ("fp16", "bf16", "ema")):
        return ""
    if len(there) > 1:
        others = ", ".join(sorted(there.keys() - {variant}))
        how = f"to open another, rename its file to {_plain(there, stem)}"
        return f"{folder} has no plain weights; {variant} is opened, not {others}; {how}"
    what = (
        "the variant non_ema (without the moving average of training)"
        if variant == "non_ema"
        else f"the variant {variant}"
    )
    return f"{folder} has {what} alone, which is opened"


def _plain(there: Mapping[str, str], stem: str) -> str:
    """The name of weights that are no variant."""
    shards = all(name.endswith(".json") for name in there.values())
    return f"{stem}.safetensors.index.json" if shards else f"{stem}.safetensors"
