"""What learns of a text-to-image model: all weights of its UNet, or LoRA (2106.09685) beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mezzotint.data.encoded import TextStates
from mezzotint.models.disk.bundle import Bundle
from mezzotint.models.networks import torch_text, torch_unet
from mezzotint.models.texts.tokenizer import ClipTokenizer
from mezzotint.train.finetune.config import FinetuneConfig
from mezzotint.train.finetune.files import write_text_to_image
from mezzotint.train.finetune.lora import add_lora, write_lora
from mezzotint.train.finetune.task import device_of
from mezzotint.train.noise import with_schedule


class UnetLearner:
    """A UNet2DConditionModel; with a picture go the states of its caption, kept on disk."""

    def __init__(self, config: FinetuneConfig, bundle: Bundle):
        self.config, self.bundle = config, bundle
        arch = bundle.architectures()[2]
        self._tokenizer, self._text = ClipTokenizer.of(bundle), torch_text(bundle.text_encoder)
        about = f"{bundle.text_encoder.digest} {bundle.digest}"  # the second for the words
        self._lock = Lock()
        self._states = TextStates(about, (arch.length, arch.width), self._read)
        unet = torch_unet(bundle.unet).requires_grad_(True).train()
        self.module: nn.Module = add_lora(unet, config) if config.lora else unet

    def condition(self, words: Sequence[str]) -> Tensor:
        """(n, length, width)."""
        with self._lock:  # batches are prepared in a thread of their own
            return torch.from_numpy(self._states.states(words))

    def ask(self, module: nn.Module, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """The network's output."""
        device = device_of(module)
        out: Tensor = module(x.to(device), t.to(device), encoder_hidden_states=condition.to(device)).sample
        return out

    def save(self, module: nn.Module, run: Path) -> None:
        """A whole model, or LoRA alone."""
        if self.config.lora:
            write_lora(module, run / "lora", self.config)
        else:
            scheduler = with_schedule(self.bundle.scheduler, self.config.schedule)
            write_text_to_image(module, self.bundle, scheduler, run / "model")

    @torch.no_grad()
    def _read(self, text: str) -> NDArray[np.float32]:
        with torch.autocast("cpu", enabled=False):
            ids = torch.from_numpy(self._tokenizer.encode(text)[0])
            return np.asarray(self._text(input_ids=ids).last_hidden_state[0])
