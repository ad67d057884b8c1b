"""Mistakes in Python: an error of ours in one line, before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import mezzotint
from mezzotint import Cfg, Clip, Color, Engine, Picture, Request, generate, open_model
from mezzotint.errors import ConfigError, DataError, MezzotintError, ModelError, OutputError, RequestError
from mezzotint.store import Store
from mezzotint.study.spec import Study


class Mistake(NamedTuple):
    """A call, its error, and what the line must say."""

    name: str
    call: Callable[[], Any]
    error: type[MezzotintError]
    said: str


MISTAKES = [
    Mistake(
        "request steps", lambda: Request(steps=0), RequestError, "steps must be a whole number from 1 to 2000"
    ),
    Mistake("request steps float", lambda: Request(steps=2.5), RequestError, "steps"),  # type: ignore[arg-type]
    Mistake("request seed", lambda: Request(seed=-1), RequestError, "seed must be a whole number from 0"),
    Mistake("request prompt", lambda: Request(3), RequestError, "prompt must be text, got 3"),  # type: ignore[arg-type]
    Mistake("request surrogate", lambda: Request("\ud800"), RequestError, "half a surrogate pair"),
    Mistake("request sampler", lambda: Request(sampler="eulr"), RequestError, "did you mean 'euler'?"),
    Mistake("request width", lambda: Request(width=65), RequestError, "width"),
    Mistake("request eta", lambda: Request(eta=0.5), RequestError, "eta is for the ddim sampler"),
    Mistake("request guidance", lambda: Request(guidance="cgf(4)"), RequestError, "did you mean 'cfg'?"),
    Mistake("request guidance list", lambda: Request(guidance=[4]), RequestError, "guidance must be text"),  # type: ignore[arg-type]
    Mistake("request init", lambda: Request(init="cat.png"), RequestError, "init must be a picture's digest"),
    Mistake("request begin", lambda: Request(begin=3), RequestError, "give init too"),
    Mistake("request replace", lambda: Request().replace(stesp=3), RequestError, "did you mean 'steps'?"),
    Mistake("request repeat", lambda: Request(seed=2**63 - 1).repeat(2), RequestError, "2 pictures count up"),
    Mistake("request JSON", lambda: Request.from_json("{"), RequestError, "a request must be JSON"),
    Mistake(
        "request JSON list", lambda: Request.from_json("[]"), RequestError, "must be a JSON object, got list"
    ),
    Mistake(
        "request JSON name",
        lambda: Request.from_json('{"promt": ""}'),
        RequestError,
        "did you mean 'prompt'?",
    ),
    Mistake("cfg", lambda: Cfg(float("nan")), RequestError, "scale"),
    Mistake("cfg span", lambda: Cfg(4, start=0.8, stop=0.2), RequestError, "start"),
    Mistake("color", lambda: Color("redd", 10), RequestError, "redd"),
    Mistake("clip", lambda: Clip("a cat", 1, cutouts=0), RequestError, "cutouts"),
    Mistake("generate number", lambda: generate(3), RequestError, "a Request, a prompt or several, got int"),  # type: ignore[arg-type]
    Mistake("generate option", lambda: generate("a cat", stesp=3), RequestError, "did you mean 'steps'?"),
    Mistake(
        "generate value", lambda: generate("a cat", "emoji", steps=0), RequestError, "steps must be a whole"
    ),
    Mistake("generate model", lambda: generate("a cat", "emogi"), ModelError, "did you mean 'emoji'?"),
    Mistake("generate mode", lambda: generate("a cat", mode="exct"), RequestError, "did you mean 'exact'?"),  # type: ignore[arg-type]
    Mistake("generate init", lambda: generate("a cat", init=Path("none.png")), DataError, "none.png"),
    Mistake(
        "generate lora", lambda: generate("a cat", lora=["none.safetensors"]), ModelError, "none.safetensors"
    ),
    Mistake(
        "generate words", lambda: generate("a cat", words=[Path("none.safetensors")]), ModelError, "none"
    ),
    Mistake("engine model", lambda: Engine("nosuch"), ModelError, "no model 'nosuch'"),
    Mistake("engine mode", lambda: Engine(mode="exct"), RequestError, "did you mean 'exact'?"),  # type: ignore[arg-type]
    Mistake("open number", lambda: open_model(3), ModelError, "named by a text or a path"),  # type: ignore[arg-type]
    Mistake(
        "open runtime", lambda: open_model(runtime="onnx"), ModelError, "it can be auto, torch, openvino"
    ),  # type: ignore[arg-type]
    Mistake("open dtype", lambda: open_model(dtype="fp8"), MezzotintError, "fp8"),
    Mistake("open threads", lambda: open_model(threads=0), ModelError, "threads must be 1 or more, not 0"),
    Mistake("picture", lambda: Picture.open("none.png"), DataError, "none.png"),
    Mistake("plan", lambda: mezzotint.plan(Request(sampler="eulr"), None), RequestError, "euler"),  # type: ignore[arg-type]
    Mistake("store", lambda: Store.open("/proc/none"), OutputError, "cannot keep a store in /proc/none"),
    Mistake("store index", lambda: Store.open("s", "nosuch://x"), ConfigError, "no index can be opened"),
    Mistake("study file", lambda: Study.read(Path("none.yaml")), ConfigError, "cannot read none.yaml"),
    Mistake("study", lambda: Study.from_mapping({"sedes": 2}, "study"), ConfigError, "did you mean 'seeds'?"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.name for mistake in MISTAKES])
def test_a_mistake_in_python_is_one_line(
    mistake: Mistake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(mistake.error) as caught:
        mistake.call()
    line = str(caught.value)
    assert mistake.said in line
    assert "\n" not in line
