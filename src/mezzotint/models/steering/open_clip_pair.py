"""Image-text pairs of open_clip, named `open_clip:ARCHITECTURE/TAG`; safetensors only, as everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ModelError, nearest
from mezzotint.extras import install
from mezzotint.files import file_digest
from mezzotint.models.disk.hub import reason

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PREFIX = "open_clip:"
_FILE = "open_clip_model.safetensors"


class OpenClipPair:
    """As `ImageText`, as far as guidance needs it."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        size: int,
        mean: Sequence[float],
        std: Sequence[float],
        digest: str = "",
    ):
        self._model, self._tokenizer = model, tokenizer
        self.size, self._mean, self._std, self.digest = size, mean, std, digest
        self._texts: dict[str, NDArray[np.float32]] = {}

    @classmethod
    def open(cls, name: str) -> OpenClipPair:
        """`open_clip:ViT-B-32/laion2b_s34b_b79k`, or a .safetensors file after the slash. ModelError says what is
        missing."""
        try:
            import open_clip
        except ImportError as error:
            raise ModelError(f"{name} needs open_clip; {install('open-clip')}") from error
        architecture, _, tag = name.removeprefix(PREFIX).partition("/")
        known = open_clip.list_models()
        if architecture not in known or not tag:
            raise ModelError(
                f"no pair {name!r}; write {PREFIX}ViT-B-32/laion2b_s34b_b79k{nearest(architecture, known)}"
            )
        weights = _weights(open_clip, architecture, tag)
        try:
            model = open_clip.create_model(architecture, pretrained=str(weights))
        except Exception as error:  # open_clip's, torch's and safetensors' errors share no root
            raise ModelError(f"{name} does not open: {str(error).splitlines()[0]}") from error
        facts = open_clip.get_model_preprocess_cfg(model)
        size = facts["size"] if isinstance(facts["size"], int) else facts["size"][0]
        tokenizer = open_clip.get_tokenizer(architecture)
        model = model.float().eval().requires_grad_(False)
        return cls(model, tokenizer, size, facts["mean"], facts["std"], file_digest(weights))

    @property
    def width(self) -> int:
        """Of the picture side, near enough: of its features."""
        return int(getattr(self._model.visual, "output_dim", 0))

    def to(self, device: torch.device) -> OpenClipPair:
        """The pair on another device."""
        self._model.to(device)
        return self

    def features(self, pictures: Tensor, dtype: torch.dtype) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """(n, d), not of unit length, of (n, 3, size, size) in 0..1, computed inside in `dtype`; and what turns a
        gradient with respect to them into one with respect to the pictures."""
        from mezzotint.models.steering.image_tower import autograd_features

        return autograd_features(self._model.encode_image, pictures, dtype, self._mean, self._std)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, d) of unit length; each text is read once."""
        import torch

        for text in dict.fromkeys(texts):
            if text not in self._texts:
                tokens = self._tokenizer([text]).to(next(self._model.parameters()).device)
                with torch.no_grad():
                    found = self._model.encode_text(tokens)[0].float()
                self._texts[text] = (found / found.norm()).cpu().numpy()
        return np.stack([self._texts[text] for text in texts])


def _weights(open_clip: Any, architecture: str, tag: str) -> Path:
    """The safetensors of a tag: a file on this machine, or fetched from the hub."""
    if Path(tag).expanduser().is_file():
        if Path(tag).suffix != ".safetensors":
            raise ModelError(f"{tag} is not a .safetensors file; pickled weights are not read")
        return Path(tag).expanduser()
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag not in tags:
        raise ModelError(f"open_clip has no {tag!r} of {architecture}{nearest(tag, tags)}")
    repo = (open_clip.get_pretrained_cfg(architecture, tag).get("hf_hub") or "").rstrip("/")
    if not repo:
        raise ModelError(f"{architecture}/{tag} is only offered as a pickle, which is not read")
    try:
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(repo, _FILE))
    except Exception as error:  # the hub's, httpx's and the system's errors share no root
        raise ModelError(f"cannot fetch {_FILE} of {repo} from the hub ({reason(error)})") from error
