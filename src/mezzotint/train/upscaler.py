"""The upscaler: pictures of half the size, and what an autoencoder makes of them, to sharp ones."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from PIL import Image
from pydantic import Field
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from mezzotint.data.scenes import PALETTE
from mezzotint.data.subsets import read_rows
from mezzotint.errors import ConfigError
from mezzotint.models.openvino.small import FILE
from mezzotint.models.steering.small_decoder import ResidualPair, save_half
from mezzotint.models.upscaler import UpscalerArch
from mezzotint.pages.tiles import make_grid
from mezzotint.train.config import Training
from mezzotint.train.image_tensors import psnr, to_images, to_tensor
from mezzotint.train.loop.loop import train

FILTERS = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BOX)
"""How pictures are made smaller."""
HELD = 48
"""Held-out pictures that are measured."""


class UpscalerConfig(Training):
    """`mezzotint train upscaler CONFIG`."""

    data: Path
    """Of `mezzotint data emoji --size 256`: pictures of twice the side of what is enlarged."""
    vae: Path | None = None
    """An autoencoder through which a part of the small pictures goes first, so that its blur is learned too."""
    decoded: int = Field(1500, ge=0)
    """So many pictures go through the autoencoder before the first step."""
    start: Path | None = None
    """An upscaler of this shape to begin with: its folder."""
    channels: int = Field(32, gt=0)
    blocks: int = Field(6, gt=0)
    batch: int = Field(16, gt=0)
    crop: int = Field(48, ge=16)
    """Side of the pieces, in pixels of the small picture."""


class UpscalerNet(nn.Module):
    """(n, 3, h, w) to (n, 3, 2h, 2w), about -1..1, as `models.upscaler.build_upscaler` does it."""

    def __init__(self, arch: UpscalerArch):
        super().__init__()
        self.arch = arch
        self.conv_in = nn.Conv2d(3, arch.channels, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualPair(arch.channels) for _ in range(arch.blocks))
        self.conv_out = nn.Conv2d(arch.channels, 12, 3, padding=1)
        for parameter in self.conv_out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, picture: Tensor) -> Tensor:
        """Each pixel becomes four: itself, and what the network adds."""
        x = self.conv_in(picture)
        for block in self.blocks:
            x = block(x)
        return F.pixel_shuffle(self.conv_out(F.silu(x)) + picture.repeat_interleave(4, 1), 2)

    def save(self, folder: Path) -> None:
        """Its config, and its weights in float16."""
        save_half(self, self.arch.config, folder)


class UpscalerTask:
    """Absolute error of pieces, after a picture was made smaller by one of three filters or decoded."""

    def __init__(self, config: UpscalerConfig):
        torch.manual_seed(config.seed)
        self.config = config
        rows = read_rows(config.data)
        files = {split: [config.data / row["file_name"] for row in rows if (row["split"] == "train") is split]
                 for split in (True, False)}  # fmt: skip
        if not files[True] or not files[False]:
            raise ConfigError(f"{config.data} has no pictures to learn from or none to measure by")
        self.files = files[True]
        self.module: nn.Module = UpscalerNet(UpscalerArch(config.channels, config.blocks))
        if config.start:
            state = {name: value.float() for name, value in load_file(config.start / FILE).items()}
            self.module.load_state_dict(state)
        dice = random.Random("upscaler held out")
        large = [_on_ground(file, dice) for file in dice.sample(files[False], min(HELD, len(files[False])))]
        self.fixed, self.fixed_small = (
            to_tensor(large),
            to_tensor([_smaller(image, FILTERS[0]) for image in large]),
        )
        self.decoded = self._decode() if config.vae and config.decoded else []

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """The mean absolute error, and that of the differences of neighbors, so that edges count."""
        rng = random.Random(f"upscaler {self.config.seed} {step}")
        small, large = zip(*(self._piece(rng) for _ in range(self.config.batch)), strict=True)
        error = module(to_tensor(small)).float() - to_tensor(large)
        edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        return error.abs().mean() + 0.5 * edges, {"l1": error.abs().mean().item()}

    @torch.no_grad()
    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """Held-out pictures: Lanczos, ours, the real one. PSNR of ours and what it gains over Lanczos, dB."""
        ours = torch.cat([module(part).float().clamp(-1, 1) for part in torch.split(self.fixed_small, 8)])
        lanczos = to_tensor([_larger(image) for image in to_images(self.fixed_small)])
        rows = torch.cat([lanczos[:6], ours[:6], self.fixed[:6]])
        near = psnr(ours, self.fixed).clamp(max=60)
        gain = near - psnr(lanczos, self.fixed).clamp(max=60)
        return make_grid(to_images(rows), 6), {"psnr": near.mean().item(), "gain": gain.mean().item()}

    def save(self, module: nn.Module, folder: Path) -> None:
        """What belongs into `bundles/upscaler`."""
        assert isinstance(module, UpscalerNet)
        module.save(folder)

    def _piece(self, rng: random.Random) -> tuple[Image.Image, Image.Image]:
        """A piece of a small picture, and the same piece of the large one."""
        if self.decoded and rng.random() < 0.5:
            small, large = rng.choice(self.decoded)
        else:
            large = _on_ground(rng.choice(self.files), rng)
            if rng.random() < 0.3:  # half the size again, so that fine parts are met too
                large = _smaller(large, FILTERS[0])
            small = _smaller(large, rng.choice(FILTERS))
        side = min(self.config.crop, *small.size)
        x, y = rng.randint(0, small.width - side), rng.randint(0, small.height - side)
        box = (x, y, x + side, y + side)
        return small.crop(box), large.crop(tuple(2 * value for value in box))  # type: ignore[arg-type]

    @torch.no_grad()
    def _decode(self) -> list[tuple[Image.Image, Image.Image]]:
        from diffusers.models import AutoencoderKL

        assert self.config.vae is not None
        vae = AutoencoderKL.from_pretrained(self.config.vae).float().eval()
        rng = random.Random(f"upscaler decoded {self.config.seed}")
        pairs: list[tuple[Image.Image, Image.Image]] = []
        for _ in range(0, self.config.decoded, 8):
            large = [_canonical(rng.choice(self.files), rng) for _ in range(8)]
            mean = vae.encode(to_tensor([_smaller(image, FILTERS[0]) for image in large])).latent_dist.mean
            pairs += zip(to_images(vae.decode(mean).sample.clamp(-1, 1)), large, strict=True)
        return pairs


def _on_ground(file: Path, rng: random.Random) -> Image.Image:
    """The picture on a color, white in half of the cases; a middle of it where it is drawn small."""
    with Image.open(file) as opened:
        sprite = opened.convert("RGBA")
    color = (255, 255, 255) if rng.random() < 0.5 else rng.choice(list(PALETTE.values()))
    ground = Image.new("RGB", sprite.size, color)
    ground.paste(sprite, (0, 0), sprite)
    return ground


def _canonical(file: Path, rng: random.Random) -> Image.Image:
    """As canonical scenes have a thing alone: in a box of 7/8 of the side."""
    with Image.open(file) as opened:
        sprite = opened.convert("RGBA")
    side = sprite.width
    sprite = sprite.resize((7 * side // 8,) * 2, Image.Resampling.LANCZOS)
    color = (255, 255, 255) if rng.random() < 0.7 else rng.choice(list(PALETTE.values()))
    ground = Image.new("RGB", (side, side), color)
    ground.paste(sprite, (side // 16, side // 16), sprite)
    return ground


def _smaller(image: Image.Image, by: Image.Resampling) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), by)


def _larger(image: Image.Image) -> Image.Image:
    return image.resize((2 * image.width, 2 * image.height), Image.Resampling.LANCZOS)


def train_upscaler(config: UpscalerConfig) -> None:
    """Train the upscaler that a configuration describes."""
    train(UpscalerTask(config), config.loop, config.out)
