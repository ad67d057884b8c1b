"""The foreign faces, driven by the field's own packages: `openai` and `webuiapi`."""

from __future__ import annotations

import base64
import io
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import openai
import pytest
import requests
import uvicorn
import webuiapi
from PIL import Image

from mezzotint.recall import recall
from mezzotint.serve.app import create_app
from mezzotint.serve.foreign import begin_of, guidance_of
from mezzotint.serve.settings import ServeSettings
from support.serving import Encoding

RED = Image.new("RGB", (64, 64), "red")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A server on a port of this machine."""
    folder = tmp_path_factory.mktemp("foreign")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        listener = socket.create_server(("127.0.0.1", 0))
        network = Encoding(before=lambda x, timestep, text: time.sleep(0.002))
        app = create_app(ServeSettings(models=("toy",), store=folder / "store"), lambda source: network)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        while not server.started:
            time.sleep(0.02)
        yield SimpleNamespace(port=port, url=f"http://127.0.0.1:{port}")
        server.should_exit = True
        thread.join(30)


@pytest.fixture
def client(place: SimpleNamespace) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{place.url}/v1", api_key="none", max_retries=0) as one:
        yield one


@pytest.fixture
def webui(place: SimpleNamespace) -> webuiapi.WebUIApi:
    return webuiapi.WebUIApi(host="127.0.0.1", port=place.port, sampler="Euler", steps=4)


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def opened(text: str | None) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text or "")))


def mask(transparent: bool) -> bytes:
    """Its right half is drawn anew: by alpha there, by white here."""
    if transparent:
        image = Image.new("RGBA", (64, 64), (0, 0, 0, 255))
        image.paste((0, 0, 0, 0), (32, 0, 64, 64))
        return png(image)
    image = Image.new("L", (64, 64), 0)
    image.paste(255, (32, 0, 64, 64))
    return png(image)


def test_openai_generates_pictures_with_their_seeds(client: openai.OpenAI, tmp_path: Path) -> None:
    extra = {"seed": 5, "num_inference_steps": 3, "guidance_scale": 4, "negative_prompt": "gray"}
    answer = client.images.generate(prompt="a red rose", model="toy", n=2, extra_body=extra)
    assert answer.data is not None
    for number, one in enumerate(answer.data):
        (tmp_path / "one.png").write_bytes(base64.b64decode(one.b64_json or ""))
        told = recall(tmp_path / "one.png").fields
        assert (told["seed"], told["steps"], told["guidance"], told["negative_prompt"]) == (
            5 + number,
            3,
            "cfg(4)",
            "gray",
        )


def test_openai_without_a_seed_differs_each_time(client: openai.OpenAI) -> None:
    two = [client.images.generate(prompt="a", extra_body={"num_inference_steps": 1}) for _ in range(2)]
    seeds = [one.data[0].model_extra["seed"] for one in two if one.data and one.data[0].model_extra]
    assert len(set(seeds)) == 2


def test_openai_streams_partial_pictures_then_the_whole(client: openai.OpenAI) -> None:
    extra = {"num_inference_steps": 12}
    stream: Any = client.images.generate(prompt="a", stream=True, partial_images=2, extra_body=extra)
    events = list(stream)
    assert [event.type for event in events][-1] == "image_generation.completed"
    assert len(events) <= 3
    assert opened(events[-1].b64_json).size == (64, 64)
    assert events[-1].usage.total_tokens == 0


def test_openai_edit_keeps_what_the_mask_covers(client: openai.OpenAI) -> None:
    answer = client.images.edit(
        image=("red.png", png(RED)), mask=("mask.png", mask(True)), prompt="a cat",
        extra_body={"num_inference_steps": 2, "seed": 1},
    )  # fmt: skip
    drawn = np.asarray(opened(answer.data[0].b64_json if answer.data else None).convert("RGB"))
    assert (drawn[:, :28] == (255, 0, 0)).all()
    assert not (drawn[:, 36:] == (255, 0, 0)).all()


def test_openai_variation_starts_from_the_picture(client: openai.OpenAI) -> None:
    answer = client.images.create_variation(image=("red.png", png(RED)), n=1, extra_body={"seed": 1})
    assert answer.data
    assert opened(answer.data[0].b64_json).size == (64, 64)


def test_openai_gives_an_address_where_asked(client: openai.OpenAI) -> None:
    answer = client.images.generate(prompt="a", response_format="url", extra_body={"num_inference_steps": 1})
    assert answer.data
    found = requests.get(str(answer.data[0].url), timeout=30)
    assert Image.open(io.BytesIO(found.content)).size == (64, 64)


def test_openai_lists_models_and_names_them_for_an_unknown_one(client: openai.OpenAI) -> None:
    assert [one.id for one in client.models.list()] == ["toy"]
    with pytest.raises(openai.NotFoundError, match="there are: toy"):
        client.images.generate(prompt="a", model="dall-e-3")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [({"prompt": " "}, "prompt is missing"), ({"prompt": "a", "size": "big"}, "WIDTHxHEIGHT"), ({"prompt": "a", "n": 11}, "n")],
)  # fmt: skip
def test_openai_mistakes_are_one_line(client: openai.OpenAI, wanted: dict[str, Any], said: str) -> None:
    with pytest.raises(openai.APIStatusError, match=said) as error:
        client.images.generate(**wanted)
    assert error.value.status_code in (400, 422)


def test_openai_says_what_has_no_counterpart(client: openai.OpenAI) -> None:
    extra = {"num_inference_steps": 1, "lucky": True}
    answer = client.images.generate(prompt="a", background="transparent", quality="high", extra_body=extra)
    warnings = (answer.model_extra or {})["warnings"]
    assert any("background" in line for line in warnings)
    assert any("lucky" in line for line in warnings)
    assert not any("quality" in line for line in warnings)


def test_a1111_draws_with_the_settings_that_it_was_given(webui: webuiapi.WebUIApi, tmp_path: Path) -> None:
    result = webui.txt2img(
        prompt="a (red:1.2) rose", negative_prompt="gray", seed=7, steps=3, cfg_scale=5, width=64, height=64,
        sampler_name="DPM++ 2M Karras", batch_size=2,
    )  # fmt: skip
    assert len(result.images) == 2
    assert result.info["all_seeds"] == [7, 8]
    assert result.info["sampler_name"] == "DPM++ 2M"
    assert "Steps: 3" in result.info["infotexts"][0]
    assert result.images[0].size == (64, 64)


def test_a1111_defaults_of_its_package_cause_no_warning(webui: webuiapi.WebUIApi) -> None:
    result = webui.txt2img(prompt="a", width=64, height=64)
    assert result.info["warnings"] == []
    assert result.info["seed"] >= 0


def test_a1111_image_to_image_keeps_what_is_black(webui: webuiapi.WebUIApi) -> None:
    white = Image.open(io.BytesIO(mask(False)))
    result = webui.img2img(
        images=[RED], mask_image=white, prompt="a cat", seed=3, steps=2, width=64, height=64, mask_blur=0, inpaint_full_res=False
    )  # fmt: skip
    drawn = np.asarray(result.image.convert("RGB"))
    assert (drawn[:, :28] == (255, 0, 0)).all()
    assert not (drawn[:, 36:] == (255, 0, 0)).all()


def test_a1111_lists_what_there_is(webui: webuiapi.WebUIApi) -> None:
    assert "Euler" in [one["name"] for one in webui.get_samplers()]
    assert webui.util_get_model_names() == ["toy"]
    assert webui.get_options()["sd_model_checkpoint"] == "toy"
    assert webui.get_progress()["progress"] == 0.0
    assert "Karras" in [one["label"] for one in webui.get_schedulers()]


def test_a1111_progress_and_interrupt_while_it_draws(webui: webuiapi.WebUIApi) -> None:
    results: list[Any] = []
    drawing = threading.Thread(
        target=lambda: results.append(
            webui.txt2img(prompt="a", steps=200, batch_size=30, width=64, height=64)
        )
    )
    drawing.start()
    seen = 0.0
    until = time.monotonic() + 60
    while not 0 < (seen := webui.get_progress()["progress"]) < 1 and time.monotonic() < until:
        time.sleep(0.01)
    webui.interrupt()
    drawing.join(60)
    assert 0 < seen < 1
    assert not drawing.is_alive()


def test_a1111_reads_the_settings_of_a_picture(webui: webuiapi.WebUIApi) -> None:
    result = webui.txt2img(prompt="a rose", seed=11, steps=2, width=64, height=64)
    told = webui.png_info(result.image)
    assert "Seed: 11" in told.info


def test_a1111_draws_large_sizes_at_its_own_and_enlarges(place: SimpleNamespace) -> None:
    body = {"prompt": "a", "steps": 1, "width": 128, "height": 128}
    answer = requests.post(f"{place.url}/sdapi/v1/txt2img", json=body, timeout=60)
    # The toy enlarges nothing: the refusal shows that it was asked for two times its own 64.
    assert answer.status_code == 400
    assert "enlarges no pictures" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"enable_hr": True}, "enable_hr"),
        ({"script_name": "x/y/z plot"}, "script_name"),
        ({"sampler_name": "Nothing"}, "there are"),
        ({"override_settings": {"sd_model_checkpoint": "v1-5"}}, "there are: toy"),
        ({"batch_size": 100, "n_iter": 100}, "at most 100"),
        ({"width": 100_000, "height": 64}, "8192"),
    ],
)
def test_a1111_refuses_what_would_change_the_picture(
    place: SimpleNamespace, more: dict[str, Any], said: str
) -> None:
    body = {"prompt": "a", "steps": 1, "width": 64, "height": 64, **more}
    answer = requests.post(f"{place.url}/sdapi/v1/txt2img", json=body, timeout=30)
    assert answer.status_code in (400, 404)
    assert said in answer.text


def test_a1111_fetches_no_address(place: SimpleNamespace) -> None:
    body = {"prompt": "a", "init_images": ["http://127.0.0.1/secret.png"]}
    answer = requests.post(f"{place.url}/sdapi/v1/img2img", json=body, timeout=30)
    assert answer.status_code == 400
    assert "not fetched" in answer.text


def test_scales_up_to_one_mean_off() -> None:
    assert [guidance_of(scale) for scale in (0, 0.5, 1, 7.5)] == ["cfg(1)", "cfg(1)", "cfg(1)", "cfg(7.5)"]


@pytest.mark.parametrize(
    ("strength", "steps", "begin"), [(1, 20, 0), (0.75, 20, 5), (0.6, 25, 10), (0, 20, 19), (0.01, 20, 19)]
)
def test_strength_begins_where_diffusers_does(strength: float, steps: int, begin: int) -> None:
    assert begin_of(strength, steps) == begin
