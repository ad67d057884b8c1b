"""Picture files as other tools write them, small, with their texts where they put them."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

A1111 = """a (red:1.2) cup, (still life), [dull] <lora:style:0.8>
Negative prompt: blurry, low quality
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 965400086, Size: 512x768, \
Model hash: 6ce0161689, Model: v1-5-pruned, RNG: CPU, Lora hashes: "style: 0123456789ab", Version: v1.10.1"""

COMFYUI: dict[str, Any] = {
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": 156680208700286, "steps": ["20", 0], "cfg": 8.0, "sampler_name": "euler", "scheduler": "normal",
                   "denoise": 1.0, "model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["21", 0]},
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "v1-5.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 448, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a (red) cup", "clip": ["10", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": ["22", 0], "clip": ["10", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
    "10": {
        "class_type": "LoraLoader",
        "inputs": {"lora_name": "style.safetensors", "strength_model": 0.7, "strength_clip": 0.7,
                   "model": ["4", 0], "clip": ["4", 1]},
    },
    "20": {"class_type": "PrimitiveInt", "inputs": {"value": 30}},
    "21": {"class_type": "Reroute", "inputs": {"": ["5", 0]}},
    "22": {"class_type": "PrimitiveString", "inputs": {"value": "blurry"}},
}  # fmt: skip

INVOKEAI = {
    "app_version": "4.2.4",
    "generation_mode": "txt2img",
    "positive_prompt": "a red cup",
    "negative_prompt": "blurry",
    "width": 512,
    "height": 512,
    "seed": 3279502829,
    "rand_device": "cpu",
    "cfg_scale": 7.5,
    "steps": 30,
    "scheduler": "dpmpp_2m_k",
    "model": {"key": "a", "hash": "blake3:0123", "name": "dreamshaper-8", "base": "sd-1", "type": "main"},
    "loras": [{"model": {"name": "style"}, "weight": 0.75}],
}
SD_METADATA = {
    "model": "stable diffusion",
    "model_weights": "stable-diffusion-1.5",
    "image": {
        "prompt": [{"prompt": "a red cup [blurry]", "weight": 1.0}],
        "steps": 50,
        "cfg_scale": 7.5,
        "width": 512,
        "height": 512,
        "seed": 42,
        "type": "txt2img",
        "sampler": "k_lms",
    },
}
DREAM = '"a red cup [blurry]" -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms'
FOOOCUS = {
    "prompt": "a red cup",
    "negative_prompt": "blurry",
    "steps": 30,
    "resolution": "(896, 1152)",
    "guidance_scale": 4.0,
    "base_model": "juggernautXL_v8",
    "seed": "7526459219424431384",
    "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras",
    "loras": [["sd_xl_offset", 0.1, "4852686128"]],
    "metadata_scheme": "fooocus",
    "version": "Fooocus v2.5.0",
}
NOVELAI = {
    "steps": 28,
    "sampler": "k_euler_ancestral",
    "seed": 3004711438,
    "scale": 11.0,
    "uc": "lowres, {bad}",
    "noise_schedule": "karras",
}


def png(path: Path, **texts: str) -> Path:
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name.replace("_", "-") if name == "sd_metadata" else name, text)
    Image.new("RGB", (8, 8), "red").save(path, pnginfo=info)
    return path


def with_comment(path: Path, text: str, code: str = "utf-16-be") -> Path:
    """A JPEG or WebP with the text in EXIF's UserComment, as A1111 writes it."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode(code)
    exif[0x8769] = exif.get_ifd(0x8769)
    Image.new("RGB", (8, 8), "red").save(path, exif=exif)
    return path


def every_kind(folder: Path) -> dict[str, Path]:
    """A file of each tool, by the name of the tool."""
    return {
        "AUTOMATIC1111": png(folder / "a1111.png", parameters=A1111),
        "A1111 in JPEG": with_comment(folder / "a1111.jpg", A1111),
        "ComfyUI": png(folder / "comfy.png", prompt=json.dumps(COMFYUI), workflow="{}"),
        "InvokeAI": png(folder / "invoke.png", invokeai_metadata=json.dumps(INVOKEAI)),
        "InvokeAI 2": png(folder / "invoke2.png", sd_metadata=json.dumps(SD_METADATA), Dream=DREAM),
        "InvokeAI 1": png(folder / "invoke1.png", Dream=DREAM),
        "Fooocus": png(folder / "fooocus.png", parameters=json.dumps(FOOOCUS), fooocus_scheme="fooocus"),
        "NovelAI": png(
            folder / "nai.png", Software="NovelAI", Description="{red} cup", Comment=json.dumps(NOVELAI)
        ),
    }


def chunk(kind: bytes, body: bytes, whole: bool = True) -> bytes:
    """A chunk of a PNG, with a wrong checksum where it is not whole."""
    crc = zlib.crc32(kind + body) ^ (not whole)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def insert(data: bytes, added: bytes, before: bytes = b"IDAT") -> bytes:
    """A PNG with more bytes before its first chunk of a kind."""
    at = data.index(before) - 4
    return data[:at] + added + data[at:]


def plain_png(mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((16, 8)).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()
