"""What the machine can do at best, measured: a large matrix product and a large convolution."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

_HINTS = {"float32": "f32", "bfloat16": "bf16"}
_ROUNDS = 7


class ProblemSizes:
    """Of the two problems; FLOPs count a multiplication and an addition as two."""

    def __init__(self, quick: bool) -> None:
        self.side = 512 if quick else 2048  # of the square matrices
        self.batch, self.channels, self.grid = (4, 64, 16) if quick else (32, 256, 16)  # a 3x3 convolution

    @property
    def matmul_flops(self) -> int:
        """Of one matrix product."""
        return 2 * self.side**3

    @property
    def conv_flops(self) -> int:
        """Of one convolution."""
        return 2 * self.batch * self.grid**2 * self.channels**2 * 9

    def __str__(self) -> str:
        blocks = f"{self.batch}x{self.channels}x{self.grid}x{self.grid}"
        return f"matrices {self.side}x{self.side}; 3x3 convolution of {blocks}"


def peaks(dtype: str, threads: int, quick: bool, openvino: bool = True) -> dict[str, Any]:
    """GFLOP/s of both problems in torch and in OpenVINO, best of several; and the best of all."""
    sizes = ProblemSizes(quick)
    found: dict[str, Any] = {"torch": _torch(sizes, dtype, threads)}
    if openvino:
        found["openvino"] = _openvino(sizes, dtype, threads)
    best = max(max(each.values()) for each in found.values())
    return {**found, "best": best, "problems": str(sizes)}


def network_flops(call: Callable[[], Any]) -> int:
    """FLOPs of what `call` runs in torch, by torch's own counter; attention counted as plain products."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def _gflops(flops: int, call: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(_ROUNDS):
        began = perf_counter()
        call()
        seconds.append(perf_counter() - began)
    return flops / min(seconds) / 1e9


def _torch(sizes: ProblemSizes, dtype: str, threads: int) -> dict[str, float]:
    """The convolution in the faster of the two memory layouts."""
    import torch

    torch.set_num_threads(threads)
    kind: torch.dtype = getattr(torch, dtype)
    a, b = (torch.randn(sizes.side, sizes.side).to(kind) for _ in range(2))
    x = torch.randn(sizes.batch, sizes.channels, sizes.grid, sizes.grid).to(kind)
    w = torch.randn(sizes.channels, sizes.channels, 3, 3).to(kind)
    conv = torch.nn.functional.conv2d
    with torch.no_grad():
        plain = _gflops(sizes.conv_flops, lambda: conv(x, w, padding=1))
        x, w = (tensor.to(memory_format=torch.channels_last) for tensor in (x, w))
        last = _gflops(sizes.conv_flops, lambda: conv(x, w, padding=1))
        return {"matmul": _gflops(sizes.matmul_flops, lambda: a @ b), "conv": max(plain, last)}


def _openvino(sizes: ProblemSizes, dtype: str, threads: int) -> dict[str, float]:
    """With constant weights, as networks have them."""
    from mezzotint.models.openvino.layers import load

    ov = load()
    from openvino import opset13 as ops

    options = {
        "INFERENCE_PRECISION_HINT": _HINTS[dtype],
        "INFERENCE_NUM_THREADS": str(threads),
        "PERFORMANCE_HINT": "LATENCY",
    }
    draw = np.random.default_rng(0)

    def speed(flops: int, shape: list[int], layer: Callable[[Any], Any]) -> float:
        x = ops.parameter(shape, np.float32)
        graph = ov.Model([layer(x)], [x], "peak")
        request = ov.Core().compile_model(graph, "CPU", options).create_infer_request()
        values = draw.standard_normal(shape).astype(np.float32)
        request.infer([values])
        return _gflops(flops, lambda: request.infer([values], share_inputs=True))

    side, channels = sizes.side, sizes.channels
    square = draw.standard_normal((side, side)).astype(np.float32)
    kernel = draw.standard_normal((channels, channels, 3, 3)).astype(np.float32)

    def product(x: Any) -> Any:
        return ops.matmul(x, ops.constant(square), False, False)

    def convolution(x: Any) -> Any:
        return ops.convolution(x, ops.constant(kernel), [1, 1], [1, 1], [1, 1], [1, 1])

    return {
        "matmul": speed(sizes.matmul_flops, [side, side], product),
        "conv": speed(sizes.conv_flops, [sizes.batch, channels, sizes.grid, sizes.grid], convolution),
    }
