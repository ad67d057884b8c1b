"""LoRA files and their kin, read and merged: W + weight * dW (`delta` has dW, `format` the spellings)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ModelError, nearest
from mezzotint.expressions import parse_lora
from mezzotint.files import key_of
from mezzotint.models.disk.bundle import AnyBundle, Bundle
from mezzotint.models.disk.parts import NetworkFiles
from mezzotint.models.disk.weights import Tensor, TensorFile
from mezzotint.models.lora.delta import Delta, Factors, Roles, Whole, magnitude_axis
from mezzotint.models.lora.format import LayerName, PeftSettings, Stored, layers_of, settings_of, spellings
from mezzotint.models.weight_files import LORA, kind_of

_SOURCES = ("read.py", "delta.py", "format.py")
_BIAS = "diff_b"
_FORMS = (  # the roles that a layer must have, of which each is known by its first
    ("A", "B"),
    ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),
    ("diff",),
    (_BIAS,),
)
_LCM_NAME = re.compile(r"(?<![a-z])lcm(?![a-z])", re.IGNORECASE)
_LCM = (
    "needs the sampler lcm, which Mezzotint does not have yet; with another its pictures are not those meant"
)


class LoraFile(NamedTuple):
    """A kept file, and what the user called it."""

    path: Path
    name: str


@dataclass(frozen=True)
class MergedTensor(Tensor):
    """A stored weight and what adapters add to it."""

    base: Tensor
    added: tuple[tuple[float, Delta], ...]  # weights of the adapters

    def read(self) -> NDArray[Any]:
        """Float32."""
        base = self.base.read().astype(np.float32)
        value = base.copy()
        for weight, delta in self.added:
            value += np.float32(weight) * delta.added_to(base)
        return value


def adapted_bundle(find: Callable[[str], LoraFile], bundle: AnyBundle, lora: str) -> AnyBundle:
    """The bundle with adapters merged into its denoiser and text encoder, which is computed when they are read.

    `find` gives the file of a digest. Layers that the model lacks are skipped, which is warned of. ModelError where
    none of a file is the model's, or one does not fit.
    """
    parts = {"unet": bundle.unet}
    if isinstance(bundle, Bundle):
        parts["text_encoder"] = bundle.text_encoder
    stored = {name: part.stored() for name, part in parts.items()}
    added: dict[str, dict[str, list[tuple[float, Delta]]]] = {}
    for adapter in parse_lora(lora):
        path, name = find(adapter.digest)
        for (network, weight), delta in deltas(TensorFile.open(path), name, stored).items():
            added.setdefault(network, {}).setdefault(weight, []).append((adapter.weight, delta))
    merged = {name: _merge_into(parts[name], stored[name], more, lora) for name, more in added.items()}
    return replace(bundle, **merged)  # type: ignore[arg-type]  # both kinds have these parts


def _merge_into(
    part: NetworkFiles, stored: Stored, added: Mapping[str, list[tuple[float, Delta]]], lora: str
) -> NetworkFiles:
    tensors = {
        name: MergedTensor(stored[name].file, "F32", stored[name].shape, 0, stored[name], tuple(more))
        for name, more in added.items()
    }
    code = [
        Path(__file__).with_name(name).read_text() for name in _SOURCES
    ]  # what is compiled depends on it too
    return replace(part, digest=key_of(part.digest, lora, code), stored=lambda: {**stored, **tensors})


def deltas(file: TensorFile, name: str, stored: Mapping[str, Stored]) -> dict[tuple[str, str], Delta]:
    """What a file adds to each weight, by network and name. ModelError where it does not fit these networks.

    `name`: what the user calls the file. Layers that the networks lack are skipped with a warning.
    """
    spelled = {network: spellings(weights) for network, weights in stored.items()}
    settings = {network: settings_of(file, network, name) for network in stored}
    layers = {place: (roles, _layer_of(place, spelled)) for place, roles in group_by_layer(file).items()}
    _tell_missing(
        file, name, [place for place, (_, layer) in layers.items() if not layer], len(layers), spelled
    )
    found: dict[tuple[str, str], Delta] = {}
    for place, (roles, layer) in layers.items():
        if layer:
            builder = _Builder(name, place, f"{place.network}.{layer}", settings[place.network])
            for end, delta in builder.deltas(roles, stored[place.network], layer):
                found[place.network, f"{layer}.{end}"] = delta
    if _LCM_NAME.search("/".join(Path(name).parts[-2:])):
        warnings.warn(f"{name} is, by its name, an LCM-LoRA; it {_LCM}", stacklevel=2)
    return found


def _layer_of(place: LayerName, spelled: Mapping[str, Mapping[str, str]]) -> str:
    """The model's name of a layer; "" where it has none."""
    return spelled.get(place.network, {}).get(place.spelled, "")


def _tell_missing(
    file: TensorFile,
    name: str,
    missing: list[LayerName],
    count: int,
    spelled: Mapping[str, Mapping[str, str]],
) -> None:
    """ModelError where no layer is the model's, or the file is for another family; else a warning on those missing."""
    if not missing:
        return
    first = missing[0]
    kind = kind_of(file)
    if kind.startswith(f"{LORA} of"):
        raise ModelError(f"{name} is {kind}; Mezzotint merges LoRA of Stable Diffusion 1.x and 2.x")
    if len(missing) == count:
        if first.network not in spelled:
            raise ModelError(f"{name} is for a {first.network}, which the model does not have")
        hint = nearest(first.spelled, spelled[first.network])
        raise ModelError(f"{name} fits no layer: the model's {first.network} has no {first.spelled}{hint}")
    layers = f"{len(missing)} of its {count} layers, such as {first.network}.{first.spelled}"
    warnings.warn(f"{name}: the model lacks {layers}; they are left out", stacklevel=3)


def group_by_layer(file: TensorFile) -> dict[LayerName, dict[str, Tensor]]:
    """The tensors of each layer by their role. ModelError where the file holds anything else, or half a layer."""
    try:
        layers = layers_of(file)
    except ModelError:
        if (kind := kind_of(file)) in ("", LORA):
            raise
        raise ModelError(
            f"{file.path} is {kind}; --lora takes LoRA of Stable Diffusion 1.x and 2.x"
        ) from None
    for place, roles in layers.items():
        _check_whole(file, place, set(roles))
    if not layers:
        raise ModelError(f"{file.path} holds no LoRA")
    return layers


def _check_whole(file: TensorFile, place: LayerName, roles: set[str]) -> None:
    forms = [set(form) for form in _FORMS if roles & set(form)]
    if any(role.startswith("lokr_") for role in roles):
        forms.append({"lokr_w1"} if "lokr_w1" in roles else {"lokr_w1_a", "lokr_w1_b"})
        forms[-1] |= {"lokr_w2"} if "lokr_w2" in roles else {"lokr_w2_a", "lokr_w2_b"}
    weights = [form for form in forms if form != {_BIAS}]
    if not forms or len(weights) > 1:
        what = "several kinds of LoRA at once" if forms else f"{min(roles)} alone"
        raise ModelError(f"{file.path}: {place.spelled} has {what}; fetch the file again")
    if missing := sorted(set().union(*forms) - roles):
        raise ModelError(f"{file.path}: {place.spelled} has no {missing[0]}, which a LoRA of it needs")


class _Builder(NamedTuple):
    """Makes the difference of one layer's weight out of its tensors."""

    name: str
    place: LayerName
    layer: str
    settings: PeftSettings

    def deltas(self, roles: Roles, own: Stored, layer: str) -> Iterator[tuple[str, Delta]]:
        """What is added to its weight and to its bias."""
        if _BIAS in roles:
            if f"{layer}.bias" not in own:
                raise ModelError(
                    f"{self.name}: {self.layer} has no bias in this model; it is a LoRA of another"
                )
            yield "bias", self.delta({"diff": roles[_BIAS]}, own[f"{layer}.bias"])
        if roles.keys() - {_BIAS, "alpha"}:
            yield "weight", self.delta(roles, own[f"{layer}.weight"])

    def delta(self, roles: Roles, weight: Tensor) -> Delta:
        """ModelError where the tensors fit neither each other nor the weight."""
        if self.settings.uses_dora and "A" in roles and "lora_magnitude_vector" not in roles:
            raise ModelError(
                f"{self.name}: {self.layer} has no lora_magnitude_vector, which use_dora asks for"
            )
        rule, terms = _terms(roles)
        ranks = [term.rank for term in terms if isinstance(term, Factors)]
        plain = Delta(self.name, self.layer, rule, terms, 1.0)
        magnitude, axis = roles.get("lora_magnitude_vector"), 0
        shapes = " and ".join(
            f"{role} {list(tensor.shape)}" for role, tensor in roles.items() if role != "alpha"
        )
        try:
            _fitting(plain, weight)
            if magnitude is not None and prod(magnitude.shape) != weight.shape[0]:
                raise ValueError
            if (scale := roles.get("dora_scale")) is not None:
                magnitude, axis = scale, magnitude_axis(scale.shape, weight.shape)
        except ValueError:
            fits = f"{shapes} do not fit its {list(weight.shape)}"
            raise ModelError(f"{self.name}: {self.layer}: {fits}; it is a LoRA of another model") from None
        whole = "diff" in roles
        number = 1.0 if whole else self._scale(roles.get("alpha"), ranks[-1] if ranks else None)
        return replace(plain, scale=number, magnitude=magnitude, axis=axis)

    def _scale(self, alpha: Tensor | None, rank: int | None) -> float:
        """alpha / rank: alpha is a tensor of the layer, or among peft's settings, or else the rank.

        LyCORIS leaves alpha unread where LoKr has both its matrices whole, and peft does not.
        """
        try:
            if self.settings.says_alpha and alpha is None:
                scale = self.settings.scale(self.place.spelled, rank)
            else:
                scale = float(alpha.read().reshape(-1)[0]) / rank if alpha is not None and rank else 1.0
            if not np.isfinite(scale):
                raise ValueError
        except (ValueError, TypeError, IndexError, AttributeError, ZeroDivisionError):
            what = f"alpha of {self.place.spelled} cannot be read"
            raise ModelError(f"{self.name}: {what}; fetch the file again") from None
        return scale


def _fitting(delta: Delta, weight: Tensor) -> Delta:
    """The difference. ValueError where it has another shape than the weight."""
    if delta.shape != (weight.shape[0], prod(weight.shape[1:])):
        raise ValueError
    return delta


def _terms(roles: Roles) -> tuple[Any, tuple[Whole | Factors, ...]]:
    """The rule that joins them, and the matrices of a layer."""
    if "diff" in roles:
        return "sum", (Whole(roles["diff"]),)
    if "A" in roles:
        return "sum", (Factors(roles["B"], roles["A"], roles.get("mid")),)
    if "hada_w1_a" in roles:
        pairs = (_factors(roles, f"hada_w{i}", roles.get(f"hada_t{i}")) for i in (1, 2))
        return "hadamard", tuple(pairs)
    core = roles.get("lokr_t2")
    one = Whole(roles["lokr_w1"]) if "lokr_w1" in roles else _factors(roles, "lokr_w1", None)
    two = Whole(roles["lokr_w2"]) if "lokr_w2" in roles else _factors(roles, "lokr_w2", core)
    return "kron", (one, two)


def _factors(roles: Roles, name: str, core: Tensor | None) -> Factors:
    return Factors(roles[f"{name}_a"], roles[f"{name}_b"], core, turned=core is not None)
