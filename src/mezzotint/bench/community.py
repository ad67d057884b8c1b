"""The published way to guide Stable Diffusion by CLIP, as diffusers' community pipeline does it: its loop, on any weights."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any


class CommunityPipeline:
    """One picture at a time, float32, eager: at each step a third pass of the UNet whose gradient is taken, through the
    full decoder and the cutouts' CLIP."""

    def __init__(self, folder: Path, clip: str) -> None:
        import torch
        from diffusers import DDIMScheduler, StableDiffusionPipeline

        from mezzotint.models.image_text import ImageText

        self._torch = torch
        self._pipe: Any = StableDiffusionPipeline.from_pretrained(
            folder,
            torch_dtype=torch.float32,
            safety_checker=None,
            requires_safety_checker=False,
            local_files_only=True,
        )
        self._pipe.scheduler = DDIMScheduler.from_config(self._pipe.scheduler.config)
        for part in (self._pipe.unet, self._pipe.vae, self._pipe.text_encoder):
            part.requires_grad_(False)
        self._pair = ImageText.open(clip)

    def __call__(self, prompt: str, text: str | None, steps: int, cutouts: int) -> float:
        """Seconds of one picture; `text` None: without CLIP."""
        torch, pipe = self._torch, self._pipe
        states, free = (self._states(words) for words in (prompt, ""))
        began = perf_counter()
        pipe.scheduler.set_timesteps(steps)
        size = pipe.unet.config.sample_size
        x = torch.randn(
            1, pipe.unet.config.in_channels, size, size, generator=torch.Generator().manual_seed(0)
        )
        for t in pipe.scheduler.timesteps:
            with torch.no_grad():
                out = pipe.unet(torch.cat([x, x]), t, encoder_hidden_states=torch.cat([free, states])).sample
            without, with_ = out.chunk(2)
            out = without + 7.5 * (with_ - without)
            if text is not None:
                out = out - self._clip_gradient(x, t, states, text, cutouts)
            x = pipe.scheduler.step(out, t, x).prev_sample
        with torch.no_grad():
            pipe.vae.decode(x / pipe.vae.config.scaling_factor)
        return perf_counter() - began

    def _states(self, words: str) -> Any:
        tokens = self._pipe.tokenizer(
            words, padding="max_length", max_length=77, truncation=True, return_tensors="pt"
        )
        with self._torch.no_grad():
            return self._pipe.text_encoder(tokens["input_ids"])[0]

    def _clip_gradient(self, x: Any, t: Any, states: Any, text: str, cutouts: int) -> Any:
        """sigma times the gradient of 100 times the loss, with respect to x."""
        torch, pipe = self._torch, self._pipe
        x = x.detach().requires_grad_()
        bar = pipe.scheduler.alphas_cumprod[t]
        with torch.enable_grad():
            eps = pipe.unet(x, t, encoder_hidden_states=states).sample
            x0 = (x - (1 - bar).sqrt() * eps) / bar.sqrt()
            seen = x0 * (1 - bar).sqrt() + x * (1 - (1 - bar).sqrt())
            shown = (pipe.vae.decode(seen / pipe.vae.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1)
            u = self._pair.differentiable(self._random_crops(shown, cutouts))
            v = torch.from_numpy(self._pair.embed_texts([text])[0])
            loss = (2 * ((u - v).norm(dim=-1) / 2).arcsin() ** 2).mean() * 100
            (grad,) = torch.autograd.grad(loss, x)
        return (1 - bar).sqrt() * grad

    def _random_crops(self, shown: Any, count: int) -> Any:
        torch = self._torch
        side, target = shown.shape[-1], self._pair.size
        pieces = []
        for _ in range(count):
            size = int(torch.rand(()) * (side - min(side, target)) + min(side, target))
            x, y = (int(torch.randint(0, side - size + 1, ())) for _ in range(2))
            pieces.append(
                torch.nn.functional.adaptive_avg_pool2d(shown[:, :, y : y + size, x : x + size], target)
            )
        return torch.cat(pieces)
