"""The gallery and recipes: newest first, searched, starred; recalled, and axes read as studies read them."""

from __future__ import annotations

from starlette.testclient import TestClient

from support.serving import Serve


def draw(client: TestClient, **order: object) -> str:
    answer = client.post("/v1/pictures?wait=1", json={"steps": 2, **order})
    assert answer.status_code == 200, answer.text
    return str(answer.headers.get("x-mezzotint-job") or answer.json()["id"])


def test_gallery_is_newest_first_and_searched(serve: Serve) -> None:
    client = serve()
    first = draw(client, prompt="a red rose", seed=1)
    second = draw(client, prompt="a blue 100% cat", seed=2)
    found = client.get("/v1/gallery").json()
    assert [one["job"] for one in found["pictures"]] == [second, first]
    assert found["pagination"]["total"] == 2
    assert [p["job"] for p in client.get("/v1/gallery?search=ROSE").json()["pictures"]] == [first]
    assert [p["job"] for p in client.get("/v1/gallery?search=100%25").json()["pictures"]] == [second]
    assert client.get("/v1/gallery?limit=1&offset=1").json()["pictures"][0]["job"] == first


def test_stars_are_kept_and_taken_back(serve: Serve) -> None:
    client = serve()
    job = draw(client, prompt="a red rose", seed=1)
    draw(client, prompt="a cat", seed=2)
    for _ in range(2):  # asking again is no error
        assert client.put(f"/v1/gallery/{job}/0/star").json() == {"starred": True}
    starred = client.get("/v1/gallery?starred=true").json()
    assert [(p["job"], p["starred"]) for p in starred["pictures"]] == [(job, True)]
    assert starred["pagination"]["total"] == 1
    assert client.delete(f"/v1/gallery/{job}/0/star").json() == {"starred": False}
    assert client.get("/v1/gallery?starred=true").json()["pictures"] == []
    assert client.put(f"/v1/gallery/{job}/7/star").status_code == 404
    assert client.put("/v1/gallery/job-nothing/0/star").status_code == 404


def test_recipe_of_a_picture_is_the_request_that_drew_it(serve: Serve) -> None:
    client = serve()
    job = draw(client, prompt="a red rose", seed=9, guidance="cfg(3)")
    found = client.get(f"/v1/pictures/{job}/images/0/recipe").json()
    assert found["request"]["seed"] == 9
    assert found["request"]["guidance"] == "cfg(3)"
    assert found["provenance"]["evaluations"] == 2


def test_recall_reads_a_picture_that_was_drawn_here(serve: Serve) -> None:
    client = serve()
    job = draw(client, prompt="a red rose", seed=9)
    data = client.get(f"/v1/pictures/{job}/images/0").content
    found = client.post("/v1/recall", content=data).json()
    assert found["tool"] == "Mezzotint"
    assert (found["fields"]["prompt"], found["fields"]["seed"]) == ("a red rose", 9)


def test_recall_refuses_in_one_line_without_a_path(serve: Serve) -> None:
    answer = serve().post("/v1/recall", content=b"no picture")
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert "is not a PNG" in message
    assert "/" not in message.split(" is not")[0]


def test_axes_are_read_as_studies_read_them(serve: Serve) -> None:
    client = serve()
    axes = {"steps": "5..15 step 5", "guidance.cfg.scale": "1, 2.5", "seed": "1-3 (+1)"}
    assert client.post("/v1/axes", json=axes).json() == {
        "steps": [5, 10, 15],
        "guidance.cfg.scale": [1, 2.5],
        "seed": [1, 2, 3],
    }
    assert client.post("/v1/axes", json={"steps": ""}).status_code == 400
