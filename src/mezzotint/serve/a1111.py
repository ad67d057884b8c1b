"""AUTOMATIC1111's face: `/sdapi/v1/*`, as the `webuiapi` package and the tools around that web UI speak it."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from fastapi import APIRouter, Request
from PIL import Image, ImageFilter, ImageOps
from pydantic import BaseModel, ConfigDict, Field

from mezzotint.guidance import Cfg, Guidance
from mezzotint.infotext import infotext
from mezzotint.interchange import find_sampler, find_spacing
from mezzotint.interchange.prompts import A1111, translate
from mezzotint.picture import Picture
from mezzotint.samplers import SAMPLERS
from mezzotint.serve import foreign
from mezzotint.serve.a1111_about import SCHEDULES, bare_name
from mezzotint.serve.deps import ClientDep, ServiceDep
from mezzotint.serve.errors import ServeError
from mezzotint.serve.foreign import ForeignRequest
from mezzotint.serve.images import encode_preview
from mezzotint.serve.jobs import PictureJob
from mezzotint.serve.pictures import wait_for_job
from mezzotint.serve.service import PictureService

router = APIRouter(prefix="/sdapi/v1", tags=["AUTOMATIC1111"])
MOST = 100  # pictures of one call there
_REFUSED: dict[
    str, tuple[Any, ...]
] = {  # fields that would change the picture beyond use, and the values that do not
    "enable_hr": (None, False),
    "script_name": (None, ""),
    "inpaint_full_res": (None, False, 0),
    "tiling": (None, False),
    "refiner_checkpoint": (None, "", "None"),
}
_UNUSED: dict[str, tuple[Any, ...]] = {  # fields without a counterpart, and the values at which they ask for nothing
    "styles": (None, [], [""]), "subseed_strength": (None, 0, 0.0), "restore_faces": (None, False),
    "s_churn": (None, 0, 0.0), "s_noise": (None, 1, 1.0), "s_tmin": (None, 0, 0.0), "s_tmax": (None, 0, 0.0),
    "inpainting_fill": (None, 0, 1), "resize_mode": (None, 0, 1), "alwayson_scripts": (None, {}),
    "save_images": (None, False),
}  # fmt: skip


_SETTINGS: dict[str, tuple[Any, ...]] = {"CLIP_stop_at_last_layers": (1,), "sd_vae": ("Automatic", "None")}


class Txt2Img(BaseModel):
    """The fields with a meaning here; others may come along and are said where they ask for something."""

    model_config = ConfigDict(extra="allow")

    prompt: str = Field("", max_length=10_000)
    negative_prompt: str | None = Field("", max_length=10_000)
    seed: int | None = -1
    sampler_name: str | None = Field(None, max_length=100)
    sampler_index: str | None = Field(None, max_length=100)
    scheduler: str | None = Field(None, max_length=100)
    steps: int | None = Field(None, ge=0, le=2000)
    cfg_scale: float | None = Field(None, ge=-1000, le=1000, allow_inf_nan=False)
    width: int | None = 512
    height: int | None = 512
    batch_size: int | None = Field(1, ge=1, le=MOST)
    n_iter: int | None = Field(1, ge=1, le=MOST)
    eta: float | None = None
    denoising_strength: float | None = None
    override_settings: dict[str, Any] | None = None
    send_images: bool | None = True

    @property
    def count(self) -> int:
        """Pictures in all."""
        return (self.batch_size or 1) * (self.n_iter or 1)


class Img2Img(Txt2Img):
    """What image to image has beside."""

    init_images: list[str] | None = None
    mask: str | None = None
    mask_blur: float | None = Field(None, ge=0, le=64)
    inpainting_mask_invert: int | None = 0
    include_init_images: bool | None = False


@router.post("/txt2img")
async def txt2img(order: Txt2Img, request: Request, service: ServiceDep, client: ClientDep) -> Any:
    """Pictures from a prompt."""
    name, translation = await _translate(order, service, strength_counts=False)
    return await _answer(order, name, translation, request, service, client)


@router.post("/img2img")
async def img2img(order: Img2Img, request: Request, service: ServiceDep, client: ClientDep) -> Any:
    """Pictures from a picture, or from the white part of a mask."""
    if not order.init_images:
        raise ServeError("init_images is missing")
    name, translation = await _translate(order, service, strength_counts=True)
    fields = translation.fields
    fields["init"], fields["mask"] = await service.off_loop(lambda: _keep_start(order))
    strength = 0.75 if order.denoising_strength is None else order.denoising_strength
    fields["begin"] = foreign.begin_of(strength, fields.get("steps", 25))
    return await _answer(order, name, translation, request, service, client)


@router.get("/progress")
async def progress(
    service: ServiceDep, client: ClientDep, skip_current_image: bool = False
) -> dict[str, Any]:
    """How far the client's own jobs are."""
    jobs = await _running(service, client)
    total = sum(job.evaluations for job in jobs) or 1
    done = sum(item.done for job in jobs for item in job.items)
    job = jobs[-1] if jobs else None
    view = await service.view(job) if job else None
    rough = service.preview(job) if job and not skip_current_image else None
    first = job.items[0] if job else None
    state = {
        "job": job.id if job else "", "job_count": len(jobs), "job_no": 0, "job_timestamp": "0", "skipped": False,
        "interrupted": bool(job and job.cancelled), "stopping_generation": False,
        "sampling_step": first.done if first else 0, "sampling_steps": first.evaluations if first else 0,
    }  # fmt: skip
    return {
        "progress": done / total if jobs else 0.0,
        "eta_relative": (view.eta_seconds if view else None) or 0.0,
        "state": state,
        "current_image": base64.b64encode(encode_preview(rough)).decode() if rough is not None else None,
        "textinfo": None,
    }


@router.post("/interrupt")
@router.post("/skip")
async def interrupt(service: ServiceDep, client: ClientDep) -> dict[str, Any]:
    """Give up the client's own jobs."""
    for job in await _running(service, client):
        await service.cancel(job.id)
    return {}


async def _translate(
    order: Txt2Img, service: PictureService, strength_counts: bool
) -> tuple[str, ForeignRequest]:
    """The served name, and the request's fields with what is to be said of them. ServeError for what cannot be had."""
    extra = order.model_extra or {}
    for name, harmless in _REFUSED.items():
        if name in extra and extra[name] not in harmless:
            raise ServeError(f"{name} is not supported here; leave it out")
    settings = dict(order.override_settings or {})
    name = foreign.model_of(service, bare_name(str(settings.pop("sd_model_checkpoint", "") or "")))
    network = await service.network(name)
    if order.count > MOST:
        raise ServeError(f"{order.count} pictures in one call; at most {MOST} are made")
    fields: dict[str, Any] = {
        **await service.defaults(name),
        "seed": foreign.seed_of(order.seed, order.count),
    }
    translation = ForeignRequest(fields)
    if network.reads_text:
        for key, text in (("prompt", order.prompt), ("negative_prompt", order.negative_prompt or "")):
            found = translate(text, A1111)
            fields[key] = found.text
            translation.warnings += [
                *found.remarks,
                *(f"LoRA {name} is not here" for name, *_ in found.loras),
            ]
        if order.cfg_scale is not None:
            fields["guidance"] = foreign.guidance_of(order.cfg_scale)
    if order.steps:
        fields["steps"] = order.steps
    _put_sampler(translation, order)
    foreign.fit_size(translation, order.width or 512, order.height or 512, network)
    foreign.warn_of_unknown(translation, extra, _UNUSED)
    for key, value in settings.items():
        if value not in _SETTINGS.get(key, ()):
            translation.warnings.append(f"override_settings: {key[:60]} has no counterpart here")
    return name, translation


def _put_sampler(translation: ForeignRequest, order: Txt2Img) -> None:
    """By its name there, old joined ones (`DPM++ 2M Karras`) too. ServeError names what is unknown."""
    fields, said = translation.fields, order.sampler_name or order.sampler_index
    schedule = order.scheduler if order.scheduler not in (None, "", "Automatic", "automatic") else ""
    if said:
        match = find_sampler(said)
        if match is None:
            known = ", ".join(sampler.a1111 for sampler in SAMPLERS.values() if sampler.a1111)
            raise ServeError(f"sampler {said!r} is not here; there are {known}")
        fields["sampler"] = match.sampler
        schedule = schedule or match.schedule
        if not match.exact:
            translation.warnings.append(f"sampler {said} is drawn by {match.sampler}, the nearest here")
    if schedule:
        found = find_spacing(schedule, fields.get("sampler", "dpmpp-2m"))
        if found.spacing is None:
            raise ServeError(f"scheduler {schedule!r} is not here; there are {', '.join(SCHEDULES)}")
        fields["spacing"] = found.spacing
        if not found.exact:
            translation.warnings.append(
                f"scheduler {schedule} is drawn with the levels of {found.spacing}, the nearest here"
            )
    if order.eta and fields.get("sampler") == "ddim":
        fields["eta"] = order.eta


def _keep_start(order: Img2Img) -> tuple[str, str]:
    """The picture and the mask; white is drawn anew there and here."""
    first = foreign.open_image(
        foreign.decode_base64((order.init_images or [""])[0], "init_images[0]"), "init_images[0]"
    )
    ground = Image.new("RGBA", first.size, "white")
    ground.alpha_composite(first)
    if not order.mask:
        return foreign.keep_image(ground.convert("RGB")), ""
    mask = (
        foreign.open_image(foreign.decode_base64(order.mask, "mask"), "mask").convert("L").resize(first.size)
    )
    mask = ImageOps.invert(mask) if order.inpainting_mask_invert else mask
    mask = mask.filter(ImageFilter.GaussianBlur(order.mask_blur)) if order.mask_blur else mask
    mask = mask.point(lambda value: 255 if value >= 128 else 0)
    if not mask.getbbox():
        raise ServeError("the mask has no white part, so nothing would be drawn anew")
    return foreign.keep_image(ground.convert("RGB")), foreign.keep_image(mask.convert("RGB"))


async def _answer(
    order: Txt2Img,
    name: str,
    translation: ForeignRequest,
    request: Request,
    service: PictureService,
    client: str,
) -> dict[str, Any]:
    job = await service.submit(translation.requests(name, order.count), client)
    await wait_for_job(service, job, request, keep=False)
    if job.cancelled and not job.count("finished"):
        return {
            "images": [],
            "parameters": _echo(order),
            "info": json.dumps({"interrupted": True, "warnings": translation.warnings}),
        }
    pictures = [await service.picture(job.id, item.number) for item in job.items if item.state == "finished"]
    files = [await service.off_loop(picture.to_bytes) for picture in pictures]
    images = [base64.b64encode(data).decode() for data in files] if order.send_images is not False else []
    if isinstance(order, Img2Img) and order.include_init_images:
        images += order.init_images or []
    return {
        "images": images,
        "parameters": _echo(order),
        "info": json.dumps(_info(pictures, translation, name)),
    }


def _info(pictures: list[Picture], translation: ForeignRequest, model: str) -> dict[str, Any]:
    """As clients read it: the seed of each picture, and the settings as text."""
    first = pictures[0]
    made = [picture.request for picture in pictures]
    texts = [infotext(p.request, p.image.size, p.provenance.model, p.provenance.model_digest,
                      p.provenance.versions.get("mezzotint", ""), p.provenance.a1111) for p in pictures]  # fmt: skip
    return {
        "prompt": first.request.prompt, "all_prompts": [one.prompt for one in made],
        "negative_prompt": first.request.negative_prompt, "all_negative_prompts": [one.negative_prompt for one in made],
        "seed": first.request.seed, "all_seeds": [one.seed for one in made], "subseed": 0, "all_subseeds": [0] * len(made),
        "subseed_strength": 0, "width": first.image.width, "height": first.image.height,
        "sampler_name": SAMPLERS[first.request.sampler].a1111 or first.request.sampler,
        "cfg_scale": _scale(first.request.terms), "steps": first.request.steps,
        "batch_size": len(made), "restore_faces": False, "sd_model_name": model,
        "sd_model_hash": first.provenance.model_digest[:10],
        "denoising_strength": None, "extra_generation_params": {}, "index_of_first_image": 0, "infotexts": texts, "styles": [],
        "job_timestamp": time.strftime("%Y%m%d%H%M%S"), "clip_skip": 1, "is_using_inpainting_conditioning": False,
        "version": f"mezzotint {first.provenance.versions.get('mezzotint', '')}", "warnings": translation.warnings,
    }  # fmt: skip


def _scale(guidance: Guidance) -> float:
    """Of its classifier-free guidance; 1 where it has none."""
    return next((term.scale for term in guidance.terms if isinstance(term, Cfg)), 1.0)


def _echo(order: Txt2Img) -> dict[str, Any]:
    """What was sent, without the pictures."""
    return {key: value for key, value in order.model_dump().items() if key not in ("init_images", "mask")}


async def _running(service: PictureService, client: str) -> list[PictureJob]:
    """The client's own jobs that have not ended, newest first."""
    jobs, _ = await service.jobs(["queued", "running"], 200, 0)
    return [job for job in jobs if job.client == client]
