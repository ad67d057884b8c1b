"""`mezzotint latents` with a tiny real model: files that fit together, numbers that are told, mistakes that are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from mezzotint import Request, plan
from mezzotint.inspection.latents import PictureLatents
from mezzotint.schedule import Schedule

if TYPE_CHECKING:
    from conftest import Cli


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a picture.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (70, 110, 3), np.uint8)).save(path)
    return path


def size(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_there_and_back(cli: Cli, real: Path, picture: Path) -> None:
    said = cli("latents", "encode", picture, "--model", real, "--out", "new/z.safetensors")
    assert said.code == 0, said.err
    assert "64x64x3 to 8x8x4, 12288 numbers to 256: a factor of 48" in said.out
    assert said.lines[-1] == "new/z.safetensors"
    z = PictureLatents.load(Path("new/z.safetensors"))
    assert (z.values.shape, z.width, z.height) == ((4, 8, 8), 64, 64)
    back = cli(
        "latents", "decode", "new/z.safetensors", "--model", real, "--original", picture, "--out", "b.png"
    )
    assert (back.code, back.err) == (0, "")
    assert size("b.png") == (64, 64)
    told = next(line for line in said.lines if "PSNR" in line).split(": ")[1]
    assert back.lines[0] == f"PSNR: {told}"


def test_a_draw_differs_from_the_mean_and_repeats(cli: Cli, real: Path, picture: Path) -> None:
    def values(*more: object) -> list[float]:
        said = cli("latents", "encode", picture, "--model", real, "--out", "z.safetensors", "--json", *more)
        assert json.loads(said.out)["factor"] == 48
        return PictureLatents.load(Path("z.safetensors")).values.ravel().tolist()

    assert values("--sample", "--seed", 3) == values("--sample", "--seed", 3) != values("--seed", 3)
    assert values("--seed", 3) == values()


def test_any_size_that_divides(cli: Cli, real: Path, picture: Path) -> None:
    said = cli(
        "latents", "encode", picture, "--model", real, "--out", "z.safetensors", "--size", "96x32", "--json"
    )
    assert json.loads(said.out)["shape"] == [4, 4, 12]


def test_noise_of_a_step_of_a_sigma_and_of_a_whole_run(cli: Cli, real: Path, picture: Path) -> None:
    given = ("latents", "noise", picture, "--model", real, "--json", "--out")
    step = json.loads(cli(*given, "a.png", "--step", 10, "--of", 15).out)
    assert (step["step"], step["of"], step["alpha"]) == (10, 15, 1)
    schedule = Schedule.from_config(json.loads((real / "scheduler/scheduler_config.json").read_text()))
    assert step["sigma"] == plan(Request(sampler="lms", steps=15), schedule).sigma[10]
    same = json.loads(cli(*given, "b.png", "--sigma", step["sigma"]).out)
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert (same["step"], same["of"]) == (None, None)
    assert cli(*given, "c.png", "--seed", 1).code == 0
    assert Path("a.png").read_bytes() != Path("c.png").read_bytes()
    rows = [json.loads(line) for line in cli(*given, "strip.png", "--strip", "--of", 40).lines]
    assert len(rows) == 15
    assert size("strip.png")[0] == 2 * 28 + 16 * 138 - 10
    assert "decoded: alpha*z + sigma*noise" in cli(*(w for w in given if w != "--json"), "d.png").out


def test_show_is_one_figure(cli: Cli, real: Path, picture: Path) -> None:
    said = cli(
        "latents",
        "show",
        picture,
        "--model",
        real,
        "--sampler",
        "ddim",
        "--steps",
        8,
        "--step",
        2,
        "--out",
        "s.png",
    )
    assert (said.code, said.out) == (0, "s.png\n")
    assert size("s.png")[0] > 1200


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("encode", "none.png", "--out", "z.safetensors"), "cannot read none.png"),
        (("encode", "text.png", "--out", "z.safetensors"), "not a PNG, JPEG or WebP"),
        (("encode", "{picture}", "--out", "z.pt"), "the ending .safetensors"),
        (("encode", "{picture}", "--out", "z.safetensors", "--size", "60x64"), "divide by 8"),
        (("encode", "{picture}", "--out", "z.safetensors", "--size", "9000x64"), "from 8x8 to 2048x2048"),
        (("encode", "{picture}", "--out", "text.png/z.safetensors"), "text.png is a file"),
        (("decode", "none.safetensors", "--out", "b.png"), "cannot read none.safetensors"),
        (("decode", "text.png", "--out", "b.png"), "not a safetensors file"),
        (("noise", "{picture}", "--out", "n.png", "--step", "15"), "step must be from 0 to 14 of 15"),
        (("noise", "{picture}", "--out", "n.png", "--sampler", "lns"), "did you mean 'lms'"),
        (("noise", "{picture}", "--out", "n.png", "--sigma", "0"), "sigma must be"),
        (("noise", "{picture}", "--out", "n.png", "--sigma", "1", "--strip"), "leave --sigma out"),
        (("show", "{picture}", "--out", "s.jpg"), "the ending .png"),
        (("show", "{picture}", "--out", "s.png", "--steps", "9"), "step must be from 0 to 8 of 9"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(
    cli: Cli, real: Path, picture: Path, words: tuple[str, ...], said: str
) -> None:
    Path("text.png").write_text("a picture of words")
    asked = [word.format(picture=picture) for word in words]
    told = cli("latents", *asked, *([] if words[0] == "decode" else ["--model", real]))
    assert told.code == 2
    assert said in told.err


def test_a_file_opens_no_model_that_is_not_here(cli: Cli) -> None:
    z = PictureLatents(np.zeros((4, 8, 8), np.float32), "somebody/model", "d", 1.0, 64, 64)
    Path("z.safetensors").write_bytes(z.to_bytes())
    told = cli("latents", "decode", "z.safetensors", "--out", "b.png")
    assert told.code == 2
    assert "name the model with --model" in told.err


def test_autoencoders_side_by_side(cli: Cli, real: Path, tmp_path: Path) -> None:
    import torch
    from diffusers import VQModel

    from support.pictures import make_pictures

    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3}
    VQModel(block_out_channels=(8, 8, 8), norm_num_groups=4, num_vq_embeddings=16, **blocks).save_pretrained(
        "vq"
    )
    make_pictures(tmp_path / "data")
    asked = ("latents", "compare", real, "vq", "--data", tmp_path / "data", "--count", 2)
    kl, vq = (json.loads(line) for line in cli(*asked, "--json").lines)
    assert (kl["kind"], kl["compression"], kl["codes"], kl["bits"]) == ("kl", 48, 0, None)
    assert (vq["kind"], vq["compression"], vq["codes"], vq["bits"]) == ("vq", 16, 16, 32 * 32 * 4)
    assert 1 <= vq["codes_used"] <= 16
    assert (len(kl["means"]), len(vq["stds"])) == (4, 3)
    said = cli(*asked, "--out", "sheet.png")
    assert "of 16 codes used, 512 bytes a picture" in said.out
    assert size("sheet.png")[0] > 2 * 128
    assert "adds no noise" in cli("latents", "show", "sheet.png", "--model", "vq", "--out", "s.png").err
