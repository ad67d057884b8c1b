"""A network as OpenVINO compiles it: built once into the cache, then compiled for each shape it meets.

A compiled shape is kept as a small blob that points at the shared weights: reading it back takes half the
time of compiling.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.files import key_of, write_atomic
from mezzotint.models.disk.parts import NetworkFiles
from mezzotint.models.disk.weights import Weights, is_positions
from mezzotint.models.network_cache import entry
from mezzotint.models.openvino.layers import load
from mezzotint.models.openvino.vae import belongs_to_encoder
from mezzotint.models.runtime import Dtype, Floats

Shape = tuple[int, ...]
_HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
# Networks that few runs need: built when first asked for.
ATTENDING, ENCODER, WORDED = "unet-attention", "encoder", "text_encoder-words"
_NO_GRAPHS = ("__init__", "network", "runtime", "small", "derived")  # whose code changes no graph
_SEAL = 64  # bytes before a blob: the sha256 of the rest, in hex


class CompiledNetwork:
    """One graph, compiled for each set of input shapes it meets; safe to call from several threads."""

    def __init__(
        self,
        part: NetworkFiles,
        build: Callable[[Weights], Any],
        cache: Path,
        dtype: Dtype,
        threads: int,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._core: Any = load().Core()
        self._part = part
        self._build = build
        self._cache = cache
        self._options = options(dtype, threads)
        self._pool = pool
        self._lock = threading.Lock()
        self._ready: dict[tuple[Shape, ...], Future[Compiled]] = {}
        self._graph: Any = None  # only where the cache cannot be written
        self._folder = Path()
        self._find()

    def __call__(self, *inputs: NDArray[Any]) -> Floats:
        return self.all(*inputs)[0]

    def all(self, *inputs: NDArray[Any]) -> list[Floats]:
        """All outputs, where there are more than one."""
        compiled = self.prepare(tuple(array.shape for array in inputs)).result()
        return compiled(inputs)

    def prepare(self, shapes: tuple[Shape, ...]) -> Future[Compiled]:
        """Compile for these input shapes in the background, once."""
        with self._lock:
            if shapes not in self._ready:
                self._ready[shapes] = self._pool.submit(self._compile, shapes)
            return self._ready[shapes]

    def _find(self) -> None:
        """Have the graph in the cache, or in memory where the cache cannot be written."""
        try:
            self._folder = entry(self._cache, _key(self._part), self._save)
        except OSError:
            self._keep()

    def _keep(self) -> None:
        self._graph = _build(self._part, self._build)

    def _save(self, folder: Path) -> None:
        graph, file = _build(self._part, self._build), folder / f"{self._part.name}.xml"
        try:
            load().save_model(graph, file, compress_to_fp16=False)
            self._core.read_model(file)  # a full disk is not always told by writing
        except RuntimeError as error:
            raise OSError(f"cannot keep the graph of {self._part.name}: {error}") from error

    def _read(self) -> Any:
        """A copy of the graph. Whoever empties the cache while the model is open has it filled again."""
        for recover in (self._find, self._keep):
            if self._graph is None:
                with contextlib.suppress(OSError, RuntimeError):
                    return self._core.read_model(self._folder / f"{self._part.name}.xml")
                recover()
        return self._graph.clone()

    def _compile(self, shapes: tuple[Shape, ...]) -> Compiled:
        if self._graph is not None:
            return Compiled(self._compile_graph(self._read(), shapes))
        # a blob holds decisions taken for one kind of processor, and the cache may be shared between machines
        blob = self._folder / "blobs" / f"{key_of(shapes, self._options, machine())}.blob"
        compiled = self._from_blob(blob)
        if compiled is None:
            compiled = self._compile_graph(self._read(), shapes)
            _keep_blob(blob, compiled)
        return Compiled(compiled)

    def _compile_graph(self, graph: Any, shapes: tuple[Shape, ...]) -> Any:
        graph.reshape({node: list(shape) for node, shape in zip(graph.inputs, shapes, strict=True)})
        return self._core.compile_model(graph, "CPU", self._options)

    def _from_blob(self, path: Path) -> Any:
        """A compiled shape from the cache; None where it is absent or damaged, which is checked first."""
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            sealed = path.read_bytes()
            body = sealed[_SEAL:]
            if hashlib.sha256(body).hexdigest().encode() != sealed[:_SEAL]:
                return None
            options = {**self._options, "WEIGHTS_PATH": str(path.parent.parent / f"{self._part.name}.bin")}
            return self._core.import_model(load().Tensor(np.frombuffer(body, np.uint8)), "CPU", options)
        return None


class Compiled:
    """A compiled shape with its own buffers; one call at a time."""

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()

    def __call__(self, inputs: tuple[NDArray[Any], ...]) -> list[Floats]:
        with self._lock:
            result = self._request.infer([np.ascontiguousarray(array) for array in inputs])
            return [np.array(result[i], np.float32) for i in range(len(result))]


def usable_threads(wanted: int | None = None) -> int:
    """As many as wanted, at most one for each core this process may run on: OpenVINO starts no more."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(wanted or cores, cores)


def options(precision: Dtype, threads: int) -> dict[str, Any]:
    """Of a compiled network: every option that could change the arithmetic, none left to a default that differs between machines.

    The number of threads is among them: it decides how sums are split.
    """
    return {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
        "CACHE_MODE": "OPTIMIZE_SIZE",  # exported blobs leave the weights out
        "INFERENCE_NUM_THREADS": str(threads),
    }


def _key(part: NetworkFiles) -> str:
    """A network's name in the cache: its content, this OpenVINO, and the code that builds graphs."""
    files = sorted(file for file in Path(__file__).parent.glob("*.py") if file.stem not in _NO_GRAPHS)
    code = [file.read_text() for file in files]
    return f"{part.name}-{key_of(part.digest, load().get_version(), code)}"


def _build(part: NetworkFiles, build: Callable[[Weights], Any]) -> Any:
    weights = part.weights()
    graph = build(weights)
    if part.name == "vae":
        weights.check(belongs_to_encoder)
    if part.name == ENCODER:
        weights.finish(lambda name: not belongs_to_encoder(name))
    else:
        weights.finish(is_positions)
    return graph


@functools.cache
def machine() -> list[str]:
    """The processor's name and the types that it computes with, as OpenVINO tells them."""
    core = load().Core()
    return [str(core.get_property("CPU", name)) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]


def _keep_blob(path: Path, compiled: Any) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        path.parent.mkdir(exist_ok=True)
        exported = compiled.export_model()
        body = exported if isinstance(exported, bytes) else exported.getvalue()
        write_atomic(path, hashlib.sha256(body).hexdigest().encode() + body)
