"""Text encoders and image-text pairs: a text tower distilled from BERT, and towers trained against pictures."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageDraw
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    ConvNextV2Config,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
)

from mezzotint.data.compose import Composer, Scene, article_of
from mezzotint.data.emoji import STYLES
from mezzotint.train.config import Config, LoopConfig
from mezzotint.train.loop import train
from mezzotint.train.teacher import Teacher
from mezzotint.train.texts import texts
from mezzotint.train.vae import pixels
from mezzotint.train.vocabulary import LENGTH, build_tokenizer


class TextTower(Config):
    """A CLIP text transformer."""

    width: int = 384
    layers: int = 3
    heads: int = 6
    intermediate: int = 1024


class VitTower(Config):
    """A vision transformer, as CLIP's."""

    kind: Literal["vit"] = "vit"
    size: int = 64
    patch: int = 8
    width: int = 192
    layers: int = 4
    heads: int = 3


class ConvTower(Config):
    """A ConvNeXt V2."""

    kind: Literal["convnext"] = "convnext"
    size: int = 64
    widths: tuple[int, ...] = (40, 80, 160, 320)
    depths: tuple[int, ...] = (1, 1, 3, 1)


class ClipConfig(Config):
    """`mezzotint train clip CONFIG`: with no `vision`, the text tower alone is distilled."""

    data: Path
    out: Path
    cache: Path = Path("runs/cache")
    seed: int = 0
    vocabulary: int = Field(8192, ge=1024)
    tokenizer: Path | None = None
    """A folder with a tokenizer to share; else one is built."""
    text: TextTower = TextTower()
    vision: VitTower | ConvTower | None = None
    dim: int = 128
    batch: int = Field(128, gt=1)
    absent: int = 256
    """Names of other objects that every picture of a batch is told from."""
    distill: float = 1.0
    """Weight of agreement with the BERT, for pairs."""
    loop: LoopConfig


class _Base:
    """What both tasks share: pictures, the tokenizer, the teacher, token embeddings that start as the teacher's."""

    def __init__(self, config: ClipConfig):
        torch.manual_seed(config.seed)
        self.config = config
        self.composer = Composer(config.data)
        self.teacher = Teacher(config.cache)
        words = self.teacher.words()
        self.source = texts(self.composer, words)
        folder = config.tokenizer or config.out / "tokenizer"
        if not (folder / "vocab.json").exists():
            rng = random.Random(f"tokenizer {config.seed}")
            captions = [self.composer.scene(rng).caption for _ in range(20_000)]
            captions += [tag for row in self.composer.rows for tag in row["tags"]]
            build_tokenizer(captions, words, config.vocabulary, folder)
        self.tokenizer = CLIPTokenizer.from_pretrained(folder)

    def text_config(self) -> CLIPTextConfig:
        tower, size = self.config.text, len(self.tokenizer)
        return CLIPTextConfig(
            vocab_size=size, hidden_size=tower.width, intermediate_size=tower.intermediate, projection_dim=self.config.dim,
            num_hidden_layers=tower.layers, num_attention_heads=tower.heads, max_position_embeddings=LENGTH,
            bos_token_id=size - 2, eos_token_id=size - 1, pad_token_id=size - 1,
        )  # fmt: skip

    @torch.no_grad()
    def borrow_words(self, embedding: nn.Embedding) -> None:
        """Fix the token embeddings at the teacher's (their leading directions, where narrower), so that unseen words work."""
        tokens = self.tokenizer.convert_ids_to_tokens(list(range(len(self.tokenizer) - 2)))
        rows = torch.stack(
            [self.teacher.piece(t.removesuffix("</w>"), t.endswith("</w>")) for t in tokens]
        ).float()
        rows = rows - rows.mean(0)
        width = embedding.embedding_dim
        if width < rows.shape[1]:
            _, _, v = torch.linalg.svd(rows, full_matrices=False)
            rows = rows @ v[:width].T
        embedding.weight[:-2] = rows * (0.03 / rows.std())
        embedding.weight.requires_grad_(False)

    def tokens(self, captions: list[str]) -> Tensor:
        """(n, longest) token ids."""
        found = self.tokenizer(
            captions, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt"
        )
        return found["input_ids"]  # type: ignore[no-any-return]


class _TextHead(nn.Module):
    def __init__(self, text: CLIPTextModel, dim: int):
        super().__init__()
        self.text = text
        self.head = nn.Linear(text.config.hidden_size, dim, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        return F.normalize(self.head(self.text(input_ids=ids).pooler_output).float(), dim=-1)


class TextTask(_Base):
    """The text tower alone: its pooled state predicts the sentence embedding of the teacher."""

    def __init__(self, config: ClipConfig):
        super().__init__(config)
        self.text = CLIPTextModel(self.text_config())
        self.borrow_words(self.text.get_input_embeddings())
        self.module: nn.Module = _TextHead(self.text, 384)
        rng = random.Random("text sheet")
        self.fixed = [self.source(rng) for _ in range(512)]
        self.fixed_target = self.teacher.embed(self.fixed)

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """Cosine distance, and telling the texts of the batch apart as the teacher does."""
        rng = random.Random(f"text {self.config.seed} {step}")
        batch = [self.source(rng) for _ in range(self.config.batch)]
        target, found = self.teacher.embed(batch), module(self.tokens(batch))
        distance = 1 - (found * target).sum(-1).mean()
        apart = F.cross_entropy(found @ target.T / 0.05, torch.arange(len(batch)))
        return distance + 0.2 * apart, {"cosine": 1 - distance.item(), "apart": apart.item()}

    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """Cosine to the teacher on fixed texts; nearest captions of free words, as a picture of text."""
        found = module(self.tokens(self.fixed))
        cosine = (found * self.fixed_target).sum(-1).mean().item()
        labels = self.composer.objects
        table = torch.cat([module(self.tokens(labels[i : i + 256])) for i in range(0, len(labels), 256)])
        lines = []
        for word in FREE_WORDS:
            best = (table @ module(self.tokens([word]))[0]).topk(4).indices.tolist()
            lines.append(f"{word}: " + ", ".join(labels[i] for i in best))
        return _written(lines), {"cosine": cosine}

    def save(self, module: nn.Module, folder: Path) -> None:
        """`text_encoder/` and `tokenizer/` of a diffusers folder."""
        self.text.save_pretrained(folder / "text_encoder")
        _copy_tokenizer(Path(self.tokenizer.name_or_path), folder / "tokenizer")


class _Pair(nn.Module):
    def __init__(self, pair: CLIPModel | VisionTextDualEncoderModel):
        super().__init__()
        self.pair = pair

    def forward(self, ids: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out = self.pair(input_ids=ids, pixel_values=x)
        return out.text_embeds, out.image_embeds, self.pair.logit_scale.exp().clamp(max=100.0)


class PairTask(_Base):
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
        self.module: nn.Module = _Pair(self.pair)
        rng, held = random.Random("pair sheet"), Composer(config.data, ("test",))
        self.fixed = [held.single(rng) for _ in range(256)]

    def images(self, scenes: list[Scene]) -> Tensor:
        """(n, 3, size, size) in [-1, 1], by averaging blocks."""
        x = pixels([scene.image for scene in scenes])
        return F.avg_pool2d(x, x.shape[-1] // self.size)

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """The symmetric contrastive loss, and the similarities between texts as the teacher sees them.

        Backgrounds tell the pictures of a batch apart too easily: most captions name the objects alone, and
        every picture is also told from the names of objects that are in none.
        """
        rng = random.Random(f"pair {self.config.seed} {step}")
        draw = self.composer.single, self.composer.scene
        scenes = [draw[rng.random() < 0.4](rng) for _ in range(self.config.batch)]
        captions = [self._named(scene, rng) for scene in scenes]
        shown = {name for scene in scenes for name in scene.objects}
        absent = [name for name in rng.sample(self.composer.objects, self.config.absent) if name not in shown]
        text, image, scale = module(self.tokens([*captions, *absent]), self.images(scenes))
        logits, own = scale * image.float() @ text.float().T, torch.arange(len(scenes))
        contrast = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T[: len(scenes)], own)) / 2
        accuracy = (logits.argmax(-1) == own).float().mean().item()
        numbers = {"contrast": contrast.item(), "accuracy": accuracy, "scale": float(scale)}
        if not self.config.distill:
            return contrast, numbers
        target, text = self.teacher.embed(captions), text[: len(scenes)].float()
        wanted = (target @ target.T / 0.1).softmax(-1)
        agree = F.cross_entropy(text @ text.T / 0.1, wanted)
        return contrast + self.config.distill * 0.2 * agree, numbers | {"agree": agree.item()}

    def _named(self, scene: Scene, rng: random.Random) -> str:
        """The caption, or mostly the objects' names alone."""
        if not scene.objects or rng.random() < 0.35:
            return scene.caption
        return " and ".join(article_of(self._called(name, rng)) for name in scene.objects)

    def _called(self, name: str, rng: random.Random) -> str:
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
        return _written(lines), {"top1": float(top1), "top5": float(top5)}

    def save(self, module: nn.Module, folder: Path) -> None:
        """A transformers folder: the model, its tokenizer and its image processor."""
        self.pair.save_pretrained(folder)
        _copy_tokenizer(Path(self.tokenizer.name_or_path), folder)
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


FREE_WORDS = (
    "kitten", "puppy", "a sports automobile", "sunset above the sea", "spaceship", "a dancer", "neon city at night", "bunny",
    "red flower", "big ship on the ocean", "king", "a hot drink", "angry person", "a medieval fortress", "winter", "music",
    "Cleopatra", "glowing crystal", "jungle animal", "a place to sleep", "computer", "love", "breakfast", "doctor",
)  # fmt: skip


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


def _copy_tokenizer(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in ("vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json"):
        shutil.copy(source / name, target / name)


def _written(lines: list[str]) -> Image.Image:
    image = Image.new("RGB", (900, 16 * len(lines) + 8), "white")
    for row, line in enumerate(lines):
        ImageDraw.Draw(image).text((6, 4 + 16 * row), line, fill="black")
    return image


def train_clip(config: ClipConfig) -> None:
    """Train the pair, or the text tower alone, that a configuration describes."""
    train(PairTask(config) if config.vision else TextTask(config), config.loop, config.out)
