"""A denoiser without a middle, as small distilled models have it, gives what diffusers gives."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import UNet2DConditionModel

from mezzotint.models.cross_attention import cross_attention
from mezzotint.models.disk.architecture import UNetArch

CONFIG = {
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 32,
    "attention_head_dim": 4,
    "mid_block_type": None,
}


def test_unet_without_middle_is_read_without_its_attention() -> None:
    unet = UNet2DConditionModel(**CONFIG)
    arch = UNetArch.read(dict(unet.config), "unet")
    assert not arch.has_middle
    names = {name.rpartition(".to_q")[0] for name in unet.state_dict() if ".attn2.to_q" in name}
    assert {layer.name for layer in cross_attention(arch)} == names


def test_sample_size_of_2022_is_corrected() -> None:
    for version, side in (("0.6.0", 64), ("0.8.1", 64), ("0.9.0", 32), ("0.42.1", 32)):
        config = {**CONFIG, "sample_size": 32, "_diffusers_version": version}
        assert UNetArch.read(config, "unet").sample_size == (side, side)


def test_graph_without_middle_equals_diffusers(tmp_path: object) -> None:
    from pathlib import Path

    import openvino
    from safetensors.torch import save_file

    from mezzotint.models.disk.weights import TensorFile, Weights
    from mezzotint.models.openvino.unet import build_unet, time_features

    torch.manual_seed(0)
    unet = UNet2DConditionModel(**CONFIG).eval()
    file = Path(str(tmp_path)) / "unet.safetensors"
    save_file(unet.state_dict(), file)
    arch = UNetArch.read(dict(unet.config), "unet")
    weights = Weights(TensorFile.open(file), file)
    graph = openvino.Core().compile_model(
        build_unet(arch, weights), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    weights.finish()
    x, text, t = torch.randn(1, 4, 8, 8), torch.randn(1, 5, 32), np.array([501.0])
    ours = graph([x.numpy(), time_features(arch, t), text.numpy()])[0]
    with torch.no_grad():
        theirs = unet(x, torch.from_numpy(t), text).sample.numpy()
    assert np.abs(ours - theirs).max() < 1e-4
