"""Studies to begin with run as they are written, `examples/` has the same, and their pictures go on a sheet."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from PIL import Image

from mezzotint.models import open_model
from mezzotint.models.lora.write import save_lora
from mezzotint.store import Store
from mezzotint.study.answer import StudyRunner
from mezzotint.study.spec import Study
from mezzotint.study.templates import TEMPLATES, template

if TYPE_CHECKING:
    from conftest import Cli, Model

ROOT = Path(__file__).parents[2]
OWN_LORA = "../runs/pink/lora/pytorch_lora_weights.safetensors"  # of the tutorial on fine-tuning


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def make_lora(path: Path) -> Path:
    name, rng = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_v", np.random.default_rng(0)
    save_lora(path, {name: (rng.normal(size=(4, 32)), rng.normal(size=(32, 4)))}, 4.0, "diffusers")  # type: ignore[arg-type]
    return path


def cut(file: Path) -> dict[str, Any]:
    """The study with few cells and few steps, and without the claims, which name the others."""
    study: dict[str, Any] = yaml.safe_load(file.read_text())
    study.pop("claims")
    if "axes" in study:
        study["base"]["steps"] = 2
        study["axes"] = {name: v[:2] if isinstance(v, list) else "0..1" for name, v in study["axes"].items()}
    for table in study.get("zipped", ()):
        table |= {name: values[0::6] for name, values in table.items()}  # ddim, pndm and unipc
    return study


@pytest.mark.parametrize("name", TEMPLATES)
def test_examples_are_the_templates(name: Any) -> None:
    lora = OWN_LORA if name == "lora" else ""
    assert (ROOT / f"examples/{name}.yaml").read_text() == template(name, lora=lora)


@pytest.mark.parametrize("name", TEMPLATES)
def test_study_new_writes_a_study_that_runs(cli: Cli, real: Path, name: str) -> None:
    lora = ("--lora", make_lora(Path("style.safetensors"))) if name == "lora" else ()
    said = cli("study", "new", "mine.yaml", "--template", name, *lora)
    assert (said.code, said.lines) == (0, ["mine.yaml"])
    assert (
        "studies/mine/" in Path("mine.yaml").read_text() and "LORA_FILE" not in Path("mine.yaml").read_text()
    )
    tiny = open_model(str(real), dtype="float32")
    with Store.open(Path("store")) as store:
        whole = StudyRunner(Study.read(Path("mine.yaml")), store, lambda model: tiny)
        assert len(whole.claims) == 2 and len(whole.outline.cells) >= 14
    study = {**cut(Path("mine.yaml")), "model": str(real), "precision": "fp32"}
    Path("mine.yaml").write_text(yaml.safe_dump(study))
    said = cli("study", "run", "mine.yaml", "--seeds", 1)
    assert said.code == 0, said.err
    rows = list(csv.DictReader(Path("studies/mine/table.csv").read_text().splitlines()))
    assert len(rows) == (3 if name == "samplers" else 4)
    if name == "samplers":
        assert {row["evaluations"] for row in rows} == {"9"}
    for out in ("studies/mine/sheet.png", "sheet.pdf"):
        assert cli("study", "sheet", "mine.yaml", "--seeds", 1, "--out", out).lines == [out]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("there.yaml",), "there.yaml exists already; name another file"),
        (("mine.txt",), "mine.txt should end in .yaml"),
        (("mine.yaml", "--template", "lora"), "--template lora --lora FILE.safetensors"),
        (("mine.yaml", "--lora", "x.safetensors"), "--template lora --lora FILE.safetensors"),
        (("mine.yaml", "--template", "lora", "--lora", "none.safetensors"), "none.safetensors is not there"),
        (("mine.yaml", "--template", "scales"), "'scales' is not one of"),
    ],
)
def test_study_new_refuses_in_one_line(cli: Cli, words: tuple[str, ...], said: str) -> None:
    Path("there.yaml").write_text("")
    found = cli("study", "new", *words)
    assert found.code == 2 and said in found.err
    assert [path.name for path in Path().iterdir()] == ["there.yaml"]


STUDY = """
base: {steps: 2, prompt: "a {animal}"}
axes: {animal: [cat, dog], guidance.cfg.scale: 1..3}
seeds: 2
"""


def test_sheet_writes_both_kinds_and_says_what_is_missing(cli: Cli, toy: Model) -> None:
    Path("pets.yaml").write_text(STUDY)
    assert cli("study", "run", "pets.yaml", "--seeds", 1).code == 0
    said = cli("study", "sheet", "pets.yaml")
    assert said.lines == ["studies/pets/sheet.png"]
    assert said.err == "6 of 12 pictures are missing; mezzotint study run pets.yaml draws them\n"
    with Image.open("studies/pets/sheet.png") as shown:
        assert shown.width > 1000
    assert cli("study", "sheet", "pets.yaml", "--out", "pets.pdf").lines == ["pets.pdf"]
    assert Path("pets.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "sheet.jpg"), "--out sheet.jpg should end in .png or .pdf"),
        (("--across", "steps"), "--across 'steps' is no axis with several values; take one of animal"),
        ((), "none of the 12 pictures is in the store; first: mezzotint study run pets.yaml"),
        (("--store", "none"), "there is no store at none; first: mezzotint study run pets.yaml"),
    ],
)
def test_sheet_refuses_in_one_line(cli: Cli, toy: Model, words: tuple[str, ...], said: str) -> None:
    Path("pets.yaml").write_text(STUDY)
    with Store.open(Path("store")):
        pass
    found = cli("study", "sheet", "pets.yaml", *words)
    assert found.code == 2 and said in found.err
    shutil.rmtree("store")
    assert [path.name for path in Path().iterdir()] == ["pets.yaml"]
