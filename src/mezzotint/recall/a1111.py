"""The text that A1111, Forge, SD.Next and others of their kind write: prompt, negative prompt, a line of settings.

The reader's rules are those of A1111's `modules/infotext_utils.py`.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress

from mezzotint.errors import DataError
from mezzotint.interchange import find_sampler
from mezzotint.recall.recipe import Draft, Lora, number_of, text_of

_SETTING = re.compile(r'\s*(\w[\w \-/]{1,60}):\s*("(?:\\.|[^\\"]){1,20000}"|[^,]*)(?:,|$)')
_SIZE = re.compile(r"\s*(\d{1,6})x(\d{1,6})\s*")
_LONGEST = 100_000  # of the line of settings
# Settings that change the picture and that we do not repeat.
_NOT_REPEATED = {
    "Hires upscale": "the second, larger pass (Hires)",
    "Hires resize": "the second, larger pass (Hires)",
    "Variation seed": "the variation seed",
    "Refiner": "the refiner",
    "Tiling": "tiling",
    "Face restoration": "face restoration",
    "Distilled CFG Scale": "the distilled scale (of Flux)",
    "ENSD": "the noise seed's delta (ENSD)",
    "VAE": "the VAE",
    "TI hashes": "learned words (TI): give their files with --word",
    "ControlNet 0": "ControlNet",
    "ADetailer model": "the pass of ADetailer",
    "Mask blur": "the mask",
    "NGMS": "the uncond that was skipped (NGMS)",
}
_KARRAS_BY_DEFAULT = ("dpmpp-2m",)  # A1111 1.9 and later, where Schedule type is Automatic


def parse(text: str) -> tuple[str, str, dict[str, str]]:
    """(prompt, negative prompt, settings). Values in JSON quotes come without them."""
    *lines, last = text.strip().split("\n")
    if lines and len(_settings(last)) < 3:
        before = next((i for i in range(len(lines) - 1, -1, -1) if lines[i].startswith("Steps: ")), None)
        lines, last = (lines[:before], lines[before]) if before is not None else ([*lines, last], "")
    settings = _settings(last)
    if len(settings) < 3:
        lines, settings = [*lines, last], {}
    split = next(
        (i for i, line in enumerate(lines) if line.strip().startswith("Negative prompt:")), len(lines)
    )
    negative = "\n".join(lines[split:]).strip().removeprefix("Negative prompt:").strip()
    return "\n".join(lines[:split]).strip(), negative, settings


def _settings(line: str) -> dict[str, str]:
    line = line[:_LONGEST]
    if "| Size:" in line or "| Sampler:" in line:  # SD.Next's
        line = re.sub(r"\s*\|\s*", ", ", line)
    return {key.strip(): _unquote(value.strip()) for key, value in _SETTING.findall(line)}


def _unquote(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        with suppress(ValueError):
            return str(json.loads(value))
    return value


def read(text: str) -> Draft:
    """A draft of the recipe. DataError where there is no line of settings."""
    prompt, negative, settings = parse(text)
    if not settings:
        raise DataError("its parameters have no line of settings")
    draft = Draft(_tool(settings))
    draft.prompts(prompt, negative)
    draft.whole("steps", settings.get("Steps"))
    draft.whole("seed", settings.get("Seed"))
    draft.scale(settings.get("CFG scale", settings.get("CFG Scale")))
    if size := _SIZE.fullmatch(settings.get("Size", "")):
        draft.size(size[1], size[2])
    _read_sampler(draft, settings)
    _read_start(draft, settings)
    _read_models(draft, settings)
    if draft.tool != "SD.Next" and settings.get("RNG", "GPU") not in ("CPU", "NV"):
        draft.unknown.append("its noise: without RNG: CPU it is a GPU's, so another picture comes")
    if settings.get("RNG") == "NV":
        draft.unknown.append("its noise: RNG: NV is that of a GPU of NVIDIA, so another picture comes")
    if (skip := number_of(settings.get("Clip skip"))) is not None and skip > 1:
        draft.unknown.append(f"Clip skip {skip:g}: the text encoder is read to its last layer here")
    draft.unknown += [f"{what} is not repeated" for key, what in _NOT_REPEATED.items() if key in settings]
    return draft


def _tool(settings: dict[str, str]) -> str:
    version, app = settings.get("Version", ""), settings.get("App", "")
    if "SD.Next" in app or "Backend" in settings or "Operations" in settings:
        return "SD.Next"
    if re.match(r"f\d|forge|neo", version):
        return "Forge"
    for tool in ("Fooocus", "ComfyUI", "Mezzotint"):
        if version.lower().startswith(tool.lower()):
            return tool
    return "AUTOMATIC1111"


def _read_sampler(draft: Draft, settings: dict[str, str]) -> None:
    name = settings.get("Sampler", "")
    found = find_sampler(name)
    default = "Karras" if found and found.sampler in _KARRAS_BY_DEFAULT else "Uniform"
    if found and found.sampler in ("ddim", "pndm", "unipc"):
        default = "DDIM"  # their timesteps there, whatever the schedule's name
    old = not settings.get("Schedule type") and re.match(r"v1\.[0-8]\.", settings.get("Version", ""))
    draft.sampled_by(
        name, settings.get("Schedule type", ""), "Uniform" if old and default == "Karras" else default
    )
    if (eta := number_of(settings.get("Eta DDIM", settings.get("Eta")))) is not None:
        if draft.fields.get("sampler") == "ddim" and 0 <= eta <= 1:
            draft.fields["eta"] = eta
        elif eta != 1 or draft.fields.get("sampler") == "ddim":
            draft.unknown.append(f"eta {eta:g} is not repeated")


def _read_start(draft: Draft, settings: dict[str, str]) -> None:
    """Denoising strength: of image to image, unless a second pass takes it."""
    strength = number_of(settings.get("Denoising strength"))
    if strength is None or any(key.startswith("Hires") for key in settings):
        return
    steps = int(draft.fields.get("steps", 25))
    begin = steps - int(min(max(strength, 0.0), 0.999) * steps) - 1
    draft.start = (min(max(begin, 0), steps - 1), steps)


def _read_models(draft: Draft, settings: dict[str, str]) -> None:
    name, digest = text_of(settings.get("Model")), text_of(settings.get("Model hash"))
    draft.model = f"{name} (hash {digest})" if name and digest else name or (digest and f"hash {digest}")
    hashes = dict(re.findall(r"([^,:]{1,200}):\s*([0-9a-fA-F]{6,64})", settings.get("Lora hashes", "")))
    hashes = {key.strip(): value for key, value in hashes.items()}
    draft.loras = [Lora(lora.name, lora.weight, hashes.get(lora.name, "")) for lora in draft.loras]
