"""`mezzotint study` and `mezzotint store`, as they are typed."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Cli, Model

STUDY = """
base: {steps: 4, sampler: ddim}
axes:
  prompt: [a cat, a dog]
  guidance: ["cfg({scale}, start=0.5)"]
  scale: [2, 4, 6]
seeds: 2
metrics: [sharpness, distance_unguided, diversity]
plots: [{metric: distance_unguided, over: scale, by: prompt}]
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "here/late.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(STUDY)
    return path


def table(path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(path).read_text().splitlines()))


def test_a_dry_run_says_what_there_is_to_do(cli: Cli, toy: Model, file: Path) -> None:
    said = cli("study", "run", file, "--dry-run")
    assert said.code == 0
    assert said.lines[0] == "16 pictures: 6 cells x 2 seeds, and 4 to compare with; 16 are missing"
    assert said.lines[1] == "40 network evaluations, 64 rows; shared beginnings save 24 evaluations"
    assert said.lines[2].startswith("about ")
    assert not list(Path("store").glob("pictures/*"))


def test_a_study_is_run_and_goes_on(cli: Cli, toy: Model, file: Path) -> None:
    said = cli("study", "run", file, "--seeds", 1)
    assert said.code == 0, said.err
    assert said.lines == ["studies/late/index.html"]
    assert "8 pictures: 6 cells x 1 seeds, and 2 to compare with; 8 are missing" in said.err
    said = cli("study", "run", file)
    assert "8 are missing" in said.err
    rows = table("studies/late/table.csv")
    assert len(rows) == 12
    assert all(float(row["distance_unguided"]) > 0 for row in rows)
    calls = len(toy.calls)
    said = cli("study", "run", file, "--out", "elsewhere")
    assert " 0 are missing" in said.err
    assert len(toy.calls) == calls
    assert table("elsewhere/table.csv") == rows


def test_a_table_has_the_metrics_of_its_study_alone(cli: Cli, toy: Model, file: Path) -> None:
    """Whatever else the store keeps of the same pictures, and however it names them; also the second time."""
    assert cli("study", "run", file).code == 0
    file.write_text(STUDY.replace("metrics: [sharpness,", "color: red\nmetrics: [color_distance, clipped,"))
    named = ["model", "color_distance", "clipped", "distance_unguided", "evaluations", "seconds", "key"]
    for _ in range(2):
        assert cli("study", "run", file).code == 0
        assert list(table("studies/late/table.csv")[0])[4:] == named


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("scale: [2, 4, 6]", "scale: []", "axis scale is empty"),
        ("sharpness", "sharpnes", "did you mean 'sharpness'?"),
        ("steps: 4", "stepz: 4", "did you mean 'steps'?"),
        ("scale: [2, 4, 6]", "scale: [2, x]", "cells of the study cannot be made"),
        ("diversity", "fid", "reference"),
        ("over: scale", "over: scales", "did you mean 'scale'?"),
        ("{metric:", "{metrics:", "did you mean 'metric'?"),
    ],
)
def test_a_bad_study_is_refused_before_any_work(
    cli: Cli, toy: Model, file: Path, old: str, new: str, said: str
) -> None:
    file.write_text(STUDY.replace(old, new))
    found = cli("study", "run", file)
    assert found.code == 2
    assert said in found.err
    assert not toy.calls
    assert not Path("studies").exists()


def test_the_store_is_looked_at_and_looked_after(cli: Cli, toy: Model, file: Path) -> None:
    assert cli("store", "list").code == 2
    cli("study", "run", file)
    said = cli("store", "list", "-n", 3, "--prompt", "dog")
    assert len(said.lines) == 3
    key = said.lines[0].split()[0]
    shown = json.loads(cli("store", "show", key).out)
    assert shown["request"]["prompt"] == "a dog"
    assert Path(shown["path"]).exists()
    assert cli("store", "show", "zz").code == 2
    assert cli("store", "verify").lines == ["16 pictures are whole"]
    Path(shown["path"]).write_bytes(b"torn")
    assert cli("store", "verify").code == 1
    assert cli("store", "verify", "--repair").code == 0
    assert cli("store", "verify").code == 0
    assert cli("store", "export", "copies", "--prompt", "cat").code == 0
    assert len(list(Path("copies").glob("*.png"))) == 8
    assert cli("store", "gc").lines == ["removed 0 pictures and 2 other files, 0.0 MiB"]
    assert "removed 15 pictures" in cli("store", "gc", "--model", "toy").out
    assert cli("store", "list").lines == []
