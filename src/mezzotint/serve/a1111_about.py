"""What AUTOMATIC1111's clients ask about: samplers, models, options, memory, and the settings inside a picture."""

from __future__ import annotations

import io
from typing import Any

import psutil
from fastapi import APIRouter
from PIL import Image
from pydantic import BaseModel

from mezzotint.recall import recall
from mezzotint.samplers import SAMPLERS
from mezzotint.serve import foreign
from mezzotint.serve.deps import ServiceDep
from mezzotint.serve.errors import ServeError
from mezzotint.serve.uploads import with_file

router = APIRouter(prefix="/sdapi/v1", tags=["AUTOMATIC1111"])
SCHEDULES = ("Automatic", "Karras", "Uniform", "Simple", "DDIM", "SGM Uniform")
UPSCALERS = ("None", "Mezzotint")


class PngInfo(BaseModel):
    """A picture to read."""

    image: str


def bare_name(name: str) -> str:
    """`emoji.safetensors [1234abcd]` is `emoji`."""
    return name.split(" [")[0].removesuffix(".safetensors").strip()


@router.get("/samplers")
async def samplers() -> list[dict[str, Any]]:
    """By the names of that tool; ours are aliases."""
    return [
        {"name": sampler.a1111 or name, "aliases": [name], "options": {}}
        for name, sampler in SAMPLERS.items()
    ]


@router.get("/schedulers")
async def schedulers() -> list[dict[str, Any]]:
    """Schedules of that tool that have a counterpart here."""
    return [
        {"name": label.lower().replace(" ", "_"), "label": label, "aliases": None, "default_rho": -1, "need_inner_model": False}
        for label in SCHEDULES
    ]  # fmt: skip


@router.get("/sd-models")
async def sd_models(service: ServiceDep) -> list[dict[str, Any]]:
    """The models that are served."""
    listed = []
    for name in service.settings.sources:
        host = service.hosts.find(name)
        digest = host.network.digest if host else None
        listed.append(
            {"title": name, "model_name": name, "hash": digest[:10] if digest else None,
             "sha256": digest, "filename": name, "config": None}
        )  # fmt: skip
    return listed


@router.get("/upscalers")
async def upscalers() -> list[dict[str, Any]]:
    """What enlarges pictures."""
    return [
        {"name": name, "model_name": None, "model_path": None, "model_url": None, "scale": 4.0}
        for name in UPSCALERS
    ]


@router.get("/loras")
@router.get("/sd-vae")
@router.get("/sd-modules")
@router.get("/latent-upscale-modes")
@router.get("/hypernetworks")
@router.get("/face-restorers")
@router.get("/realesrgan-models")
@router.get("/prompt-styles")
async def nothing() -> list[Any]:
    """Adapters are brought by `/v1/adapters`; the rest is not here."""
    return []


@router.get("/embeddings")
async def embeddings() -> dict[str, Any]:
    """New words are brought by `/v1/words`."""
    return {"loaded": {}, "skipped": {}}


@router.get("/scripts")
async def scripts() -> dict[str, list[str]]:
    """There are none."""
    return {"txt2img": [], "img2img": []}


@router.get("/script-info")
async def script_info() -> list[Any]:
    """There are none."""
    return []


@router.get("/options")
async def options(service: ServiceDep) -> dict[str, Any]:
    """Settings of that tool that mean something here."""
    return {"sd_model_checkpoint": next(iter(service.settings.sources)), "sd_vae": "Automatic",
            "CLIP_stop_at_last_layers": 1, "samples_format": "png"}  # fmt: skip


@router.post("/options")
async def set_options(given: dict[str, Any], service: ServiceDep) -> None:
    """The model is chosen for each call: `override_settings`. One that is served may be named here, and changes nothing."""
    if name := given.get("sd_model_checkpoint"):
        foreign.model_of(service, bare_name(str(name)))
    if more := sorted(set(given) - {"sd_model_checkpoint"}):
        raise ServeError(
            f"options are not changed over this API, {more[0][:60]} neither; use override_settings in each call"
        )


@router.get("/cmd-flags")
async def cmd_flags(service: ServiceDep) -> dict[str, Any]:
    """What that tool was started with."""
    return {"api": True, "listen": not service.settings.loopback, "port": service.settings.port}


@router.get("/memory")
async def memory() -> dict[str, Any]:
    """Of the machine, in bytes."""
    ram = psutil.virtual_memory()
    return {
        "ram": {"free": ram.available, "used": ram.used, "total": ram.total},
        "cuda": {"error": "unavailable"},
    }


@router.post("/refresh-checkpoints")
@router.post("/refresh-loras")
@router.post("/refresh-embeddings")
@router.post("/refresh-vae")
async def refresh() -> dict[str, Any]:
    """Models are fixed when the server starts."""
    return {}


@router.post("/png-info")
async def png_info(given: PngInfo, service: ServiceDep) -> dict[str, Any]:
    """The settings inside a picture."""
    data = foreign.decode_base64(given.image, "image")

    def read() -> dict[str, Any]:
        foreign.open_image(data, "image")
        with Image.open(io.BytesIO(data), formats=foreign.FORMATS) as opened:
            items = {name: text for name, text in opened.info.items() if isinstance(text, str)}
        return {"info": items.get("parameters", ""), "items": items, "parameters": _parameters(data)}

    return await service.off_loop(read)


def _parameters(data: bytes) -> dict[str, Any]:
    """What `recall` finds, else nothing."""
    try:
        return dict(with_file(data, ".picture", recall).fields)
    except ServeError:
        return {}
