"""Muon for matrices and convolutions, AdamW for the rest; an exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class AdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2017, 1711.05101), all tensors in one call of torch's kernel.

    torch's own class keeps a count of steps for each tensor, and to count on costs as much as half of the kernel.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, weight_decay: float = 0.0, eps: float = 1e-8):
        super().__init__(
            parameters, {"lr": lr, "betas": (0.9, 0.999), "eps": eps, "weight_decay": weight_decay}
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            adamw(group, self.state)


def adamw(group: dict[str, Any], state: dict[Tensor, Any]) -> None:
    """One step of AdamW on those of a group that have a gradient; they keep `step`, `m` and `v`."""
    alike: dict[tuple[object, ...], list[Tensor]] = {}
    for parameter in group["params"]:
        if parameter.grad is not None:
            kept = state[parameter]
            if not kept:
                kept |= {"step": 0, "m": torch.zeros_like(parameter), "v": torch.zeros_like(parameter)}
            kept["step"] += 1
            alike.setdefault((kept["step"], parameter.device, parameter.dtype), []).append(parameter)
    for (step, device, _), parameters in alike.items():
        count = torch.tensor(step, dtype=torch.float32, device=device)  # type: ignore[arg-type]
        torch._fused_adamw_(
            parameters, [p.grad for p in parameters if p.grad is not None], [state[p]["m"] for p in parameters],
            [state[p]["v"] for p in parameters], [], [count] * len(parameters), lr=group["lr"],
            beta1=group["betas"][0], beta2=group["betas"][1], weight_decay=group["weight_decay"],
            eps=group["eps"], amsgrad=False, maximize=False,
        )  # fmt: skip


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalized by Newton-Schulz (Jordan et al. 2024), AdamW where `muon` is false in the group."""

    def __init__(self, groups: list[dict[str, object]]):
        super().__init__(
            groups, {"lr": 1e-3, "momentum": 0.95, "betas": (0.9, 0.98), "eps": 1e-10, "weight_decay": 0.0}
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            if not group["muon"]:
                adamw(group, self.state)
                continue
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._muon(parameter, parameter.grad, group)

    def _muon(self, parameter: Tensor, grad: Tensor, group: dict[str, float]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].lerp_(grad, 1 - group["momentum"])
        nesterov = grad.lerp(momentum, group["momentum"])
        matrix = nesterov.flatten(1)
        update = orthogonalize(matrix) * max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(
            update.view_as(parameter), alpha=-group["lr"]
        )


def orthogonalize(matrix: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrix, nearly, by five quintic Newton-Schulz steps (Jordan et al. 2024).

    Each step multiplies by a polynomial of x xᵀ, and these commute. So the steps are taken on the small square matrix,
    and the large one is multiplied once: two to four times as fast. In float32, as the squares of small singular values
    need it.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.float()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    gram, product = x @ x.T, None
    for _ in range(5):
        step = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        step.diagonal().add_(a)
        product = step if product is None else step @ product
        gram = step @ gram @ step
    x = product @ x
    near: Tensor = x.T if tall else x
    return near.to(matrix.dtype)


def optimizer(
    module: nn.Module, lr: float, muon_lr: float, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """Muon on inner matrices and convolutions; AdamW on embeddings, norms, biases, and the first and last layers.

    Where `muon_lr` is 0: AdamW on all.
    """
    learned = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    if not muon_lr:
        return AdamW([p for _, p in learned], lr, weight_decay)
    edges = ("conv_in", "conv_out", "embedding", "quant_conv", "logit_scale", "patch")
    muon: list[Tensor] = []
    adam: list[Tensor] = []
    for name, parameter in learned:
        inner = parameter.ndim >= 2 and not any(edge in name for edge in edges)
        (muon if inner else adam).append(parameter)
    groups: list[dict[str, object]] = [{"params": adam, "lr": lr, "muon": False}]
    if muon:
        groups.append({"params": muon, "lr": muon_lr, "muon": True, "weight_decay": weight_decay})
    return Muon(groups)


def clip_gradients(parameters: Iterable[Tensor], most: float) -> Tensor:
    """Shorten the gradients to a norm of at most `most` (0: any) as one vector; returns the norm before, a scalar."""
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(grads, foreach=True)
    # On a CPU reading the norm costs nothing, and mostly saves a pass over the gradients.
    if most and (norm.is_cuda or not norm <= most):
        torch._foreach_mul_(grads, (most / (norm + 1e-6)).clamp(max=1.0))
    return norm


class Ema:
    """A slow copy of the weights: decay ramps up as (1+n)/(10+n) so that early averages forget the start."""

    def __init__(self, parameters: Iterable[Tensor], decay: float):
        self.shadow = [parameter.detach().clone() for parameter in parameters]
        self.decay, self.count = decay, 0

    @torch.no_grad()
    def update(self, parameters: Iterable[Tensor]) -> None:
        """Move the copy toward the weights."""
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        torch._foreach_lerp_(self.shadow, [p.detach() for p in parameters], 1 - decay)

    @torch.no_grad()
    def swap(self, parameters: Iterable[Tensor]) -> None:
        """Exchange the weights and the copy, in place; twice is nothing."""
        for shadow, parameter in zip(self.shadow, parameters, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(shadow)
            shadow.copy_(kept)
