"""Plain attention is diffusers' own to rounding, and is gone when training is over."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel, UNet2DModel
from diffusers.models.attention_processor import Attention, AttnProcessor, AttnProcessor2_0
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

from mezzotint.train.loop.cpu_speed import PlainAttention, speed_up_on_cpu, upsample_2x


@pytest.fixture(scope="module")
def networks() -> list[tuple[nn.Module, tuple[Tensor, ...]]]:
    torch.manual_seed(0)
    pixels = UNet2DModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, attention_head_dim=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    told = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, attention_head_dim=2,
        cross_attention_dim=6, down_block_types=("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2,
    )  # fmt: skip
    t = torch.tensor([3, 900])
    return [
        (pixels, (torch.randn(2, 3, 8, 8), t)),
        (told, (torch.randn(2, 4, 8, 8), t, torch.randn(2, 5, 6))),
    ]


def gradients(network: nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    network.zero_grad()
    network(*inputs).sample.square().mean().backward()
    return [p.grad.clone() for p in network.parameters() if p.grad is not None]


def test_the_gradients_are_the_same(networks: list[tuple[nn.Module, tuple[Tensor, ...]]]) -> None:
    for network, inputs in networks:
        usual = gradients(network, inputs)
        with speed_up_on_cpu(network):
            plain = gradients(network, inputs)
        assert len(usual) == len(plain) > 50
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(usual, plain, strict=True))


def test_in_bfloat16_it_is_as_near_to_float32_as_the_usual(
    networks: list[tuple[nn.Module, tuple[Tensor, ...]]],
) -> None:
    for network, inputs in networks:
        exact = torch.cat([g.flatten() for g in gradients(network, inputs)])

        def off(
            network: nn.Module = network, inputs: tuple[Tensor, ...] = inputs, exact: Tensor = exact
        ) -> float:
            with torch.autocast("cpu", torch.bfloat16):
                found = torch.cat([g.flatten() for g in gradients(network, inputs)])
            return float((found - exact).norm() / exact.norm())

        usual = off()
        with speed_up_on_cpu(network):
            assert off() < 1.2 * usual


def test_processors_are_given_back(networks: list[tuple[nn.Module, tuple[Tensor, ...]]]) -> None:
    network, _ = networks[0]
    layers = [layer for layer in network.modules() if isinstance(layer, Attention)]
    layers[0].set_processor(AttnProcessor())
    with pytest.raises(KeyError), speed_up_on_cpu(network):
        assert {type(layer.processor) for layer in layers} == {PlainAttention}
        raise KeyError
    assert [type(layer.processor) for layer in layers[:2]] == [AttnProcessor, AttnProcessor2_0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_doubled_is_nearest(dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 4, 5, dtype=dtype, requires_grad=True)
    ours, theirs = upsample_2x(x), nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
    assert torch.equal(ours, theirs)
    up = torch.randn_like(ours)
    mine, plain = (torch.autograd.grad(out, x, up)[0] for out in (ours, theirs))
    assert torch.allclose(
        mine,
        plain,
        rtol=2**-6 if dtype == torch.bfloat16 else 1e-5,
        atol=1e-2 if dtype == torch.bfloat16 else 1e-6,
    )


def test_upsampling_to_a_size_that_is_no_double() -> None:
    layer, x = Upsample2D(4, use_conv=True), torch.randn(1, 4, 3, 3)
    usual = layer(x), layer(x, (5, 7)), layer(x, output_size=(5, 7))
    with speed_up_on_cpu(layer):
        assert not layer.interpolate
        assert all(
            torch.equal(a, b)
            for a, b in zip(usual, (layer(x), layer(x, (5, 7)), layer(x, output_size=(5, 7))), strict=True)
        )
    assert layer.interpolate
    assert torch.equal(layer(x), usual[0])


def test_pictures_are_laid_out_as_a_group_norm_likes_them() -> None:
    seen = []
    layer = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4))
    layer[1].register_forward_pre_hook(lambda _, x: seen.append(x[0].is_contiguous()))
    x = torch.randn(2, 8, 8, 3).permute(0, 3, 1, 2)
    layer(x)
    with speed_up_on_cpu(layer):
        layer(x)
    assert seen == [False, True]


def test_a_mask_is_left_to_the_usual_processor() -> None:
    layer = Attention(8, heads=2, dim_head=4)
    x, mask = torch.randn(1, 3, 8), torch.tensor([[[0.0, -10000.0, 0.0]]])
    usual = layer(x, attention_mask=mask)
    with speed_up_on_cpu(layer):
        assert torch.equal(layer(x, attention_mask=mask), usual)
        assert not torch.allclose(layer(x), usual)
