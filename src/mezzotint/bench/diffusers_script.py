"""A picture by diffusers, as a short script of a user would make it. Run by path; imports no Mezzotint.

Arguments: folder, prompt, file, seed, steps, scale, dtype, threads.
"""

import sys

import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

if __name__ == "__main__":
    folder, prompt, file, seed, steps, scale, dtype, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    pipe = StableDiffusionPipeline.from_pretrained(
        folder, torch_dtype=getattr(torch, dtype), safety_checker=None, local_files_only=True
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)
    picture = pipe(
        prompt,
        num_inference_steps=int(steps),
        guidance_scale=float(scale),
        generator=torch.Generator("cpu").manual_seed(int(seed)),
    ).images[0]
    picture.save(file)
