"""Adapters in the engine: those with the same share calls, nobody else does, and no picture depends on the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mezzotint.cli import main
from mezzotint.engine import Engine
from mezzotint.engine.worker import NETWORKS
from mezzotint.errors import ModelError, RequestError
from mezzotint.expressions import parse_lora
from mezzotint.picture import Picture
from mezzotint.request import Request
from support.toy import SICK, Array, Toy

A, B, BAD = "a" * 64, "b" * 64, "f" * 64


@dataclass
class Adapted(Toy):
    """The toy, bent by its adapters in what it reads and in what it draws."""

    bend: float = 0.0
    lora: str = ""
    order: list[tuple[str, int]] = field(default_factory=list)  # adapters and rows of each call
    opened: list[str] = field(default_factory=list)

    def check_lora(self, lora: str) -> None:
        if any(adapter.digest == BAD for adapter in parse_lora(lora)):
            raise ModelError("no layer of that name")

    def with_lora(self, lora: str) -> Adapted:
        self.opened += [lora] if lora else []
        bend = sum(adapter.weight * (int(adapter.digest[:2], 16) / 255) for adapter in parse_lora(lora))
        return replace(self, bend=bend, lora=lora) if lora else self

    def encode(self, text: str, role: str = "prompt", encoder: str = "") -> tuple[Array, Warning | None]:
        return self.encode_text(text) * np.float32([1, 1 + self.bend]), None

    def denoise(self, x: Array, timestep: Array, text: Array, rows: int) -> Array:
        self.order.append((self.lora, len(x)))
        return super().denoise(x, timestep, text, rows) + np.float32(self.bend) * np.tanh(x)


REQUESTS = [
    Request(prompt, seed=seed, steps=steps, sampler=sampler, guidance=guidance, lora=lora)
    for seed, (prompt, steps, sampler, guidance, lora) in enumerate(
        [
            ("a cat", 6, "euler", "cfg(3)", A),
            ("a dog", 9, "heun", "none", ""),
            ("a cow", 7, "ddpm", "cfg(2)", A),
            ("a hen", 5, "dpmpp-2m", "cfg(2, stop=0.5)", f"0.5*{A} + {B}"),
            ("a cat", 8, "euler-a", "cfg(3)", ""),
        ]
    )
]


@pytest.mark.parametrize(("mode", "limit"), [("exact", 0), ("fast", 2)])
def test_mixed_company_changes_nothing(mode: Any, limit: int) -> None:
    def made(requests: list[Request]) -> tuple[list[Picture], Adapted]:
        toy = Adapted(wobble=3e-5)
        with Engine(toy, mode) as engine:
            return [future.result() for future in engine.submit_all(requests)], toy

    company, toy = made(REQUESTS)
    assert {lora for lora, _ in toy.order} == {request.lora for request in REQUESTS}
    assert max(rows for lora, rows in toy.order if lora == A) == 4, "those with the same share calls"
    for request, picture in zip(REQUESTS, company, strict=True):
        [alone], _ = made([request])
        difference = np.asarray(alone.image, int) - np.asarray(picture.image, int)
        assert np.abs(difference).max() <= limit
        if request.lora:
            [plain], _ = made([replace(request, lora="")])
            assert plain.digest != alone.digest


def test_who_has_none_draws_as_with_a_model_that_takes_none() -> None:
    request = REQUESTS[1]
    with Engine(Adapted(), "exact") as engine, Engine(Toy(), "exact") as other:
        assert engine.submit(request).result().digest == other.submit(request).result().digest


def test_few_networks_take_turns() -> None:
    """However many adapters are asked for at once, so that few merged networks are in memory; nobody starves."""
    loras = ["", *(f"0.{i}*{A}" for i in range(1, 8))]
    toy = Adapted(max_rows=8)
    with Engine(toy) as engine:
        asked = [Request("a cat", seed=s, steps=12, lora=lora) for s in range(2) for lora in loras]
        pictures = [future.result() for future in engine.submit_all(asked)]
    assert len({picture.digest for picture in pictures}) == len(asked)
    assert len(toy.opened) == len(loras) - 1, "each was opened once"
    order = [lora for lora, _ in toy.order]
    spans = [(order.index(lora), len(order) - order[::-1].index(lora)) for lora in loras]
    at_once = [sum(first <= call < last for first, last in spans) for call in range(len(order))]
    assert max(at_once) == NETWORKS


def test_one_that_fails_takes_nobody_along() -> None:
    toy = Adapted(poison=lambda timestep: float("nan") if timestep < 500 else 0.0)
    with Engine(toy) as engine:
        sick, fine = engine.submit_all(
            [Request(f"a {SICK} cat", steps=4, lora=A), Request("a cat", steps=4, lora=A)]
        )
        assert isinstance(sick.exception(), ModelError)
        assert fine.result().request.lora == A


def test_what_does_not_fit_is_said_before_any_work() -> None:
    toy, plain = Adapted(), Toy()
    with Engine(toy) as engine, pytest.raises(ModelError, match="no layer of that name"):
        engine.submit_all([Request("a cat"), Request("a cat", lora=BAD)])
    with Engine(plain) as engine, pytest.raises(ModelError, match="toy takes no adapters; leave lora out"):
        engine.submit(Request("a cat", lora=A))
    assert toy.calls == plain.calls == []


# With a tiny real model, by the command line


@contextmanager
def heard(capsys: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    lines: list[str] = []
    capsys.readouterr()
    yield lines
    lines += capsys.readouterr().out.splitlines()


def test_generate_and_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two adapters, one of them in a line of a file; the recipe replays without the files, and says what is missing."""
    from mezzotint.models.lora.write import save_lora
    from support import tiny

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    tiny.make_pipeline(tmp_path / "model")
    name, rng = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_v", np.random.default_rng(0)
    for kind in ("diffusers", "kohya"):
        ab = rng.normal(size=(4, 32)), rng.normal(size=(32, 4))
        save_lora(tmp_path / f"{kind}.safetensors", {name: ab}, 4.0, kind)  # type: ignore[arg-type]
    lines = [{"prompt": "a cat", "lora": ["kohya.safetensors:-0.5", "diffusers.safetensors"]}, {"prompt": ""}]
    Path("asked.jsonl").write_text("\n".join(map(json.dumps, lines)))
    how = (
        "generate",
        "--model",
        "model",
        "--dtype",
        "float32",
        "--steps",
        "2",
        "--lora",
        "kohya.safetensors:0.8",
    )
    with heard(capsys) as paths:
        assert main([*how, "a cat", "--prompts-file", "asked.jsonl", "--mode", "exact"]) == 0
    pictures = sorted(
        (Picture.open(path) for path in paths), key=lambda p: (p.request.prompt, p.request.lora)
    )
    weights = [sorted(adapter.weight for adapter in parse_lora(p.request.lora)) for p in pictures]
    assert sorted(weights) == [[-0.5, 1.0], [0.8], [0.8]]
    assert len({picture.digest for picture in pictures}) == 3
    for kept in tmp_path.glob("*.safetensors"):
        kept.unlink()
    for path in paths:
        assert main(["replay", path, "--model", "model"]) == 0
    for kept in (tmp_path / "cache/mezzotint/loras").iterdir():
        kept.unlink()
    assert main(["replay", paths[0], "--model", "model"]) == 2
    assert "give its file again with --lora FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("missing.safetensors:0.8", "cannot read missing.safetensors: No such file"),
        ("x.safetensors:5", "lora: a weight is from -4 to 4, got '5'"),
        ("style.ckpt", "style.ckpt may be pickled"),
    ],
)
def test_mistakes_are_told(given: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "a cat", "--lora", given]) == 2
    assert said in capsys.readouterr().err


def test_a_request_names_no_path() -> None:
    with pytest.raises(RequestError, match="write 0"):
        Request("a cat", lora="style.safetensors:0.8")
