"""Image-text pairs: `clip` that guides, `judge` that scores; any transformers CLIP folder opens the same way."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from mezzotint.errors import ModelError, nearest
from mezzotint.extras import install
from mezzotint.files import file_digest, key_of
from mezzotint.models.disk.hub import HUB_ID, fetch_from_hub, reason
from mezzotint.models.disk.source import expand_user
from mezzotint.models.runtime import Floats

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mezzotint.models.steering.image_tower import ImageTower

BUNDLED = ("clip", "judge")
SMALL = 50_000_000  # weights of a pair: a larger one gains nothing by a graph, which keeps several copies
_ARCHITECTURES = {"CLIPModel", "VisionTextDualEncoderModel"}
_WANTED = ["*.json", "merges.txt", "vocab.txt", "model*.safetensors"]
_BUNDLES = Path(__file__).parent.parent / "bundles"


class ImageText:
    """Pictures and texts to unit vectors of one space; runs on torch (the extra `torch`)."""

    def __init__(self, path: Path, model: Any, tokenizer: Any, size: int, mean: Floats, std: Floats):
        self.path, self._model, self._tokenizer = path, model, tokenizer
        self.size, self._mean, self._std = size, mean, std
        self._texts: dict[str, Floats] = {}
        self._digest = ""
        self._towers: dict[torch.dtype, ImageTower] = {}

    @classmethod
    def open(cls, source: str | Path) -> ImageText:
        """A bundled name, a folder, or a hub id. ModelError where it is missing, damaged or of another kind."""
        path = folder_of_pair(source)
        try:
            config = json.loads((path / "config.json").read_text())
            pixels = json.loads((path / "preprocessor_config.json").read_text())
        except (OSError, ValueError) as error:
            raise ModelError(f"no image-text pair in {path}: {error}") from error
        kind = (config.get("architectures") or ["?"])[0]
        if kind not in _ARCHITECTURES:
            raise ModelError(
                f"{path} holds a {kind}; an image-text pair is one of {', '.join(sorted(_ARCHITECTURES))}"
            )
        if not any(path.glob("*.safetensors")):
            raise ModelError(
                f"{path} holds no .safetensors; pickled weights are not read, save the model again"
            )
        model, tokenizer = _load(path, kind)
        try:
            mean, std = (np.asarray(pixels[name], np.float32) for name in ("image_mean", "image_std"))
            return cls(path, model, tokenizer, _side(pixels), mean, std)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{path / 'preprocessor_config.json'} lacks size, image_mean or image_std"
            ) from error

    @property
    def width(self) -> int:
        """Of the picture side's hidden states; 0 where it has no single one."""
        return int(getattr(self._model.config.vision_config, "hidden_size", 0))

    @property
    def digest(self) -> str:
        """Of its config and weights."""
        if not self._digest:
            files = [self.path / "config.json", *sorted(self.path.glob("*.safetensors"))]
            self._digest = key_of("pair", [file_digest(file) for file in files])
        return self._digest

    def to(self, device: torch.device) -> ImageText:
        """The pair on another device."""
        self._model.to(device)
        self._towers.clear()
        return self

    def features(self, pictures: Tensor, dtype: torch.dtype) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """(n, d), not of unit length, of (n, 3, size, size) in 0..1, computed inside in `dtype`; and what turns a
        gradient with respect to them into one with respect to the pictures."""
        from mezzotint.models.steering.image_tower import autograd_features, foldable

        if not foldable(self._model):
            return autograd_features(self._plain, pictures, dtype, self._mean.tolist(), self._std.tolist())
        return self._tower(dtype)(pictures)

    def small_tower(self) -> ImageTower | None:
        """The picture side, folded, in float32; None where it is large or cannot be folded."""
        import torch

        from mezzotint.models.steering.image_tower import foldable

        size = sum(weight.numel() for weight in self._model.parameters())
        return self._tower(torch.float32) if size <= SMALL and foldable(self._model) else None

    def _tower(self, dtype: torch.dtype) -> ImageTower:
        from mezzotint.models.steering.image_tower import ImageTower

        if dtype not in self._towers:
            self._towers[dtype] = ImageTower(self._model, self._mean.tolist(), self._std.tolist(), dtype)
        return self._towers[dtype]

    def embed_images(self, images: Sequence[Image.Image]) -> Floats:
        """(n, d) of unit length."""
        import torch

        side = (self.size, self.size)
        shown = [image.convert("RGB").resize(side, Image.Resampling.BOX) for image in images]
        x = np.stack([np.asarray(image, np.float32) for image in shown]) / 255
        x = ((x - self._mean) / self._std).transpose(0, 3, 1, 2)
        with torch.no_grad():
            out = self._model.get_image_features(pixel_values=torch.from_numpy(x).to(self._model.device))
        return _unit(out)

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """(n, d) of unit length; each text is read once."""
        import torch

        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        for start in range(0, len(new), 256):
            part = new[start : start + 256]
            ids = self._tokenizer(part, padding=True, truncation=True, max_length=77, return_tensors="pt")[
                "input_ids"
            ]
            with torch.no_grad():
                found = _unit(self._model.get_text_features(input_ids=ids.to(self._model.device)))
            self._texts.update(zip(part, found, strict=True))
        return np.stack([self._texts[text] for text in texts])

    def rank(self, image: Image.Image, choices: Sequence[str]) -> list[str]:
        """The choices, the likeliest first."""
        similarity = self.embed_texts(choices) @ self.embed_images([image])[0]
        return [choices[i] for i in np.argsort(-similarity, kind="stable")]

    def differentiable(self, pictures: Tensor) -> Tensor:
        """(n, d), of unit length, of (n, 3, size, size) in 0..1, as transformers and autograd compute it."""
        mean, std = (pictures.new_tensor(v.tolist())[:, None, None] for v in (self._mean, self._std))
        found = self._plain((pictures - mean) / std)
        unit: Tensor = found / found.norm(dim=-1, keepdim=True)
        return unit

    def _plain(self, pictures: Tensor) -> Tensor:
        """The picture side as transformers computes it, whatever it is."""
        found = self._model.get_image_features(pixel_values=pictures)
        values: Tensor = getattr(found, "pooler_output", found)
        return values


def folder_of_pair(source: str | Path) -> Path:
    text = str(source)
    if text in BUNDLED:
        return _BUNDLES / text
    path = expand_user(Path(source))
    if path.is_dir():
        return path
    if isinstance(source, str) and HUB_ID.fullmatch(text):
        return fetch_from_hub(text, _is_whole, _WANTED)
    known = f"a bundled name ({', '.join(BUNDLED)}), a folder or a hub id"
    raise ModelError(f"no image-text pair {text!r}: {known}{nearest(text, BUNDLED)}")


def _is_whole(path: Path) -> bool:
    return any(path.glob("*.safetensors")) and (path / "config.json").is_file()


def _load(path: Path, kind: str) -> tuple[Any, Any]:
    """The model in float32, without gradients of its weights, and its tokenizer."""
    try:
        import transformers
    except ImportError as error:
        raise ModelError(f"image-text pairs run on torch; {install('torch')}") from error
    transformers.utils.logging.disable_progress_bar()
    try:
        model, info = getattr(transformers, kind).from_pretrained(
            path, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        tokenizer = transformers.CLIPTokenizer.from_pretrained(path, local_files_only=True)
    except Exception as error:  # of transformers, safetensors, tokenizers and torch: no common root
        raise ModelError(f"the image-text pair in {path} does not open: {reason(error)}") from error
    if info["missing_keys"]:
        raise ModelError(f"{path}: the weight {min(info['missing_keys'])} is missing; copy the model again")
    return model.float().eval().requires_grad_(False), tokenizer


def _side(pixels: dict[str, Any]) -> int:
    """Of the pictures that it reads, from a preprocessor's config of any age."""
    found = pixels["crop_size"] if pixels.get("do_center_crop") and "crop_size" in pixels else pixels["size"]
    if isinstance(found, dict):
        found = found["height"] if "height" in found else found["shortest_edge"]
    return int(found)


def _unit(out: Any) -> Floats:
    values = getattr(out, "pooler_output", out).float().cpu().numpy()
    return np.asarray(values / np.linalg.norm(values, axis=-1, keepdims=True), np.float32)
