"""`mezzotint study tune`, as it is typed."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mezzotint.request import Request

if TYPE_CHECKING:
    from conftest import Cli, Model

STUDY = """
base: {steps: 4, sampler: ddim}
axes: {prompt: [a cat, a dog]}
search: {guidance.cfg.scale: {low: 1, high: 12}}
"""
TUNE = ("--metric", "sharpness", "--maximize")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "here/scale.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(STUDY)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_search_is_run_and_goes_on(cli: Cli, toy: Model, file: Path) -> None:
    said = cli("study", "tune", file, *TUNE, "--trials", 8, "--seeds", 4)
    assert said.code == 0, said.err
    out = Path("studies/scale-sharpness")
    assert said.lines[-1] == str(out / "index.html")
    assert "indistinguishable" in said.out or "All others are worse" in said.out
    found = json.loads((out / "tune.json").read_text())
    assert len(found["settings"]) in (8, 9)  # the base is one of them, or beside them
    assert found["command"] in said.lines
    assert len(rows(out / "settings.csv")) == len(found["settings"])
    calls, pictures = len(toy.calls), len(list(Path("store/pictures").rglob("*.png")))
    assert cli("study", "tune", file, *TUNE, "--trials", 8, "--seeds", 4).out == said.out
    assert len(toy.calls) == calls
    said = cli("study", "tune", file, *TUNE, "--trials", 12, "--seeds", 8)
    assert said.code == 0, said.err
    found = json.loads((out / "tune.json").read_text())
    values = sum(len(setting["values"]) for setting in found["settings"])
    assert len(list(Path("store/pictures").rglob("*.png"))) == 2 * values > pictures
    assert len(rows(out / "table.csv")) == 2 * values


def test_the_command_is_one_that_runs(cli: Cli, toy: Model, file: Path) -> None:
    cli("study", "tune", file, *TUNE, "--trials", 2, "--seeds", 2)
    found = json.loads(Path("studies/scale-sharpness/tune.json").read_text())
    said = cli(*shlex.split(found["command"])[1:], "--json")
    assert said.code == 0, said.err
    lines = Path("studies/scale-sharpness/best.jsonl").read_text().splitlines()
    wanted = [Request.from_json(line) for line in lines]
    assert {json.loads(line)["request"] for line in said.lines} >= {request.digest for request in wanted}
    assert wanted[0].guidance == f"cfg({found['best']['guidance.cfg.scale']:g})"


def test_bounds_are_kept(cli: Cli, toy: Model, file: Path) -> None:
    words = ("--trials", 6, "--seeds", 2, "--keep", "distance_unguided<=0.05")
    said = cli("study", "tune", file, *TUNE, *words)
    assert said.code == 0, said.err
    found = json.loads(Path("studies/scale-sharpness/tune.json").read_text())
    kept = [s for s in found["settings"] if s["mean distance_unguided"] <= 0.05]
    assert (found["best"] is None) == (not kept)
    said = cli("study", "tune", file, *TUNE, "--trials", 4, "--seeds", 2, "--keep", "distance_unguided<=-1")
    assert "No setting keeps distance_unguided <= -1" in said.out


def test_a_run_that_is_out_of_time_says_so(cli: Cli, toy: Model, file: Path) -> None:
    said = cli("study", "tune", file, *TUNE, "--trials", 4, "--seeds", 2, "--limit-minutes", 1e-9)
    assert said.code == 0
    assert "Nothing is known yet" in said.out
    assert "the same command goes on" in said.out
    assert "Best of" in cli("study", "tune", file, *TUNE, "--trials", 4, "--seeds", 2).out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("high: 12", "high: 0.5", "low must be below high"),
        ("high: 12", "hihg: 12", "did you mean 'high'?"),
        ("guidance.cfg.scale: {low: 1, high: 12}", "steps: [4, 0]", "cells of the study cannot be made"),
        ("guidance.cfg.scale: {low: 1, high: 12}", "stesp: [4, 5]", "did you mean 'steps'?"),
        ("search:", "serach:", "did you mean 'search'?"),
        ("sharpness", "sharpnes", "did you mean 'sharpness'?"),
        ("--maximize", "", "--maximize or --minimize"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    cli: Cli, toy: Model, file: Path, old: str, new: str, said: str
) -> None:
    file.write_text(STUDY.replace(old, new))
    words = [word for word in (w.replace(old, new) for w in TUNE) if word]
    found = cli("study", "tune", file, *words)
    assert found.code == 2
    assert said in found.err
    assert not toy.calls
    assert not Path("studies").exists()
