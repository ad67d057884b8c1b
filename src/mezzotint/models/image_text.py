"""Image-text pairs: `clip` that guides, `judge` that scores; any transformers CLIP folder opens the same way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.errors import ModelError

Floats = NDArray[np.float32]
_ARCHITECTURES = {"CLIPModel", "VisionTextDualEncoderModel"}


class ImageText:
    """Pictures and texts to unit vectors of one space; runs on torch (`pip install 'mezzotint[torch]'`)."""

    def __init__(self, path: Path, model: Any, tokenizer: Any, size: int, mean: Floats, std: Floats):
        self.path, self._model, self._tokenizer = path, model, tokenizer
        self._size, self._mean, self._std = size, mean, std
        self._texts: dict[str, Floats] = {}

    @classmethod
    def open(cls, source: str | Path) -> ImageText:
        """A bundled name or a folder. ModelError where it is missing or of another kind."""
        bundled = Path(__file__).parent.parent / "bundles" / str(source)
        path = bundled if bundled.is_dir() else Path(source).expanduser()
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
        try:
            import transformers
        except ImportError as error:
            raise ModelError("image-text pairs run on torch: pip install 'mezzotint[torch]'") from error
        transformers.utils.logging.disable_progress_bar()
        loaded = getattr(transformers, kind).from_pretrained(
            path, local_files_only=True, use_safetensors=True
        )
        tokenizer = transformers.CLIPTokenizer.from_pretrained(path, local_files_only=True)
        mean, std = (np.asarray(pixels[name], np.float32) for name in ("image_mean", "image_std"))
        return cls(path, loaded.float().eval(), tokenizer, int(pixels["size"]["height"]), mean, std)

    def embed_images(self, images: Sequence[Image.Image]) -> Floats:
        """(n, d) of unit length."""
        import torch

        side = (self._size, self._size)
        shown = [image.convert("RGB").resize(side, Image.Resampling.BOX) for image in images]
        x = np.stack([np.asarray(image, np.float32) for image in shown]) / 255
        x = ((x - self._mean) / self._std).transpose(0, 3, 1, 2)
        with torch.no_grad():
            out = self._model.get_image_features(pixel_values=torch.from_numpy(x))
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
                found = _unit(self._model.get_text_features(input_ids=ids))
            self._texts.update(zip(part, found, strict=True))
        return np.stack([self._texts[text] for text in texts])

    def rank(self, image: Image.Image, choices: Sequence[str]) -> list[str]:
        """The choices, the likeliest first."""
        similarity = self.embed_texts(choices) @ self.embed_images([image])[0]
        return [choices[i] for i in np.argsort(-similarity, kind="stable")]


def _unit(out: Any) -> Floats:
    values = getattr(out, "pooler_output", out).float().numpy()
    return np.asarray(values / np.linalg.norm(values, axis=-1, keepdims=True), np.float32)
