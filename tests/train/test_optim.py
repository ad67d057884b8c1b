"""Muon's update is orthogonal, AdamW's is torch's, and the average is an average."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mezzotint.train.loop.optim import AdamW, Ema, Muon, clip_gradients, optimizer, orthogonalize


def test_orthogonalized_has_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((8, 32), (32, 8), (16, 16)):
        values = torch.linalg.svdvals(orthogonalize(torch.randn(shape)))
        assert 0.5 < values.min() <= values.max() < 1.3


@pytest.mark.parametrize("shape", [(8, 32), (32, 8), (16, 16), (4, 100)])
def test_orthogonalized_equals_the_steps_on_the_whole_matrix(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    x = matrix / matrix.norm()
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    assert (orthogonalize(matrix) - x).abs().max() < 1e-3


@pytest.mark.parametrize("alone", [True, False])
def test_adamw_equals_torch(alone: bool) -> None:
    """Also where a tensor has no gradient for a while, so that it is a step behind."""
    torch.manual_seed(0)
    mine, theirs = ([nn.Parameter(torch.ones(3, 4)), nn.Parameter(torch.ones(5))] for _ in range(2))
    ours: torch.optim.Optimizer
    if alone:
        ours, settings = (
            AdamW(mine, 0.01, weight_decay=0.1),
            {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1},
        )
    else:
        ours = Muon([{"params": mine, "lr": 0.01, "muon": False}])
        settings = {"betas": (0.9, 0.98), "eps": 1e-10, "weight_decay": 0.0}
    reference = torch.optim.AdamW(theirs, lr=0.01, **settings)
    for step in range(5):
        grads = [torch.randn(3, 4), torch.randn(5)]
        for parameters, update in ((mine, ours), (theirs, reference)):
            for i, (parameter, grad) in enumerate(zip(parameters, grads, strict=True)):
                parameter.grad = grad.clone() if i == 0 or step > 1 else None
            update.step()
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(mine, theirs, strict=True))


def test_fine_tuning_has_one_optimizer_for_all() -> None:
    module = nn.Linear(4, 4)
    [group] = optimizer(module, 1e-5, 0.0, 0.01).param_groups
    assert (len(group["params"]), group["lr"], group["weight_decay"]) == (2, 1e-5, 0.01)


@pytest.mark.parametrize(("most", "factor"), [(1.0, 0.2), (10.0, 1.0), (0.0, 1.0)])
def test_gradients_are_shortened_as_one_vector(most: float, factor: float) -> None:
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(3)]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0]), torch.tensor([-4.0])
    assert clip_gradients(parameters, most).item() == 5
    assert [p.grad.item() for p in parameters[:2] if p.grad is not None] == pytest.approx(
        [3 * factor, -4 * factor]
    )


def test_the_edges_of_a_network_are_not_for_muon() -> None:
    module = nn.ModuleDict(
        {"conv_in": nn.Conv2d(3, 4, 3), "inner": nn.Conv2d(4, 4, 3), "norm": nn.LayerNorm(4)}
    )
    adam, muon = optimizer(module, 1e-3, 0.02).param_groups
    assert [tuple(p.shape) for p in muon["params"]] == [(4, 4, 3, 3)]
    assert len(adam["params"]) == 5


def test_the_average_swaps_in_and_out() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    ema = Ema([parameter], 0.5)
    with torch.no_grad():
        parameter.fill_(1.0)
    ema.update([parameter])
    ema.swap([parameter])
    assert 0 < parameter[0].item() < 1
    ema.swap([parameter])
    assert parameter.tolist() == [1, 1]
