"""Sections of the report that are not studies of finished pictures: each a function that measures, and what it is called."""

from __future__ import annotations

from mezzotint.study.paper.made.channels import channels
from mezzotint.study.paper.made.compression import Compression
from mezzotint.study.paper.made.emergence import emergence
from mezzotint.study.paper.made.finetuning import finetuning
from mezzotint.study.paper.made.making import Made
from mezzotint.study.paper.made.midway import midway
from mezzotint.study.paper.made.reading import reading
from mezzotint.study.paper.section import Maker

MAKERS: tuple[Maker, ...] = (
    Made(
        "1",
        "emergence",
        "From noise to the picture",
        "x0 and x_t along a DDIM run of 40 steps: the picture appears in the network's own prediction long before "
        "the noise has left what it reads.",
        emergence,
    ),
    Made(
        "2-4",
        "fine-tuning",
        "Fine-tuning on new pictures",
        "A pixel model learns butterflies: samples after 1 and after 10 epochs, the loss curve, and noise levels, "
        "gradient accumulation, learning rate and batch size varied.",
        finetuning,
    ),
    Made(
        "11-12",
        "compression",
        "Latent diffusion: what a picture becomes",
        "A picture of 512x512x3 becomes latents of 64x64x4, a factor of 48; latents are kept tame by a KL term or by a codebook.",
        Compression(),
    ),
    Made(
        "13-14",
        "reading",
        "How the network reads a text",
        "A text becomes 77 tokens of 768 numbers, which the network reads by cross-attention at every level.",
        reading,
    ),
    Made(
        "16-20",
        "channels",
        "Inside the latents",
        '"A beautiful picture of a sport car in Tokyo" encoded, its four latent channels, decoded again; the sigmas of '
        "LMS, and noise added at a step and decoded.",
        channels,
    ),
    Made(
        "16-20",
        "midway",
        "LMS started in the middle",
        "An image-to-image run starts at step 10 of its schedule. The sampler in use takes its order from the absolute step, "
        "so its first weights do not sum to the step.",
        midway,
    ),
)
