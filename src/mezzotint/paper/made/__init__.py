"""Sections of the report that are not studies of finished pictures: each a function that measures, and what it is called."""

from __future__ import annotations

from mezzotint.paper.made.channels import channels
from mezzotint.paper.made.compression import Compression
from mezzotint.paper.made.emergence import emergence
from mezzotint.paper.made.finetuning import finetuning
from mezzotint.paper.made.making import FunctionMaker
from mezzotint.paper.made.midway import midway
from mezzotint.paper.made.reading import reading
from mezzotint.paper.section import Maker

MAKERS: tuple[Maker, ...] = (
    FunctionMaker(
        "1",
        "emergence",
        "From noise to the picture",
        "x0 and x_t along a DDIM run of 40 steps: the picture appears in the network's own prediction long before "
        "the noise has left what it reads.",
        emergence,
        "The report shows one run of a model of photographs. Ours are `faces` at 64x64 and the latents of `emoji`.",
        32 / 6,
    ),
    FunctionMaker(
        "2-4",
        "fine-tuning",
        "Fine-tuning on new pictures",
        "A pixel model learns butterflies: samples after 1 and after 10 epochs, the loss curve, and noise levels, "
        "gradient accumulation, learning rate and batch size varied.",
        finetuning,
        "The report fine-tunes a celebrity-face model at 256x256 on photographs of butterflies. Ours starts at drawn faces of "
        "64x64, learns butterflies that `emoji` drew, and takes fewer steps at a higher rate.",
        14.0,
    ),
    FunctionMaker(
        "11-12",
        "compression",
        "Latent diffusion: what a picture becomes",
        "A picture of 512x512x3 becomes latents of 64x64x4, a factor of 48; latents are kept tame by a KL term or by a codebook.",
        Compression(),
        "The report's autoencoder is Stable Diffusion's, at 512x512. Ours was trained here on emoji, 128x128; its factor is 48.",
        128 / 24,
    ),
    FunctionMaker(
        "13-14",
        "reading",
        "How the network reads a text",
        "A text becomes 77 tokens of 768 numbers, which the network reads by cross-attention at every level.",
        reading,
        "The report's text encoder gives 768 numbers a token. Ours is narrower and was distilled here; tokens are 77 as well.",
        4.0,
    ),
    FunctionMaker(
        "16-20",
        "channels",
        "Inside the latents",
        '"A beautiful picture of a sport car in Tokyo" encoded, its four latent channels, decoded again; the sigmas of '
        "LMS, and noise added at a step and decoded.",
        channels,
        "The report encodes a picture of Stable Diffusion at 512x512. Ours is what `emoji` draws of the same prompt, at 128x128.",
        128 / 24,
    ),
    FunctionMaker(
        "16-20",
        "midway",
        "LMS started in the middle",
        "An image-to-image run starts at step 10 of its schedule. The sampler in use takes its order from the absolute step, "
        "so its first weights do not sum to the step.",
        midway,
        "The report shows the schedule alone; that LMS errs when it is begun in the middle is our finding.",
        32 / 6,
    ),
)
