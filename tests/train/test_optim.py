"""Muon's update is orthogonal, AdamW's is torch's, and the average is an average."""

from __future__ import annotations

import torch
from torch import nn

from mezzotint.train.optim import Ema, Muon, optimizer, orthogonalized


def test_orthogonalized_has_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((8, 32), (32, 8), (16, 16)):
        values = torch.linalg.svdvals(orthogonalized(torch.randn(shape)))
        assert 0.5 < values.min() <= values.max() < 1.3


def test_adamw_equals_torch() -> None:
    torch.manual_seed(0)
    mine, theirs = (nn.Parameter(torch.ones(3, 4)) for _ in range(2))
    ours = Muon([{"params": [mine], "lr": 0.01, "muon": False}])
    reference = torch.optim.AdamW([theirs], lr=0.01, betas=(0.9, 0.98), eps=1e-10, weight_decay=0)
    for _ in range(5):
        grad = torch.randn(3, 4)
        for parameter, update in ((mine, ours), (theirs, reference)):
            parameter.grad = grad.clone()
            update.step()
    assert torch.allclose(mine, theirs, atol=1e-6)


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
