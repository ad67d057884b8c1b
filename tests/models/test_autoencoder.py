"""Autoencoders on their own: KL and VQ, wherever they lie, equal to diffusers, and what they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import VQModel
from PIL import Image

from mezzotint.errors import ModelError, RequestError
from mezzotint.models.autoencoder import Autoencoder, Facts


@pytest.fixture(scope="module")
def vq(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder and the module of a codebook of 16 entries, a quarter the size."""
    torch.manual_seed(0)
    module: Any = VQModel(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=4,
        latent_channels=3,
        num_vq_embeddings=16,
        sample_size=32,
        scaling_factor=0.5,
    ).eval()
    torch.nn.init.normal_(module.quantize.embedding.weight)
    folder = tmp_path_factory.mktemp("vq") / "vqvae"
    module.save_pretrained(folder)
    return folder, module


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8))


def test_a_codebook_as_diffusers_reads_it(vq: Any, image: Image.Image, tmp_path: Path) -> None:
    folder, module = vq
    auto = Autoencoder.open(folder, tmp_path)
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        h = module.encode(x).latents
        quantized = module.quantize(h)[0]
        picture = ((module.decode(h).sample.clamp(-1, 1) + 1) * 127.5).round().byte()
    z = auto.encode([image])
    assert np.allclose(z, 0.5 * quantized.numpy(), atol=1e-5)
    assert auto.encode_picture(np.asarray(image))[1].max() == 0
    assert np.abs(auto.decode(z) - picture[0].permute(1, 2, 0).numpy().astype(int)).max() <= 1
    rows = {tuple(row) for row in np.round(z[0].reshape(3, -1).T / 0.5, 4).tolist()}
    book = {tuple(row) for row in np.round(module.quantize.embedding.weight.detach().numpy(), 4).tolist()}
    assert rows <= book


def test_it_is_found_alone_and_in_a_model(vq: Any, first: Any, tmp_path: Path) -> None:
    folder, _ = vq
    assert Autoencoder.open(folder.parent, tmp_path).facts == Facts("vq", 3, 4, 16)
    alone = Autoencoder.open(first.folder / "vae", tmp_path)
    inside = Autoencoder.open(first.folder, tmp_path)
    assert alone.facts == inside.facts == Facts("kl", 4, 8)
    assert alone.digest == inside.digest


def test_the_factor_worked_out() -> None:
    kl, vq = Facts("kl", 4, 8), Facts("vq", 4, 8, 4096)
    assert (kl.compression, vq.compression) == (48, 48)
    assert kl.compression == 512 * 512 * 3 / (64 * 64 * 4)
    assert vq.bits(128, 128) == 16 * 16 * 12
    assert kl.bits(128, 128) == float("inf")
    assert Facts("vq", 3, 4, 8192).compression == 16


def test_kl_as_diffusers_reconstructs_it(first: Any, image: Image.Image, tmp_path: Path) -> None:
    vae = first.pipeline.vae
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        out = ((vae.decode(vae.encode(x).latent_dist.mean).sample.clamp(-1, 1) + 1) * 127.5).round()
    [back] = Autoencoder.open(first.folder, tmp_path).reconstruct([image])
    assert np.abs(np.asarray(back).astype(int) - out[0].permute(1, 2, 0).numpy()).max() <= 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_vq_embeddings": 10**9}, "num_vq_embeddings"),
        ({"num_vq_embeddings": 17}, "has shape"),
        ({"norm_type": "spatial"}, "norm_type"),
        ({"block_out_channels": [8]}, "block types"),
        ({"_class_name": "AsymmetricAutoencoderKL"}, "has no autoencoder"),
    ],
)
def test_what_it_does_not_know_is_an_error(
    vq: Any, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    folder = tmp_path / "vqvae"
    shutil.copytree(vq[0], folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ModelError, match=said):
        Autoencoder.open(folder, tmp_path / "cache")


def test_what_is_not_there(vq: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no autoencoder"):
        Autoencoder.open(tmp_path, tmp_path)
    with pytest.raises(ModelError, match="did you mean 'emoji'"):
        Autoencoder.open("emojo", tmp_path)
    with pytest.raises(RequestError, match="divide by 4"):
        Autoencoder.open(vq[0], tmp_path).encode([Image.new("RGB", (30, 32))])
