"""Image-text pairs: pictures and captions told apart (CLIP, 2103.00020), the text side agreeing with a BERT."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    ConvNextV2Config,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
)

from mezzotint.data.compose import Composer, Scene
from mezzotint.data.emoji import STYLES
from mezzotint.data.words import article_of
from mezzotint.train.clip import ClipConfig, ConvTower, VitTower
from mezzotint.train.image_tensors import text_image, to_tensor
from mezzotint.train.loop.loop import train
from mezzotint.train.saving import begin_with
from mezzotint.train.text_tower import TextTask, Words


class _Pair(nn.Module):
    def __init__(self, pair: CLIPModel | VisionTextDualEncoderModel):
        super().__init__()
        self.pair = pair

    def forward(self, ids: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out = self.pair(input_ids=ids, pixel_values=x)
        return out.text_embeds, out.image_embeds, self.pair.logit_scale.exp().clamp(max=100.0)


class PairTask(Words):
    """Pictures and captions told apart in both directions (CLIP, 2103.00020), the text side also agreeing with the BERT."""

    def __init__(self, config: ClipConfig):
        super().__init__(config)
        assert config.vision is not None
        self.size = config.vision.size
        self.pair = (
            _clip(self.text_config(), config)
            if config.vision.kind == "vit"
            else _dual(self.text_config(), config)
        )
        self.borrow_words(self.pair.text_model.get_input_embeddings())
        if config.start:
            begin_with(self.pair, config.start)
        self.module: nn.Module = _Pair(self.pair)
        rng, held = random.Random("pair sheet"), Composer(config.data, ("test",))
        self.fixed = [held.single(rng) for _ in range(256)]

    def images(self, scenes: list[Scene], rng: random.Random | None = None) -> Tensor:
        """(n, 3, size, size) in [-1, 1], by averaging blocks; where `rng` is given, some of them worn."""
        small = [scene.image.reduce(scene.image.width // self.size) for scene in scenes]
        if rng is not None:
            small = [degrade(image, rng) if rng.random() < self.config.worn else image for image in small]
        return to_tensor(small)

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """The symmetric contrastive loss, and the similarities between texts as the teacher sees them.

        Backgrounds tell the pictures of a batch apart too easily: most captions name the objects alone, and
        every picture is also told from the names of objects that are in none.
        """
        rng = random.Random(f"pair {self.config.seed} {step}")
        draw = self.composer.single, self.composer.scene
        scenes = [draw[rng.random() < 0.4](rng) for _ in range(self.config.batch)]
        captions = [self._caption(scene, rng) for scene in scenes]
        shown = {name for scene in scenes for name in scene.objects}
        absent = [name for name in rng.sample(self.composer.objects, self.config.absent) if name not in shown]
        text, image, scale = module(self.tokens([*captions, *absent]), self.images(scenes, rng))
        logits, own = scale * image.float() @ text.float().T, torch.arange(len(scenes))
        contrast = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T[: len(scenes)], own)) / 2
        accuracy = (logits.argmax(-1) == own).float().mean().item()
        numbers = {"contrast": contrast.item(), "accuracy": accuracy, "scale": float(scale.detach())}
        if not self.config.distill:
            return contrast, numbers
        target, text = self.teacher.embed(captions), text[: len(scenes)].float()
        wanted = (target @ target.T / 0.1).softmax(-1)
        agree = F.cross_entropy(text @ text.T / 0.1, wanted)
        return contrast + self.config.distill * 0.2 * agree, numbers | {"agree": agree.item()}

    def _caption(self, scene: Scene, rng: random.Random) -> str:
        """The caption, or mostly the objects' names alone."""
        if not scene.objects or rng.random() < 0.35:
            return scene.caption
        return " and ".join(article_of(self._vary_name(name, rng)) for name in scene.objects)

    def _vary_name(self, name: str, rng: random.Random) -> str:
        return (
            name if rng.random() < 0.7 else self.composer.name(rng.choice(self.composer.by_object[name]), rng)
        )

    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """Zero-shot accuracy among all objects on held-out pictures, with examples of what was taken for what."""
        labels = self.composer.objects
        one = torch.zeros(1, 3, self.size, self.size)
        table = torch.cat(
            [module(self.tokens(labels[i : i + 256]), one)[0] for i in range(0, len(labels), 256)]
        )
        image = module(self.tokens(["a"]), self.images(self.fixed))[1]
        ranked = (image @ table.T).topk(5).indices.tolist()
        names = [scene.objects[0] for scene in self.fixed]
        top1 = np.mean([labels[r[0]] == name for r, name in zip(ranked, names, strict=True)])
        top5 = np.mean([name in [labels[i] for i in r] for r, name in zip(ranked, names, strict=True)])
        lines = [
            f"{name}: " + ", ".join(labels[i] for i in r[:3])
            for name, r in list(zip(names, ranked, strict=True))[:30]
        ]
        return text_image(lines), {"top1": float(top1), "top5": float(top5)}

    def save(self, module: nn.Module, folder: Path) -> None:
        """A transformers folder: the model, its tokenizer and its image processor."""
        copy.deepcopy(self.pair).half().save_pretrained(folder)
        self.save_tokenizer(folder)
        (folder / "objects.json").write_text(json.dumps(self._facts(), indent=0, ensure_ascii=False))
        side = {"height": self.size, "width": self.size}
        half = [0.5, 0.5, 0.5]
        CLIPImageProcessorPil(
            size=side, crop_size=side, do_center_crop=False, image_mean=half, image_std=half
        ).save_pretrained(folder)

    def _facts(self) -> dict[str, Any]:
        """What a judge must know of the set: its objects, the pairs kept from training, what styles are called."""
        split = json.loads((self.config.data / "split.json").read_text())
        styles = {name: style.words[0] for name, style in STYLES.items()}
        return {"objects": self.composer.objects, "held_out": split["held_out_pairs"], "styles": styles}


def degrade(image: Image.Image, rng: random.Random) -> Image.Image:
    """The picture as an unfinished or steered one may be: blurred, toward some color, or with grain."""
    if rng.random() < 0.6:
        side = rng.randint(image.width // 4, image.width * 3 // 4)
        image = image.resize((side, side), Image.Resampling.BOX).resize(image.size, Image.Resampling.BILINEAR)
    if rng.random() < 0.5:
        color = Image.new("RGB", image.size, tuple(rng.randrange(256) for _ in range(3)))
        image = Image.blend(image, color, rng.uniform(0.05, 0.45))
    if rng.random() < 0.3:
        noise = np.random.default_rng(rng.getrandbits(32)).normal(
            0, rng.uniform(2, 16), (image.height, image.width, 3)
        )
        image = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    return image


def _clip(text: CLIPTextConfig, config: ClipConfig) -> CLIPModel:
    tower = config.vision
    assert isinstance(tower, VitTower)
    vision = CLIPVisionConfig(
        hidden_size=tower.width, intermediate_size=4 * tower.width, num_hidden_layers=tower.layers, image_size=tower.size,
        num_attention_heads=tower.heads, patch_size=tower.patch, projection_dim=config.dim,
    )  # fmt: skip
    return CLIPModel(
        CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=config.dim)
    )


def _dual(text: CLIPTextConfig, config: ClipConfig) -> VisionTextDualEncoderModel:
    tower = config.vision
    assert isinstance(tower, ConvTower)
    widths = list(tower.widths)
    # The dual encoder asks its vision side for `hidden_size`, which a ConvNeXt does not name.
    vision = ConvNextV2Config(
        hidden_sizes=widths, depths=list(tower.depths), image_size=tower.size, hidden_size=widths[-1]
    )
    both = VisionTextDualEncoderConfig.from_vision_text_configs(vision, text, projection_dim=config.dim)
    return VisionTextDualEncoderModel(both)


def train_clip(config: ClipConfig) -> None:
    """Train the pair, or the text tower alone, that a configuration describes."""
    train(PairTask(config) if config.vision else TextTask(config), config.loop, config.out)
