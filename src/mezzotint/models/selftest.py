"""Whether bfloat16 is good enough and worth it, for this model on this machine: measured once, remembered.

Sixteen-bit arithmetic is fast on some processors and slow on others, and some networks bear it better than
others, so neither the processor's name nor the network's decides. What is compared is what a user would
compare: the picture of a short guided run in either precision.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from mezzotint.models.runtime import Floats, PixelRuntime
from mezzotint.rng import Generator
from mezzotint.schedule import Schedule

Array = NDArray[np.float64]

# Levels of 255, root mean square over the picture: 42 dB, where an eye sees no difference.
TOLERANCE = 2.0
# Below this gain the answer would change from run to run with the noise of the clock.
FASTER = 0.9
_SCALE = 7.5  # of classifier-free guidance: it enlarges the errors of both rows
_STEPS = 6


@dataclass(frozen=True)
class SelfTestResult:
    """What was measured: how far the pictures are apart, in levels of 255, and the seconds a call took."""

    levels: float
    seconds_float32: float
    seconds_bfloat16: float

    @property
    def accepts_bfloat16(self) -> bool:
        """Whether bfloat16 is close enough (a NaN is not) and measurably faster."""
        return self.levels <= TOLERANCE and self.seconds_bfloat16 <= FASTER * self.seconds_float32

    def to_json(self) -> dict[str, float]:
        """As it is remembered."""
        return asdict(self)


def compare(
    full: PixelRuntime,
    half: PixelRuntime,
    schedule: Schedule,
    latents: tuple[int, int, int],
    text: Floats,
    negative: Floats,
) -> SelfTestResult:
    """The same short run by both runtimes, for texts (length, width); both pictures decoded in float32."""
    states = np.stack([text, negative])
    x0, slow = _run(full, schedule, latents, states)
    near, fast = _run(half, schedule, latents, states)
    pictures = [np.clip(full.decode(y.astype(np.float32)), -1, 1) * 127.5 for y in (x0, near)]
    return SelfTestResult(float(np.sqrt(np.mean((pictures[0] - pictures[1]) ** 2))), slow, fast)


def _run(
    runtime: PixelRuntime, schedule: Schedule, latents: tuple[int, int, int], states: Floats
) -> tuple[Array, float]:
    """(1, c, h, w) of a guided DDIM run from seed 0, and the seconds of its fastest call."""
    x = Generator(0).normal((1, *latents)).astype(np.float64)
    times = np.linspace(schedule.steps - 1, 0, _STEPS + 1).round().astype(int)[:-1]
    seconds = []
    for t, following in zip(times, [*times[1:], None], strict=True):
        rows = np.repeat(x, 2, axis=0).astype(np.float32)
        begin = time.perf_counter()
        with_text, without = runtime.denoise(rows, np.full(2, t, np.float32), states).astype(np.float64)
        seconds.append(time.perf_counter() - begin)
        x0, eps = _split(
            schedule.prediction, x, without + _SCALE * (with_text - without), *_levels(schedule, t)
        )
        if schedule.clip_sample:
            x0 = np.clip(x0, -schedule.clip_sample, schedule.clip_sample)
        if following is not None:
            alpha, sigma = _levels(schedule, following)
            x = alpha * x0 + sigma * eps
    return x0, min(seconds[1:])  # the first call compiles


def _levels(schedule: Schedule, t: int) -> tuple[float, float]:
    signal = float(schedule.alphas_cumprod[t])
    return max(signal, 1e-6) ** 0.5, (1 - signal) ** 0.5


def _split(prediction: str, x: Array, out: Array, alpha: float, sigma: float) -> tuple[Array, Array]:
    """x0 and the noise from the network's output."""
    if prediction == "v_prediction":
        return alpha * x - sigma * out, sigma * x + alpha * out
    if prediction == "sample":
        return out, (x - alpha * out) / sigma
    return (x - sigma * out) / alpha, out
