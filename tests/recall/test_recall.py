"""Recipes of other tools are read as far as they tell, and what they do not tell is said."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.errors import MezzotintError
from mezzotint.image_files import exif_texts, texts
from mezzotint.picture import Picture
from mezzotint.recall import Recipe, a1111, comfyui, others, recall
from mezzotint.recall.read import _draft
from mezzotint.request import Request
from support import foreign_pictures as files
from support.made import picture

SAME = {"prompt": "a red cup", "negative_prompt": "blurry"}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (
            "AUTOMATIC1111",
            {"prompt": "a (red:1.2) cup, (still life:1.1), (dull:0.9091) ", "negative_prompt": "blurry, low quality",
             "steps": 20, "seed": 965400086, "guidance": "cfg(7)", "width": 512, "height": 768,
             "sampler": "dpmpp-2m", "spacing": "karras"},
        ),
        (
            "ComfyUI",
            {"prompt": "a (red:1.1) cup", "negative_prompt": "blurry", "steps": 30, "seed": 156680208700286,
             "guidance": "cfg(8)", "width": 512, "height": 448, "sampler": "euler", "spacing": "linspace"},
        ),
        (
            "InvokeAI",
            SAME | {"steps": 30, "seed": 3279502829, "guidance": "cfg(7.5)", "width": 512, "height": 512,
                    "sampler": "dpmpp-2m", "spacing": "karras"},
        ),
        (
            "InvokeAI 2",
            SAME | {"steps": 50, "seed": 42, "guidance": "cfg(7.5)", "width": 512, "height": 512, "sampler": "lms"},
        ),
        (
            "InvokeAI 1",
            SAME | {"steps": 50, "seed": 42, "guidance": "cfg(7.5)", "width": 512, "height": 512, "sampler": "lms"},
        ),
        (
            "Fooocus",
            SAME | {"steps": 30, "seed": 7526459219424431384, "guidance": "cfg(4)", "width": 896, "height": 1152,
                    "sampler": "dpmpp-2m-sde", "spacing": "karras"},
        ),
        (
            "NovelAI",
            {"prompt": "(red:1.05) cup", "negative_prompt": "lowres, (bad:1.05)", "steps": 28, "seed": 3004711438,
             "guidance": "cfg(11)", "sampler": "euler-a", "spacing": "karras"},
        ),
    ],
)  # fmt: skip
def test_the_fields_of_every_tool(tmp_path: Path, kind: str, fields: dict[str, Any]) -> None:
    recipe = recall(files.every_kind(tmp_path)[kind])
    assert kind.startswith(recipe.tool)
    stripped = {key: value.strip() if isinstance(value, str) else value for key, value in fields.items()}
    assert {key: v.strip() if isinstance(v, str) else v for key, v in recipe.fields.items()} == stripped
    assert recipe.request == Request(**recipe.fields)


@pytest.mark.parametrize("ending", ["jpg", "webp"])
@pytest.mark.parametrize("code", ["utf-16-be", "utf-16-le", "utf-16"])
def test_a_comment_in_exif_reads_as_the_text_of_a_png(tmp_path: Path, ending: str, code: str) -> None:
    png = recall(files.png(tmp_path / "a.png", parameters=files.A1111))
    assert recall(files.with_comment(tmp_path / f"a.{ending}", files.A1111, code)) == png


def test_models_and_loras_are_named(tmp_path: Path) -> None:
    every = files.every_kind(tmp_path)
    a, c, i = (recall(every[kind]) for kind in ("AUTOMATIC1111", "ComfyUI", "InvokeAI"))
    assert a.model == "v1-5-pruned (hash 6ce0161689)"
    assert [(one.name, one.weight, one.hash) for one in a.loras] == [("style", 0.8, "0123456789ab")]
    assert c.model == "v1-5.safetensors" and [one.weight for one in c.loras] == [0.7]
    assert i.model == "dreamshaper-8 (hash blake3:0123)" and [one.name for one in i.loras] == ["style"]
    assert "LoRA 'style': give its file, --lora FILE:0.8" in a.unknown


def parameters(line: str, prompt: str = "a cat") -> Recipe:
    return a1111.read(
        f"{prompt}\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512{line}"
    ).finish()


def test_noise_of_a_gpu_is_said() -> None:
    assert any("GPU" in line for line in parameters("").unknown)
    assert not any("GPU" in line for line in parameters(", RNG: CPU").unknown)
    assert any("NVIDIA" in line for line in parameters(", RNG: NV").unknown)


@pytest.mark.parametrize(
    ("sampler", "version", "spacing"),
    [
        ("DPM++ 2M", "v1.9.4", "karras"),
        ("DPM++ 2M", "v1.6.0", "linspace"),
        ("DPM++ 2M Karras", "v1.6.0", "karras"),
        ("Euler", "v1.9.4", "linspace"),
        ("DDIM", "v1.9.4", "leading"),
    ],
)
def test_a_schedule_that_is_left_out_is_guessed(sampler: str, version: str, spacing: str) -> None:
    draft = a1111.read(f"a\nSteps: 20, Sampler: {sampler}, Seed: 1, CFG scale: 7, Version: {version}")
    assert draft.fields["spacing"] == spacing
    assert any("schedule" in line for line in draft.guessed) == ("Karras" not in sampler)


@pytest.mark.parametrize(
    ("scale", "guidance"), [("0", "cfg(1)"), ("1", "cfg(1)"), ("0.5", "cfg(1)"), ("2.5", "cfg(2.5)")]
)
def test_a_scale_of_one_and_below_is_off(scale: str, guidance: str) -> None:
    assert a1111.read(f"a\nSteps: 20, CFG scale: {scale}, Seed: 1").fields["guidance"] == guidance


def test_what_is_not_read_is_taken_out_of_the_prompt_and_said() -> None:
    recipe = parameters("", "a cat BREAK (a hat) AND a dog, [oak:elm:0.5], [red|blue] <hypernet:x:1>")
    assert recipe.fields["prompt"] == "a cat (a hat:1.1), a dog, oak, red"
    said = " ".join(recipe.unknown)
    assert all(word in said for word in ("BREAK", "AND", "changes between steps", "<hypernet:x:1>"))


def test_denoising_strength_is_a_start_unless_a_second_pass_takes_it() -> None:
    assert parameters(", Denoising strength: 0.5").start == (9, 20)
    recipe = parameters(", Denoising strength: 0.5, Hires upscale: 2")
    assert recipe.start is None and any("Hires" in line for line in recipe.unknown)


def test_a_value_that_cannot_be_drawn_is_said_and_left_out() -> None:
    recipe = a1111.read("a\nSteps: 0, Sampler: LCM, Seed: -1, Size: 515x99999, CFG scale: 7").finish()
    assert set(recipe.fields) == {"prompt", "negative_prompt", "guidance", "width"}
    assert recipe.fields["width"] == 512 and any("515" in line for line in recipe.guessed)
    assert len(recipe.unknown) >= 4


def test_a_line_of_sd_next_is_read() -> None:
    line = "Steps: 20| Size: 512x512| Sampler: Euler| Seed: 5| CFG scale: 6| App: SD.Next| Backend: Diffusers"
    draft = a1111.read(f"a cat\n{line}")
    assert (draft.tool, draft.fields["seed"], draft.fields["sampler"]) == ("SD.Next", 5, "euler")


def graph(**inputs: Any) -> dict[str, Any]:
    data = copy.deepcopy(files.COMFYUI)
    data["3"]["inputs"] |= inputs
    return data


def test_a_graph_from_a_picture_has_a_start() -> None:
    data = graph(denoise=0.5, steps=10, latent_image=["30", 0])
    data["30"] = {"class_type": "VAEEncode", "inputs": {"pixels": ["31", 0], "vae": ["4", 2]}}
    data["31"] = {"class_type": "LoadImage", "inputs": {"image": "photo.png"}}
    assert comfyui.read(json.dumps(data)).start == (10, 20)


def test_of_two_samplers_the_first_is_read_and_the_second_said() -> None:
    data = graph(latent_image=["30", 0], denoise=0.5, seed=9)
    data["30"] = {
        "class_type": "LatentUpscale",
        "inputs": {"samples": ["31", 0], "width": 1024, "height": 1024},
    }
    data["31"] = copy.deepcopy(files.COMFYUI["3"])
    draft = comfyui.read(json.dumps(data))
    assert draft.fields["seed"] == 156680208700286 and draft.fields["width"] == 512
    assert any("second sampler" in line for line in draft.unknown)


def test_an_advanced_sampler_is_read() -> None:
    data = graph(noise_seed=7, start_at_step=0, end_at_step=10000)
    data["3"]["class_type"] = "KSamplerAdvanced"
    assert comfyui.read(json.dumps(data)).fields["seed"] == 7


def test_a_graph_that_goes_in_circles_ends() -> None:
    data = graph(model=["10", 0], latent_image=["21", 0], steps=["20", 0])
    data["10"]["inputs"]["model"] = ["10", 0]
    data["21"]["inputs"] = {"": ["21", 0]}
    data["20"]["inputs"] = {"value": ["20", 0]}
    assert comfyui.read(json.dumps(data)).fields["seed"] == 156680208700286


def test_our_own_recipe_comes_back_whole(tmp_path: Path) -> None:
    request = Request("a (cat:1.2)", "dog", 7, steps=9, sampler="ddim", eta=0.5, guidance="cfg(4, stop=0.8)")
    replace(picture(3), request=request).save(tmp_path / "a.png")
    recipe = recall(tmp_path / "a.png")
    assert (recipe.tool, recipe.request) == ("Mezzotint", request)


def test_our_parameters_alone_read_as_our_request(tmp_path: Path) -> None:
    request = Request("a cat (still life) BREAK", "dog", 7, 64, 64, 9, "euler", "linspace", guidance="cfg(4)")
    replace(picture(3), request=request).save(tmp_path / "a.png")
    text = texts((tmp_path / "a.png").read_bytes())["parameters"]
    draft = a1111.read(text.replace("16x16", "64x64"))
    assert draft.tool == "Mezzotint"
    assert {key: getattr(request, key) for key in draft.fields} == draft.fields | {"prompt": request.prompt}
    assert draft.fields["prompt"] == r"a cat \(still life\) break"  # the same to CLIP


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("nothing", "", "does not say how it was drawn"),
        ("parameters", "a cat", "does not say how it was drawn"),
        ("prompt", '{"1": {"class_type": "Note", "inputs": {}}}', "no KSampler"),
        ("prompt", '{"class_type"', "not whole JSON"),
        ("workflow", "{}", "workflow for the editor"),
        ("invokeai_metadata", "[]", "no JSON object"),
        ("invokeai_metadata", "{}", "tells nothing"),
        ("invokeai_metadata", "[" * 100_000, "not whole JSON"),
        ("Dream", '"a cat', "quote"),
    ],
)
def test_a_file_without_a_recipe_is_an_error(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = files.png(tmp_path / "a.png", **{name: text})
    with pytest.raises(MezzotintError, match=message):
        recall(path)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["3", "6", "10"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list("ab346")), inner, max_size=3)
    ),
    max_leaves=8,
)


def assert_only_our_errors(found: dict[str, str]) -> None:
    try:
        draft = _draft(found)
        recipe = draft.finish() if draft else None
    except MezzotintError as error:
        assert "\n" not in str(error)
    else:
        assert recipe is None or isinstance(recipe.request, Request)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_json_raises_only_our_error(data: st.DataObject) -> None:
    name, good = data.draw(
        st.sampled_from(
            [("invokeai_metadata", files.INVOKEAI), ("sd-metadata", files.SD_METADATA), ("parameters", files.FOOOCUS),
             ("Comment", files.NOVELAI), ("prompt", files.COMFYUI), ("prompt", files.COMFYUI["3"]["inputs"])]
        )
    )  # fmt: skip
    odd = copy.deepcopy(good)
    for key in data.draw(st.lists(st.sampled_from(sorted(odd)), max_size=4)):
        odd[key] = data.draw(anything)
    whole = (
        {**copy.deepcopy(files.COMFYUI), "3": {"class_type": "KSampler", "inputs": odd}}
        if "cfg" in good
        else odd
    )
    assert_only_our_errors({name: json.dumps(whole), "Software": "NovelAI", "Description": "a cat"})


settings_text = st.lists(
    st.tuples(st.sampled_from(["Steps", "Sampler", "Seed", "Size", "CFG scale", "Denoising strength", "Clip skip",
                               "Eta", "Schedule type", "Lora hashes", "Model", "RNG"]),
              st.text(max_size=12) | st.sampled_from(["1e999", "nan", "-1", "٣", "99999999999999999999x8", "Euler a"])),
    max_size=8,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("ab (:)[]|<>1.\\\n{}BREAK,"), max_size=60), settings_text)
def test_odd_parameters_raise_only_our_error(prompt: str, line: list[tuple[str, str]]) -> None:
    text = f"{prompt}\nSteps: 5, " + ", ".join(f"{key}: {value}" for key, value in line)
    assert_only_our_errors({"parameters": text})
    assert_only_our_errors({"Dream": prompt})


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 400), st.integers(0, 255))
def test_texts_of_any_bytes_are_read_without_an_error(tail: bytes, at: int, value: int) -> None:
    for head in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe1", b"RIFF\0\0\0\0WEBPEXIF", b""):
        texts(head + tail)
    exif_texts(b"II*\0\x08\0\0\0" + tail)
    data = bytearray(
        files.insert(files.plain_png(), files.chunk(b"zTXt", b"a\0\0x") + files.chunk(b"iTXt", tail))
    )
    data[at % len(data)] = value
    texts(bytes(data))


def test_a_text_that_unpacks_to_too_much_is_left_out() -> None:
    import zlib

    bomb = files.chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"a" * (8 << 20)))
    assert texts(files.insert(files.plain_png(), bomb)) == {}


def test_long_hostile_texts_are_read_at_once() -> None:
    for text in (
        "(" * 10_000,
        "[" * 10_000,
        "<lora:" * 3000,
        "a b" * 300_000 + "\nSteps: 5, Seed: 1, Size: 8x8",
    ):
        assert_only_our_errors({"parameters": f"{text}\nSteps: 5, Seed: 1, Size: 64x64"})


def test_replay_s_reader_still_opens_what_others_cannot(tmp_path: Path) -> None:
    picture(3).save(tmp_path / "a.png")
    assert Picture.open(tmp_path / "a.png").request == picture(3).request


def test_fooocus_in_the_form_of_a1111(tmp_path: Path) -> None:
    path = files.png(
        tmp_path / "a.png", parameters=files.A1111.replace("v1.10.1", "Fooocus v2.5"), fooocus_scheme="a1111"
    )
    assert recall(path).tool == "Fooocus"


def test_old_files_of_novelai_have_their_prompt_in_the_description() -> None:
    assert others.read_novelai('{"steps": 5}', "a cat").fields["prompt"] == "a cat"
