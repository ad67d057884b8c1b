"""In which precision a training computes: as asked, or as a self-test of this very network on this machine finds.

The idea is that of `models/selftest.py`. What is compared is what a training needs: the gradient of one batch in
float32 and in bfloat16, and the seconds that each takes.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn

from mezzotint.models.selftest import FASTER
from mezzotint.precision import Precision
from mezzotint.train.config import LoopConfig
from mezzotint.train.loop.checkpoint import FACTS, Checkpoints
from mezzotint.train.loop.cpu_speed import speed_up_on_cpu
from mezzotint.train.loop.task import MakesBatches, Stateful, TrainingTask, part_of, size_of

COSINE = 0.98
"""Least of the two gradients. The noise of a batch turns a gradient much further."""
_SAMPLES = 4  # of the batch that is tried
_SIDE = 384  # of the matrices that are multiplied first


@dataclass(frozen=True)
class TrainingPrecision:
    """What was chosen, on which machine, and why; a checkpoint keeps it."""

    kind: Precision
    machine: str
    why: str


def choose_precision(task: TrainingTask, config: LoopConfig, folder: Path) -> TrainingPrecision:
    """As asked; else as the run in `folder` began on this machine; else by the self-test. Says so in one line."""
    state = PartialState()
    machine, before = _machine(state.device), _read_precision(folder, config.keep)
    if config.precision != "auto":
        chosen = TrainingPrecision(config.precision, machine, "as asked")
    elif before and before.machine == machine:
        chosen = before
    else:
        task.module.to(state.device)
        chosen = TrainingPrecision(*_self_test(task, state.device, machine))
    if state.num_processes > 1:  # their clocks may disagree
        broadcast_object_list(agreed := [chosen])
        chosen = agreed[0]
    there = (before.kind, before.machine) if before else (chosen.kind, machine)
    changed = "" if there == (chosen.kind, machine) else "; until now {} on {}".format(*there)
    if state.is_main_process and (changed or config.precision == "auto"):
        print(f"precision {chosen.kind}: {chosen.why}{changed}", file=sys.stderr, flush=True)
    return chosen


def autocast_beside(config: LoopConfig) -> torch.autocast:
    """For frozen networks that a task asks on a CPU: bf16 where asked for, or where the processor computes in it."""
    wanted = config.precision == "bf16"
    if config.precision == "auto":
        wanted = _product_gain(torch.device("cpu")) > 1
    return torch.autocast("cpu", torch.bfloat16, enabled=wanted)


def _self_test(task: TrainingTask, device: torch.device, machine: str) -> tuple[Precision, str, str]:
    """Precision, machine and reason. The gradient is tried only where bf16 multiplies matrices faster at all."""
    gain = _product_gain(device)
    if gain <= 1:
        return (
            "fp32",
            machine,
            f"this machine multiplies matrices {1 / gain:.1f} times as fast in it as in bf16",
        )
    (full, slow), (half, fast) = _gradients(task, device)
    cosine = float(torch.nn.functional.cosine_similarity(full, half, dim=0))
    why = f"a batch takes {fast / slow:.2f} of the time in bf16, cosine of the gradients {cosine:.4f}"
    accepted = cosine >= COSINE and fast <= FASTER * slow  # a NaN is refused
    return ("bf16" if accepted else "fp32"), machine, why


def _product_gain(device: torch.device) -> float:
    """How many times as fast a product of two matrices is in bfloat16."""

    def seconds(dtype: torch.dtype) -> float:
        matrix = torch.ones(_SIDE, _SIDE, dtype=dtype, device=device)
        return min(_seconds_of(lambda: matrix @ matrix, device) for _ in range(4))

    return seconds(torch.float32) / seconds(torch.bfloat16)


def _gradients(task: TrainingTask, device: torch.device) -> list[tuple[Tensor, float]]:
    """The gradient of the first batch as one vector (n,) and its seconds, in float32 and in bf16.

    Buffers, random state and what the task remembers are as before.
    """
    module = task.module
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    memory = task.memory() if isinstance(task, Stateful) else {}
    with torch.random.fork_rng(), speed_up_on_cpu(module):
        loss = _loss(task)
        found = [_gradient(module, loss, device, half) for half in (False, True)]
    with torch.no_grad():
        for name, buffer in module.named_buffers():
            buffer.copy_(buffers[name])
    if isinstance(task, Stateful):
        task.recall(memory)
    return found


def _loss(task: TrainingTask) -> Callable[[], Tensor]:
    """The loss of some samples of the first batch; where a task does not share batches out, of the whole."""
    if not isinstance(task, MakesBatches):
        return lambda: task.loss(task.module, 0)[0]
    batch, loss_of = task.batch(0), task.loss_of
    part = part_of(batch, 0, max(1, size_of(batch) // _SAMPLES))
    return lambda: loss_of(task.module, part)[0]


def _gradient(
    module: nn.Module, loss: Callable[[], Tensor], device: torch.device, half: bool
) -> tuple[Tensor, float]:
    def once() -> None:
        torch.manual_seed(0)
        module.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            value = loss()
        value.backward()  # type: ignore[no-untyped-call]

    seconds = [_seconds_of(once, device) for _ in range(3)]
    grads = [p.grad.float().flatten() for p in module.parameters() if p.grad is not None]
    module.zero_grad(set_to_none=True)
    return torch.cat(grads), min(seconds[1:])  # the first call prepares kernels


def _seconds_of(work: Callable[[], object], device: torch.device) -> float:
    begin = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def _machine(device: torch.device) -> str:
    """What decides how fast a precision is."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    processor = platform.processor() or platform.machine()
    kind = torch.backends.cpu.get_cpu_capability()
    return f"{processor} {kind}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _read_precision(folder: Path, keep: int) -> TrainingPrecision | None:
    """What the newest checkpoint says; None where there is none, or an older one that does not say."""
    for place in reversed(Checkpoints(folder, keep).paths()):
        try:
            return TrainingPrecision(**json.loads((place / FACTS).read_text())["precision"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def to_json(chosen: TrainingPrecision) -> dict[str, str]:
    """As a checkpoint keeps it."""
    return asdict(chosen)
