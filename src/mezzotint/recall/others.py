"""InvokeAI's, Fooocus's and NovelAI's metadata: JSON with a key for each setting."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from typing import Any

from mezzotint.errors import DataError
from mezzotint.interchange.prompts import A1111, NOVELAI, PLAIN
from mezzotint.recall.recipe import Draft, Lora, number_of, parse_object, text_of

_MOST_LORAS = 16


def read_invokeai(text: str) -> Draft:
    """`invokeai_metadata` of InvokeAI 3 and later. Its noise is the CPU's unless it says otherwise."""
    data, draft = parse_object(text), Draft("InvokeAI")
    draft.prompts(data.get("positive_prompt"), data.get("negative_prompt"), PLAIN)
    _read_numbers(draft, data, "cfg_scale")
    draft.sampled_by(data.get("scheduler"))
    draft.size(data.get("width"), data.get("height"))
    draft.model = _model_name(data.get("model"))
    if data.get("rand_device", "cpu") != "cpu":
        draft.unknown.append("its noise is a GPU's, so another picture comes")
    for one in _items(data.get("loras")):
        named = one.get("model", one.get("lora")) if isinstance(one, dict) else None
        if isinstance(one, dict) and (weight := number_of(one.get("weight"))) is not None:
            draft.loras.append(Lora(_model_name(named) or "of no name", weight))
    strength = number_of(data.get("strength"))
    if strength is not None and 0 < strength <= 1 and "img2img" in str(data.get("generation_mode", "")):
        draft.start = _start(draft, strength)
    if (skip := number_of(data.get("clip_skip"))) is not None and skip > 0:
        draft.unknown.append(f"Clip skip {skip:g}: the text encoder is read to its last layer here")
    draft.unknown += [f"{key} is not repeated" for key in ("controlnets", "ipAdapters") if data.get(key)]
    return draft


def read_sd_metadata(text: str) -> Draft:
    """`sd-metadata` of InvokeAI 2: the negative prompt stands in brackets inside the prompt."""
    data, draft = parse_object(text), Draft("InvokeAI")
    image = data.get("image")
    if not isinstance(image, dict):
        raise DataError("its sd-metadata describes no image")
    prompts = image.get("prompt")
    if isinstance(prompts, list):
        said = [one.get("prompt") for one in prompts if isinstance(one, dict)]
        prompts = " ".join(one for one in said if isinstance(one, str))
    _read_bracketed(draft, prompts)
    _read_numbers(draft, image, "cfg_scale")
    draft.sampled_by(image.get("sampler"))
    draft.size(image.get("width"), image.get("height"))
    draft.model = text_of(data.get("model_weights"))
    if image.get("type") == "img2img" and (strength := number_of(image.get("strength"))) is not None:
        draft.start = _start(draft, strength)
    _say_device(draft)
    return draft


def read_dream(text: str) -> Draft:
    """`Dream`, the first of InvokeAI: its command line, `"a cat" -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms`."""
    try:
        words = shlex.split(text[:20_000])
    except ValueError:
        raise DataError("its Dream line has a quote that is not closed") from None
    draft = Draft("InvokeAI")
    options = dict(pairwise(words))
    first = next((i for i, word in enumerate(words) if re.fullmatch("-[a-zA-Z]", word)), len(words))
    _read_bracketed(draft, " ".join(words[:first]).removeprefix("dream>").strip())
    draft.whole("steps", options.get("-s"))
    draft.whole("seed", options.get("-S"))
    draft.scale(options.get("-C"))
    draft.size(options.get("-W"), options.get("-H"))
    draft.sampled_by(options.get("-A"))
    if "-I" in options and (strength := number_of(options.get("-f", "0.75"))) is not None:
        draft.start = _start(draft, strength)
    _say_device(draft)
    return draft


def read_fooocus(text: str) -> Draft:
    """`parameters` as JSON, of Fooocus's own scheme."""
    data, draft = parse_object(text), Draft("Fooocus")
    _check_any(data, ("prompt", "full_prompt", "steps", "base_model"))
    prompt, negative = (_whole_text(data, name) for name in ("prompt", "negative_prompt"))
    draft.prompts(prompt, negative, A1111)
    _read_numbers(draft, data, "guidance_scale")
    if size := re.fullmatch(r"\D{0,3}(\d{2,5})\D{1,4}(\d{2,5})\D{0,3}", text_of(data.get("resolution"))):
        draft.size(size[1], size[2])
    draft.sampled_by(data.get("sampler"), data.get("scheduler"))
    draft.model = text_of(data.get("base_model"))
    for one in _items(data.get("loras")):
        if isinstance(one, list) and len(one) >= 2 and (weight := number_of(one[1])) is not None:
            draft.loras.append(Lora(text_of(one[0]), weight, text_of(one[2]) if len(one) > 2 else ""))
    refiner = text_of(data.get("refiner_model"))
    draft.unknown += [f"the refiner {refiner!r} is not repeated"] if refiner not in ("", "None") else []
    draft.unknown += [
        f"{key} is not repeated" for key in ("sharpness", "adm_guidance", "styles") if data.get(key)
    ]
    return draft


def read_novelai(comment: str, description: str) -> Draft:
    """`Comment` of NovelAI as JSON; in old files the prompt stands in `Description` alone."""
    data, draft = parse_object(comment), Draft("NovelAI")
    _check_any(data, ("prompt", "steps", "sampler", "seed", "uc"))
    prompt = data.get("prompt")
    draft.prompts(prompt if isinstance(prompt, str) else description or None, data.get("uc"), NOVELAI)
    _read_numbers(draft, data, "scale")
    draft.size(data.get("width"), data.get("height"))
    schedule = data.get("noise_schedule")
    draft.sampled_by(data.get("sampler"), "" if schedule == "native" else schedule)
    if (strength := number_of(data.get("strength"))) is not None and data.get(
        "request_type"
    ) == "Img2ImgRequest":
        draft.start = _start(draft, strength)
    draft.unknown.append("its model, which is not to be had")
    draft.unknown.append("its noise is a GPU's, so another picture comes")
    return draft


def _read_numbers(draft: Draft, data: dict[str, Any], scale: str) -> None:
    draft.whole("steps", data.get("steps"))
    draft.whole("seed", data.get("seed"))
    draft.scale(data.get(scale))


def _read_bracketed(draft: Draft, prompt: object) -> None:
    """[words] are the negative prompt."""
    if not isinstance(prompt, str):
        return
    negative = " ".join(re.findall(r"\[([^\[\]]{1,5000})\]", prompt))
    draft.prompts(" ".join(re.sub(r"\[[^\[\]]{1,5000}\]", "", prompt).split()), negative, PLAIN)


def _start(draft: Draft, strength: float) -> tuple[int, int]:
    """As diffusers begins: after n - min(int(n*s), n) steps."""
    steps = int(draft.fields.get("steps", 25))
    begin = steps - min(int(steps * max(strength, 0.0)), steps)
    return min(begin, steps - 1), steps


def _say_device(draft: Draft) -> None:
    draft.guessed.append("its noise is taken as a CPU's; that version drew it on the GPU where there was one")


def _check_any(data: dict[str, Any], names: tuple[str, ...]) -> None:
    if not any(name in data for name in names):
        raise DataError(f"its metadata has none of {', '.join(names)}")


def _whole_text(data: dict[str, Any], name: str) -> object:
    """The text that was read in the end, with what styles and expansion added, where the file has it."""
    full = data.get(f"full_{name}")
    if isinstance(full, list) and full and all(isinstance(one, str) for one in full):
        return ", ".join(full)
    return data.get(name)


def _items(value: object) -> list[object]:
    return value[:_MOST_LORAS] if isinstance(value, list) else []


def _model_name(value: object) -> str:
    if not isinstance(value, dict):
        return text_of(value)
    name, digest = (text_of(value.get(key)) for key in ("name", "hash"))
    name = name or text_of(value.get("model_name"))
    return f"{name} (hash {digest})" if name and digest else name
