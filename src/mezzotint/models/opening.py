"""`open_model`: find a model, choose what executes it and in which precision."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np

from mezzotint.errors import ConfigError, ModelError, nearest
from mezzotint.extras import install, is_installed
from mezzotint.files import default_cache, key_of, read_json_quietly, remember
from mezzotint.models.bundled import DEFAULT
from mezzotint.models.disk.bundle import AnyBundle, PixelBundle
from mezzotint.models.disk.source import expand_user, find
from mezzotint.models.model import Model
from mezzotint.models.pixel_model import PixelModel
from mezzotint.models.runtime import Dtype, PixelRuntime, Runtime
from mezzotint.models.selftest import SelfTestResult, compare
from mezzotint.models.texts.tokenizer import ClipTokenizer
from mezzotint.precision import DTYPES, precision_named
from mezzotint.schedule import Schedule
from mezzotint.scheduler_config import remarks

RuntimeName = Literal["auto", "torch", "openvino"]
DtypeName = Literal["auto", "float32", "bfloat16", "float16"]
AnyModel = Model | PixelModel
Make = Callable[[Dtype], PixelRuntime]


def open_model(
    source: str | os.PathLike[str] = DEFAULT,
    runtime: RuntimeName = "auto",
    dtype: str = "auto",
    threads: int | None = None,
    cache: Path | None = None,
) -> AnyModel:
    """Open a text-to-image model of the Stable Diffusion 1.x/2.x family, or a DDPM that draws without a prompt.

    `source`: a bundled name, a diffusers folder, an original `.safetensors` file, or a hub id. `runtime`
    auto: torch where there is a CUDA device, else OpenVINO. `dtype`: auto, float32, bfloat16, float16, or fp32, bf16,
    fp16; auto: bfloat16 where a self-test finds it close and faster.
    `threads` None: every usable core with OpenVINO, torch's own choice with torch. `cache`:
    default `$XDG_CACHE_HOME/mezzotint` or `~/.cache/mezzotint`. ModelError where the model is missing,
    damaged, foreign, or does not fit the runtime.
    """
    _check_choice("runtime", runtime, get_args(RuntimeName))
    chosen = _dtype(dtype)
    if threads is not None and threads < 1:
        raise ModelError(f"threads must be 1 or more, not {threads}")
    executes = _choose_runtime(runtime)
    cache = default_cache() if cache is None else expand_user(cache)
    bundle = find(source, cache)
    _ = bundle.architecture() if isinstance(bundle, PixelBundle) else bundle.architectures()
    schedule = Schedule.from_config(bundle.scheduler)
    for remark in (*bundle.remarks, *remarks(bundle.scheduler)):
        warnings.warn(f"{bundle.name}: {remark}", stacklevel=2)
    if executes == "torch":
        return _torch_model(bundle, chosen, threads, schedule, cache)
    return _openvino_model(bundle, chosen, threads, schedule, cache)


def _openvino_model(
    bundle: AnyBundle, dtype: DtypeName, threads: int | None, schedule: Schedule, cache: Path
) -> AnyModel:
    from mezzotint.models.openvino.network import machine, usable_threads
    from mezzotint.models.openvino.runtime import OpenVinoPixels, OpenVinoRuntime

    abilities = machine()
    if dtype == "float16" or (dtype == "bfloat16" and "BF16" not in abilities[1]):
        raise ModelError(
            f"OpenVINO does not run {dtype} on this processor ({abilities[0]}); ask for float32 or auto"
        )

    def make(wanted: Dtype) -> PixelRuntime:
        if isinstance(bundle, PixelBundle):
            return OpenVinoPixels(bundle, wanted, cache, threads)
        return OpenVinoRuntime(bundle, wanted, cache, threads)

    if dtype != "auto":
        return _make_model(bundle, make(dtype), cache)
    if "BF16" not in abilities[1]:
        return _make_model(bundle, make("float32"), cache)
    facts = [*abilities, str(usable_threads(threads))]
    return _make_model(bundle, _choose_by_self_test(make, bundle, schedule, cache, facts), cache)


def _torch_model(
    bundle: AnyBundle, dtype: DtypeName, threads: int | None, schedule: Schedule, cache: Path
) -> AnyModel:
    import torch

    from mezzotint.models.runtime_torch import TorchPixels, TorchRuntime

    def make(wanted: Dtype) -> PixelRuntime:
        if isinstance(bundle, PixelBundle):
            return TorchPixels(bundle, wanted, threads)
        return TorchRuntime(bundle, wanted, threads)

    if not torch.cuda.is_available():
        return _make_model(bundle, make("float32" if dtype == "auto" else dtype), cache)
    name, memory = torch.cuda.get_device_name(), torch.cuda.get_device_properties(0).total_memory
    made = (
        make(dtype)
        if dtype != "auto"
        else _choose_by_self_test(make, bundle, schedule, cache, [name, torch.__version__])
    )
    return _make_model(bundle, made, cache, "cuda", memory)


def _make_model(
    bundle: AnyBundle,
    runtime: PixelRuntime,
    cache: Path,
    device: str = "cpu",
    device_bytes: int | None = None,
) -> AnyModel:
    """The model of a bundle's kind, over the runtime that was made for it."""
    if isinstance(bundle, PixelBundle):
        return PixelModel(bundle, runtime, device, device_bytes, cache)
    return Model(bundle, cast("Runtime", runtime), device, device_bytes, cache)


def _choose_by_self_test(
    make: Make, bundle: AnyBundle, schedule: Schedule, cache: Path, machine: list[str]
) -> PixelRuntime:
    """The runtime in the precision that this model's self-test on this machine chose, now or earlier."""
    note = cache / "selftests" / f"{key_of(bundle.digest, machine)}.json"
    known = read_json_quietly(note)
    if isinstance(known.get("accepted"), bool):
        return make("bfloat16" if known["accepted"] else "float32")
    full, half = make("float32"), make("bfloat16")
    verdict = _verdict(full, half, bundle, schedule)
    remember(
        note,
        {**verdict.to_json(), "accepted": verdict.accepts_bfloat16, "model": bundle.name, "machine": machine},
    )
    return half if verdict.accepts_bfloat16 else full


def _verdict(full: PixelRuntime, half: PixelRuntime, bundle: AnyBundle, schedule: Schedule) -> SelfTestResult:
    if isinstance(bundle, PixelBundle):
        arch, nothing = bundle.architecture(), np.zeros((0, 0), np.float32)
        return compare(full, half, schedule, (arch.colors, *arch.sample_size), nothing, nothing)
    unet, _, _ = bundle.architectures()
    words, read = ClipTokenizer.of(bundle), cast("Runtime", full).encode
    states, negative = (read(words(prompt))[0] for prompt in ("a red house by the sea", ""))
    return compare(full, half, schedule, (unet.latent_channels, *unet.sample_size), states, negative)


def _choose_runtime(runtime: RuntimeName) -> str:
    has_openvino = is_installed("openvino")
    if runtime == "openvino" and not has_openvino:
        raise ModelError("the openvino runtime is not installed; pip install openvino, or runtime='torch'")
    chosen = runtime
    if runtime == "auto":
        chosen = "torch" if not has_openvino or _has_cuda() else "openvino"
    for module in ("torch", "diffusers", "transformers") if chosen == "torch" else ():
        if not is_installed(module):
            raise ModelError(f"the torch runtime needs {module}; {install('torch')}")
    return chosen


def _has_cuda() -> bool:
    """Whether torch sees a CUDA device; torch is slow to import and asked only where there is a driver."""
    if not (Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists() or shutil.which("nvidia-smi")):
        return False
    if not is_installed("torch"):
        return False
    import torch

    return torch.cuda.is_available()


def _dtype(name: str) -> DtypeName:
    """By its present name."""
    try:
        return cast("DtypeName", DTYPES[precision_named(name)])
    except ConfigError:
        _check_choice("dtype", name, get_args(DtypeName))
        raise


def _check_choice(what: str, value: str, names: tuple[str, ...]) -> None:
    if value not in names:
        raise ModelError(f"{what} is {value!r}; it can be {', '.join(names)}{nearest(value, names)}")
