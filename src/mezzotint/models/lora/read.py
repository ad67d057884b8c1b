"""LoRA files (2106.09685) as diffusers and as kohya's tools write them, merged: W + weight * alpha/rank * B @ A.

How one layer is spelled:
    diffusers  unet.down_blocks.0.attentions.0.proj_in.lora_A.weight    also .lora.down., and peft's prefix
    kohya      lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ModelError, nearest
from mezzotint.lora import parse
from mezzotint.models.cache import key_of
from mezzotint.models.disk.bundle import AnyBundle, Bundle
from mezzotint.models.disk.parts import Part
from mezzotint.models.disk.tensors import Tensor, TensorFile

Stored = Mapping[str, Tensor]  # the weights of a network by name

_KOHYA = re.compile(
    r"lora_(?P<network>unet|te1?|te2)_(?P<layer>\w+)\.(?:lora_(?P<side>down|up)\.weight|alpha)"
)
_DIFFUSERS = re.compile(
    r"(?P<layer>.+?)\.(?:lora(?:_linear_layer)?[._](?P<side>A|B|down|up)(?:\.\w+)?\.weight|alpha)"
)
_NETWORKS = {"unet": "unet", "te": "text_encoder", "te1": "text_encoder", "te2": "text_encoder_2"}
_WRAPPERS = ("base_model.model.", *(f"{network}." for network in set(_NETWORKS.values())))
_OLD = {".processor.": ".", ".to_out_lora.": ".to_out.0.lora.", "_lora.": ".lora."}
_SETTINGS = "lora_adapter_metadata"  # diffusers keeps peft's there


class Place(NamedTuple):
    """What one layer of one file is for."""

    network: str  # unet | text_encoder
    spelled: str  # the layer as the file has it


@dataclass(frozen=True)
class Low:
    """A matrix of low rank for one layer."""

    name: str  # of the layer, with its network's
    a: Tensor  # (rank, cin) or (rank, cin, h, w)
    b: Tensor  # (cout, rank) or (cout, rank, 1, 1)
    scale: float  # alpha / rank

    def product(self) -> NDArray[np.float32]:
        """(cout, cin*h*w) scale * B @ A. ModelError where it is not finite."""
        try:
            a, b = (tensor.read().astype(np.float32) for tensor in (self.a, self.b))
        except OSError as error:
            raise ModelError(f"cannot read {self.a.file}: {error}; give the LoRA again with --lora") from None
        with np.errstate(all="ignore"):
            product = np.float32(self.scale) * (b.reshape(len(b), -1) @ a.reshape(len(a), -1))
        if not np.isfinite(product).all():
            raise ModelError(f"{self.a.file}: {self.name} holds NaN or infinity; the LoRA is damaged")
        return np.asarray(product, np.float32)


@dataclass(frozen=True)
class Merged(Tensor):
    """A stored weight and what adapters add to it."""

    base: Tensor
    added: tuple[tuple[float, Low], ...]  # weights of the adapters

    def read(self) -> NDArray[Any]:
        """Float32."""
        value = self.base.read().astype(np.float32)
        for weight, low in self.added:
            value += np.float32(weight) * low.product().reshape(value.shape)
        return value


def adapted_bundle(find: Callable[[str], Path], bundle: AnyBundle, lora: str) -> AnyBundle:
    """The bundle with adapters merged into its denoiser and text encoder, which is computed when they are read.

    `find` gives the file of a digest. ModelError where a layer of a file is none of the model's, or does not fit.
    """
    parts = {"unet": bundle.unet}
    if isinstance(bundle, Bundle):
        parts["text_encoder"] = bundle.text_encoder
    stored = {name: part.stored() for name, part in parts.items()}
    added: dict[str, dict[str, list[tuple[float, Low]]]] = {}
    for adapter in parse(lora):
        for (network, weight), low in lows(TensorFile.open(find(adapter.digest)), stored).items():
            added.setdefault(network, {}).setdefault(weight, []).append((adapter.weight, low))
    merged = {name: _merged(parts[name], stored[name], more, lora) for name, more in added.items()}
    return replace(bundle, **merged)  # type: ignore[arg-type]  # both kinds have these parts


def _merged(part: Part, stored: Stored, added: Mapping[str, list[tuple[float, Low]]], lora: str) -> Part:
    tensors = {
        name: Merged(stored[name].file, "F32", stored[name].shape, 0, stored[name], tuple(more))
        for name, more in added.items()
    }
    code = Path(__file__).read_text()  # what is compiled depends on it too
    return replace(part, digest=key_of(part.digest, lora, code), stored=lambda: {**stored, **tensors})


def lows(file: TensorFile, stored: Mapping[str, Stored]) -> dict[tuple[str, str], Low]:
    """What a file has for each weight, by network and name. ModelError where it does not fit these networks."""
    names = {network: _names(weights) for network, weights in stored.items()}
    found = {}
    for place, sides in grouped(file).items():
        if place.network not in names:
            raise ModelError(f"{file.path} is for a {place.network} too, which the model does not have")
        if place.spelled not in names[place.network]:
            hint = nearest(place.spelled, names[place.network])
            raise ModelError(f"{file.path}: the model's {place.network} has no layer {place.spelled}{hint}")
        weight = names[place.network][place.spelled]
        found[place.network, weight] = _low(file, place, sides, stored[place.network][weight], weight)
    return found


def grouped(file: TensorFile) -> dict[Place, dict[str, Tensor]]:
    """A, B and perhaps alpha of each layer. ModelError where the file holds anything else, or half a layer."""
    layers: dict[Place, dict[str, Tensor]] = {}
    for name, tensor in file.items():
        place, side = _read(name, file.path)
        layers.setdefault(place, {})[side] = tensor
    for place, sides in layers.items():
        if missing := {"A", "B"} - set(sides):
            raise ModelError(f"{file.path}: {place.spelled} has no {missing.pop()}, which a LoRA of it needs")
    if not layers:
        raise ModelError(f"{file.path} holds no LoRA")
    return layers


def _read(name: str, path: Path) -> tuple[Place, str]:
    """What a tensor of a LoRA file is: its layer, and A, B or alpha."""
    if found := _KOHYA.fullmatch(name):
        network, layer = _NETWORKS[found["network"]], found["layer"]
    else:
        network, today = "unet", name
        while wrapper := next((w for w in _WRAPPERS if today.startswith(w)), ""):
            network = network if wrapper == _WRAPPERS[0] else wrapper[:-1]
            today = today.removeprefix(wrapper)
        for old, new in _OLD.items():
            today = today.replace(old, new)
        if not (found := _DIFFUSERS.fullmatch(today)):
            raise ModelError(
                f"{path}: {name} is not of a LoRA of linear or convolution layers; no other is read"
            )
        layer = found["layer"]
    side = {"A": "A", "down": "A", "B": "B", "up": "B"}.get(found["side"] or "", "alpha")
    return Place(network, layer), side


def _names(stored: Stored) -> dict[str, str]:
    """Each spelling of a layer that may have a LoRA, and its weight's name."""
    weights = [
        name for name, tensor in stored.items() if name.endswith(".weight") and len(tensor.shape) in (2, 4)
    ]
    spelled = {}
    for weight in weights:
        layer = weight.removesuffix(".weight")
        for name in (layer, f"text_model.{layer}"):
            spelled[name] = spelled[name.replace(".", "_")] = weight
    return spelled


def _low(file: TensorFile, place: Place, sides: Mapping[str, Tensor], weight: Tensor, name: str) -> Low:
    a, b = sides["A"], sides["B"]
    shape, down, up = (_trimmed(tensor.shape) for tensor in (weight, a, b))
    rank = down[0] if down else 0
    if not rank or down[1:] != shape[1:] or up != (shape[0], rank):
        shapes = f"A {list(a.shape)} and B {list(b.shape)} do not fit its {list(weight.shape)}"
        raise ModelError(
            f"{file.path}: {name.removesuffix('.weight')}: {shapes}; it is a LoRA of another model"
        )
    layer = f"{place.network}.{name.removesuffix('.weight')}"
    return Low(layer, a, b, _scale(file, place, sides.get("alpha"), rank))


def _trimmed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A 1x1 convolution is a linear layer."""
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _scale(file: TensorFile, place: Place, stored: Tensor | None, rank: int) -> float:
    """alpha / rank: alpha is a tensor beside A and B, or among peft's settings, or else the rank."""
    settings = _settings(file, place.network)
    try:
        if stored is not None:
            return _finite(stored.read().reshape(-1)[0]) / rank
        patterns: dict[str, Any] = settings.get("alpha_pattern") or {}
        fits = (alpha for end, alpha in patterns.items() if _ends(place.spelled, end))
        alpha = _finite(next(fits, settings.get("lora_alpha", rank)))
        return float(alpha / (rank**0.5 if settings.get("use_rslora") else rank))
    except (ValueError, TypeError, IndexError, AttributeError):
        raise ModelError(
            f"{file.path}: alpha of {place.spelled} cannot be read; fetch the file again"
        ) from None


def _ends(layer: str, pattern: str) -> bool:
    """Whether peft's pattern names a layer: the end of its name, after a ^ the whole. ValueError for other patterns."""
    if not re.fullmatch(r"\^?[\w.]+", pattern):
        raise ValueError(pattern)
    whole, name = pattern.startswith("^"), pattern.removeprefix("^")
    return layer == name or (not whole and layer.endswith(f".{name}"))


def _finite(value: Any) -> float:
    if not np.isfinite(number := float(value)):
        raise ValueError
    return number


def _settings(file: TensorFile, network: str) -> dict[str, Any]:
    """What diffusers wrote of peft's settings for a network. ModelError where they ask for more than LoRA."""
    if _SETTINGS not in file.metadata:
        return {}
    try:
        told = json.loads(file.metadata[_SETTINGS])
        settings = {k.removeprefix(f"{network}."): v for k, v in told.items() if k.startswith(f"{network}.")}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise ModelError(f"{file.path} has damaged settings ({_SETTINGS}); fetch it again") from None
    if settings.get("use_dora") or settings.get("lora_bias"):
        raise ModelError(f"{file.path} is more than LoRA (DoRA, or biases), which is not read")
    return settings
