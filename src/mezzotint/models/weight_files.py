"""Small files of weights: what they are, and where they are kept by their content."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mezzotint.errors import ModelError, RequestError
from mezzotint.files import default_cache, put, remembered_digest, write_atomic
from mezzotint.models.disk.variants import PICKLED
from mezzotint.models.disk.weights import Tensor, TensorFile

EMBEDDING_KEYS = ("emb_params", "clip_l", "clip_g", "clip_h")

LORA = "a LoRA"

_KINDS = {  # the first that finds a name
    r"(model\.diffusion_model|cond_stage_model|conditioner\.embedders)\.": "a whole model (give it with --model)",
    r"control_model\.|controlnet_|lora_controlnet|input_hint_block\.|.*zero_conv": "a ControlNet",
    r"image_proj\.|ip_adapter\.": "an IP-Adapter",
    r".*motion_modules\.": "a motion module of AnimateDiff",
    r"adapter\.body\.|body\.\d+\.": "a T2I-Adapter",
    r"(lora_transformer_|lora_unet_|(diffusion_model\.|transformer\.)?)(double_blocks|single_blocks"
    r"|single_transformer_blocks)[_.]": "a LoRA of Flux",
    r"(lora_unet_|diffusion_model\.)joint_blocks[_.]|transformer\.transformer_blocks\.": "a LoRA of Stable Diffusion 3",
    r"lora_te2_|(base_model\.model\.)?text_encoder_2\.": "a LoRA of Stable Diffusion XL",
    r"(lora_unet_|unet\.|base_model\.model\.|diffusion_model\.)*"
    r"(down_blocks|input_blocks|up_blocks|output_blocks|mid_block|middle_block)"
    r"[_.].*transformer_blocks[_.][1-9]": "a LoRA of Stable Diffusion XL",
    r".*\.(a1|a2|b1|b2)\.weight": "a GLoRA",
    r".*\.(oft_blocks|oft_diag|oft_R)": "an OFT adapter",
    r".*\.on_input": "an (IA)3 adapter",
    r"(first_stage_model|decoder|encoder)\.(conv_in|down|up|mid)": "an autoencoder (VAE)",
    r"(down_blocks|up_blocks|mid_block|conv_in|time_embedding)\.(?!.*lora).*weight": "the weights of a denoiser",
    r"text_model\.(?!.*lora).*\.(weight|bias)": "the weights of a text encoder",
    r".*[._](lora[_.]|hada_|lokr_)": LORA,
}


def kind_of(tensors: Mapping[str, Tensor]) -> str:
    """Such as "a ControlNet"; "" where it is none that is known."""
    if tensors and (
        set(tensors) <= set(EMBEDDING_KEYS) or (len(tensors) == 1 and _is_word(*tensors.items()))
    ):
        return "a textual inversion (give it with --word)"
    for pattern, kind in _KINDS.items():
        if any(re.match(pattern, name) for name in tensors):
            return kind
    return ""


def _is_word(named: tuple[str, Tensor]) -> bool:
    name, tensor = named
    return "." not in name and len(tensor.shape) in (1, 2)


@dataclass(frozen=True)
class ContentStore:
    """A folder of the cache with safetensors files under the sha256 of their bytes."""

    folder: str
    noun: str  # such as "adapter"
    kind: str  # such as "LoRA"
    option: str  # that gives a file again
    most: int  # bytes

    def open(self, path: Path) -> TensorFile:
        """ModelError where it is pickled, or no safetensors file."""
        if path.suffix in PICKLED:
            raise ModelError(
                f"{path} may be pickled, which can run code when opened; take a .safetensors file"
            )
        return TensorFile.open(path)

    def keep(self, path: Path, cache: Path | None = None) -> str:
        """Its digest, 64 hex digits. ModelError where it cannot be read, OutputError where nothing can be kept."""
        return self.keep_bytes(self.read(path), str(path), cache)

    def keep_bytes(self, data: bytes, name: str, cache: Path | None = None) -> str:
        """As `keep`, of a file's content; `name` is what messages call it."""
        digest, cache = hashlib.sha256(data).hexdigest(), cache or default_cache()
        place = self._place(digest, cache)
        if not self._is_kept(digest, cache):
            put(place, data, f"keep {name} in {place.parent}")
        with contextlib.suppress(OSError):
            write_atomic(place.with_suffix(".txt"), name.encode("utf-8", "replace"))
        return digest

    def find(self, digest: str, cache: Path | None = None) -> Path:
        """The file of a digest. RequestError where it is not, or no longer, there."""
        cache = cache or default_cache()
        if not self._is_kept(digest, cache):
            again = f"give its file again with {self.option} FILE"
            raise RequestError(f"no {self.noun} {digest[:10]} is kept here; {again}")
        return self._place(digest, cache)

    def name_of(self, digest: str, cache: Path | None = None) -> str:
        """What the user called the file of a digest when it was last given."""
        try:
            return (
                self._place(digest, cache or default_cache())
                .with_suffix(".txt")
                .read_text("utf-8", "replace")
            )
        except OSError:
            return f"{self.noun} {digest[:10]}"

    def _is_kept(self, digest: str, cache: Path) -> bool:
        try:
            return remembered_digest(self._place(digest, cache), cache) == digest
        except OSError:
            return False

    def read(self, path: Path) -> bytes:
        """All of a file. ModelError where it cannot be read, or is too large to be one."""
        try:
            if path.stat().st_size > self.most:
                raise ModelError(f"{path} is larger than {self.most >> 20} MiB; it is no {self.kind}")
            return path.read_bytes()
        except OSError as error:
            raise ModelError(f"cannot read {path}: {error.strerror or error}") from None

    def _place(self, digest: str, cache: Path) -> Path:
        return cache / self.folder / f"{digest}.safetensors"
