"""Our own API, on a toy network."""

from __future__ import annotations

import io
import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from mezzotint import generate
from mezzotint.image_files import texts
from mezzotint.picture import Picture
from mezzotint.recall import recall
from mezzotint.request import Request
from mezzotint.serve.orders import PictureOrder
from support.serving import Serve
from support.toy import Toy


class Gated(Toy):
    """Waits before each network call until it may go on."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        super().__init__(before=lambda x, timestep, text: assert_(self.gate.wait(20)))


def assert_(condition: bool) -> None:
    assert condition


def pixels(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_wait_answers_with_the_picture(serve: Serve, tmp_path: Path) -> None:
    answer = serve().post("/v1/pictures?wait=1", json={"prompt": "a cat", "seed": 7, "steps": 4})
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png", answer.text
    (tmp_path / "a.png").write_bytes(answer.content)
    picture = Picture.open(tmp_path / "a.png")
    assert picture.request == Request("a cat", seed=7, steps=4)
    assert (pixels(answer.content) == np.asarray(generate(picture.request, Toy())[0].image)).all()


def test_a_job_tells_its_cost_its_state_and_its_pictures(serve: Serve) -> None:
    client = serve(network := Gated())
    job = client.post("/v1/pictures", json={"prompt": "a cat", "seed": 3, "steps": 4, "n": 3})
    assert job.status_code == 202 and job.headers["location"] == f"/v1/pictures/{job.json()['id']}"
    told = job.json()
    assert told["total"] == 3 and told["evaluations"] == 12 and told["state"] in ("queued", "running")
    assert [one["seed"] for one in told["pictures"]] == [3, 4, 5]
    url = job.headers["location"]
    assert client.get(f"{url}/images/0").status_code == 409
    network.gate.set()
    done = finished(client, url)
    assert done["state"] == "finished" and done["finished"] == 3 and done["evaluations_done"] == 12
    assert client.get(done["pictures"][2]["url"]).status_code == 200
    assert client.get(f"{url}/images/3").status_code == 404


def finished(client: TestClient, url: str) -> Any:
    """The state of a job after its last event."""
    assert list(events(client, url))[-1][0] == "done"
    return client.get(url).json()


def events(client: TestClient, url: str, after: str = "") -> Iterator[tuple[str, str, Any]]:
    """(event, id, data) up to the end of the stream."""
    with client.stream("GET", f"{url}/events", headers={"Last-Event-ID": after}) as answer:
        for block in "".join(answer.iter_text()).replace("\r\n", "\n").split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if fields:
                yield fields["event"], fields["id"], json.loads(fields["data"])


def test_events_tell_all_in_order_and_again_after_the_last_one_heard(serve: Serve) -> None:
    client = serve()
    url = client.post("/v1/pictures", json={"prompt": "a cat", "steps": 4, "n": 2}).headers["location"]
    finished(client, url)
    told = list(events(client, url))
    kinds = [kind for kind, _, _ in told]
    assert kinds[0] == "queued" and kinds[-1] == "done" and kinds.count("finished") == 2
    ids = [int(id_) for _, id_, _ in told]
    assert ids == sorted(set(ids))
    assert list(events(client, url, after=str(ids[1]))) == told[2:]


@pytest.mark.parametrize("kind", ["webp", "jpeg"])
def test_other_formats_carry_the_recipe_too(serve: Serve, tmp_path: Path, kind: str) -> None:
    answer = serve().post(
        f"/v1/pictures?wait=1&format={kind}", json={"prompt": "a cät", "seed": 7, "steps": 4}
    )
    assert answer.headers["content-type"] == f"image/{kind}"
    (path := tmp_path / f"a.{kind}").write_bytes(answer.content)
    assert recall(path).fields["prompt"] == "a cät" and recall(path).fields["seed"] == 7
    recipe = json.loads(texts(answer.content)["ImageDescription"])["mezzotint"]
    assert Request.from_dict(recipe["request"]) == Request("a cät", seed=7, steps=4)


def test_a_sweep_crosses_axes_as_studies_do(serve: Serve) -> None:
    client = serve()
    order = {
        "prompt": "a {what}",
        "seed": 5,
        "axes": {"what": "cat, dog", "steps": "2..4", "guidance.cfg.scale": [1, 2.5], "seed": "5-6"},
        "zipped": [{"sampler": ["euler", "ddim"], "eta": [0.0, 0.5]}],
    }
    job = client.post("/v1/pictures", json=order).json()
    assert job["total"] == 2 * 3 * 2 * 2 * 2
    client.post(f"/v1/pictures/{job['id']}/cancel")
    order = {"seed": 5, "axes": {"steps": "2..3"}, "n": 2}
    job = client.post("/v1/pictures?wait=1", json=order).json()
    assert [one["seed"] for one in job["pictures"]] == [5, 6, 5, 6]
    assert [one["evaluations"] for one in job["pictures"]] == [2, 2, 3, 3]


def test_an_order_may_say_every_field_of_a_request() -> None:
    assert {field.name for field in fields(Request)} <= set(PictureOrder.model_fields)


def test_seeds_that_are_not_given_are_drawn_and_told(serve: Serve) -> None:
    client = serve()
    seeds = {
        client.post("/v1/pictures?wait=1", json={"steps": 1, **more}).headers["x-mezzotint-seed"]
        for more in ({}, {"seed": None}, {"seed": -1})
    }
    assert len(seeds) == 3 and all(0 <= int(seed) < 2**32 for seed in seeds)


@pytest.mark.parametrize(
    ("order", "status", "message"),
    [
        ({"prompt": 5}, 422, "prompt"),
        ({"promt": "a"}, 422, "did you mean 'prompt'"),
        ({"steps": 201}, 400, "at most 200"),
        ({"width": 2048, "height": 2048}, 400, "pixels"),
        ({"width": 512, "height": 512, "upscale": 4}, 400, "pixels"),
        ({"n": 0}, 422, "n is 0"),
        ({"n": 10**9}, 400, "at most 50"),
        ({"axes": {"steps": "1..20", "seed": "1..20"}}, 400, "at most 50"),
        ({"axes": {"stepz": "1..2"}}, 400, "stepz"),
        ({"requests": [{"steps": 2, "promt": "a"}]}, 400, "promt"),
        ({"model": "../../etc/passwd"}, 404, "is not served"),
        ({"axes": {"model": ["emoji"]}}, 400, "is not served"),
        ({"sampler": "eular"}, 400, "euler"),
        ({"init": "/etc/passwd"}, 400, "digest"),
        ({"axes": {"init": ["/etc/passwd"]}}, 400, "digest"),
        ({"encoder": "some/bert"}, 400, "never a path"),
        ({"guidance": 'clip("a cat", model="some/pair")'}, 400, "never a path"),
        ({"lora": "style.safetensors"}, 400, "lora"),
        ({"lora": "0" * 64}, 400, "--allow-adapters"),
        ({"seed": -2}, 422, "seed"),
        ({"priority": 11}, 422, "priority"),
        ({"steps": 200, "trace": 1}, 400, "at most 64 frames"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_line(
    client: TestClient, order: dict[str, Any], status: int, message: str
) -> None:
    answer = client.post("/v1/pictures", json=order)
    assert answer.status_code == status, answer.text
    assert message in answer.json()["error"]["message"] and "\n" not in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"eta": NaN}', b'{"prompt": "\\ud800"}', b"[" * 100_000, b"\xff"]
)
def test_broken_json_is_no_fault_of_the_server(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/pictures", content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500 and answer.json()["error"]["message"]


def test_cancel_is_idempotent_and_frees_the_rest(serve: Serve) -> None:
    client = serve(network := Gated())
    url = client.post("/v1/pictures", json={"steps": 4, "n": 40}).headers["location"]
    other = client.post("/v1/pictures", json={"steps": 2}).headers["location"]
    said = [client.post(f"{url}/cancel").json()["cancelled"] for _ in range(2)]
    assert said[0] is True
    network.gate.set()
    assert finished(client, other)["state"] == "finished"
    assert finished(client, url)["state"] == "cancelled"
    assert client.post(f"{url}/cancel").json()["cancelled"] is False
    assert client.post("/v1/pictures/job-0/cancel").status_code == 404


def test_a_sick_picture_fails_alone_and_says_why(serve: Serve) -> None:
    client = serve(Toy(poison=lambda timestep: float("nan")))
    order = {"requests": [{"prompt": "a cat"}, {"prompt": "a sick cat"}], "steps": 3}
    job = client.post("/v1/pictures?wait=1", json=order).json()
    assert [one["state"] for one in job["pictures"]] == ["finished", "failed"] and job["state"] == "failed"
    assert "step 1 of 3" in job["pictures"][1]["error"]
    answer = client.post("/v1/pictures?wait=1", json={"prompt": "sick", "steps": 3})
    assert answer.status_code == 422 and "step 1 of 3" in answer.json()["error"]["message"]


def test_one_idempotency_key_is_one_job(serve: Serve) -> None:
    client = serve()
    headers = {"Idempotency-Key": "abc"}

    def ask(order: dict[str, Any]) -> Any:
        return client.post("/v1/pictures", json=order, headers=headers)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, [{"steps": 2}] * 8))  # its seed is drawn anew each time
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert ask({"steps": 3}).status_code == 409
    assert client.get("/v1/pictures").json()["pagination"]["total"] == 1


def test_a_full_queue_says_when_to_ask_again(serve: Serve) -> None:
    client = serve(network := Gated(), max_queue=8)
    answers = [client.post("/v1/pictures", json={"steps": 1, "n": 6}) for _ in range(8)]
    assert answers[0].status_code == 202 and answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert client.post("/v1/pictures", json={"steps": 1, "n": 9}).status_code == 400  # never
    network.gate.set()


def test_jobs_are_listed_by_page_and_state(serve: Serve) -> None:
    client = serve()
    for seed in range(5):
        client.post("/v1/pictures?wait=1", json={"steps": 1, "seed": seed})
    page = client.get("/v1/pictures", params={"limit": 2, "offset": 2}).json()
    assert [job["pictures"][0]["seed"] for job in page["jobs"]] == [2, 1]
    assert page["pagination"] == {"offset": 2, "limit": 2, "total": 5, "has_more": True}
    for status, total in (("finished", 5), ("queued", 0), ("running", 0), ("failed", 0)):
        assert client.get("/v1/pictures", params={"status": status}).json()["pagination"]["total"] == total, (
            status
        )


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_mixed_requests_over_http_equal_the_same_alone(serve: Serve, mode: Any) -> None:
    draw = random.Random(4)
    orders = [
        {
            "prompt": draw.choice(["a cat", "a dog on the moon", ""]),
            "seed": draw.randrange(100),
            "steps": draw.randint(1, 9),
            "sampler": draw.choice(["ddim", "euler-a", "dpmpp-2m", "heun", "pndm"]),
            "guidance": draw.choice(["cfg(1)", "cfg(4)", "cfg(3, stop=0.5)"]),
            "width": draw.choice([64, 64, 128]),
        }
        for _ in range(12)
    ]
    network: Callable[[], Toy] = lambda: Toy(wobble=1e-7)  # noqa: E731
    client = serve(network(), mode=mode)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda order: client.post("/v1/pictures?wait=1", json=order), orders))
    for order, answer in zip(orders, answers, strict=True):
        [alone] = generate(Request(**order), network(), mode)
        far = np.abs(pixels(answer.content).astype(int) - np.asarray(alone.image)).max()
        assert far <= (2 if mode == "fast" else 0), order


def test_capabilities_name_what_a_request_may_say(serve: Serve) -> None:
    client = serve()
    client.post("/v1/pictures?wait=1", json={"steps": 1})
    told = client.get("/v1/capabilities").json()
    assert told["models"][0]["name"] == "toy" and told["models"][0]["width"] == 64
    assert "euler" in told["samplers"] and told["limits"]["max_steps"] == 200
    assert {"name": "scale", "type": "float", "default": None, "required": True} in told["guidance"]["cfg"]
