"""Muon for matrices and convolutions, AdamW for the rest; an exponential moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


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
            update = self._muon if group["muon"] else self._adamw
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update(parameter, parameter.grad, group)

    def _muon(self, parameter: Tensor, grad: Tensor, group: dict[str, float]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].lerp_(grad, 1 - group["momentum"])
        nesterov = grad.lerp(momentum, group["momentum"])
        matrix = nesterov.flatten(1)
        update = orthogonalized(matrix) * max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(
            update.view_as(parameter), alpha=-group["lr"]
        )

    def _adamw(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"], state["m"], state["v"] = (
                0,
                torch.zeros_like(parameter),
                torch.zeros_like(parameter),
            )
        state["step"] += 1
        (b1, b2), lr = group["betas"], group["lr"]
        m, v = state["m"].lerp_(grad, 1 - b1), state["v"].mul_(b2).addcmul_(grad, grad, value=1 - b2)
        scale = math.sqrt(1 - b2 ** state["step"])
        parameter.addcdiv_(m, v.sqrt().add_(group["eps"]), value=-lr * scale / (1 - b1 ** state["step"]))


def orthogonalized(matrix: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrix, by five quintic Newton-Schulz steps in bfloat16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    near: Tensor = x.T if tall else x
    return near.to(matrix.dtype)


def optimizer(
    module: nn.Module, lr: float, muon_lr: float, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """Muon on inner matrices and convolutions; AdamW on embeddings, norms, biases, and the first and last layers."""
    edges = ("conv_in", "conv_out", "embedding", "quant_conv", "logit_scale", "patch")
    muon: list[Tensor] = []
    adam: list[Tensor] = []
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            inner = parameter.ndim >= 2 and not any(edge in name for edge in edges) and muon_lr > 0
            (muon if inner else adam).append(parameter)
    groups: list[dict[str, object]] = [{"params": adam, "lr": lr, "muon": False}]
    if muon:
        groups.append({"params": muon, "lr": muon_lr, "muon": True, "weight_decay": weight_decay})
    return Muon(groups)


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
