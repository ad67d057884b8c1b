"""What a study asks for, and every mistake told before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from mezzotint import library
from mezzotint.errors import ConfigError
from mezzotint.expressions import LoraAdapter, canonical_lora
from mezzotint.models.lora.files import keep_lora
from mezzotint.models.lora.write import save_lora
from mezzotint.study.cells import cells
from mezzotint.study.outline import CompiledStudy
from mezzotint.study.spec import Study
from support.toy import Toy


def read(tmp_path: Path, **told: Any) -> Study:
    path = tmp_path / "late-cfg.yaml"
    path.write_text(yaml.safe_dump(told, sort_keys=False))
    return Study.read(path)


def requests(study: Study) -> list[Any]:
    return [cell.request for cell in cells(study)]


def test_axes_are_crossed_and_zipped(tmp_path: Path) -> None:
    study = read(
        tmp_path,
        base={"prompt": "a cat"},
        axes={"guidance.cfg.scale": [1, 2.5], "encoder": ["", "bert"]},
        zipped=[{"sampler": ["ddpm", "ddim"], "steps": [100, 20]}],
        seeds=3,
    )
    made = cells(study)
    assert study.name == "late-cfg"
    assert study.count == len(made) * 3 == 24
    assert [
        (c.request.guidance, c.request.encoder, c.request.sampler, c.request.steps) for c in made[:4]
    ] == [
        ("cfg(1)", "", "ddpm", 100),
        ("cfg(1)", "", "ddim", 20),
        ("cfg(1)", "bert", "ddpm", 100),
        ("cfg(1)", "bert", "ddim", 20),
    ]
    assert made[-1].values == {"guidance.cfg.scale": 2.5, "encoder": "bert", "sampler": "ddim", "steps": 20}
    assert {request.prompt for request in requests(study)} == {"a cat"}


def test_a_word_in_braces_is_an_axis(tmp_path: Path) -> None:
    study = read(
        tmp_path,
        base={"prompt": "a {thing} {x}{y}", "guidance": 'cfg(2) + clip("a {thing}", effect={x})'},
        axes={"thing": ["cat", "dog"], "x": [0.1, 0.2]},
    )
    first, *_, last = requests(study)
    assert first.guidance == 'cfg(2) + clip("a cat", effect=0.1)'
    assert last.prompt == "a dog 0.2{y}"


def test_any_field_of_any_term_is_an_axis(tmp_path: Path) -> None:
    study = read(
        tmp_path,
        base={"guidance": 'cfg(2, stop=0.5) + cfg(3, start=0.5) + clip("a cat")'},
        axes={"guidance.cfg.2.scale": [7], "guidance.clip.scale": [50], "guidance.course-clip.cutouts": [9]},
    )
    assert (
        requests(study)[0].guidance
        == 'cfg(2, stop=0.5) + cfg(7, start=0.5) + clip("a cat", scale=50, cutouts=9)'
    )


def test_init_is_a_file_kept_in_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    study = read(tmp_path, base={"init": "red.png"}, axes={"begin": [0, 5]})
    made = cells(study)
    assert made[0].request.init == library.keep(tmp_path / "red.png")
    assert made[1].request.begin == 5


def test_lora_is_files_with_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    a, b = np.ones((2, 2, 32), np.float32), np.ones((2, 32, 2), np.float32)
    for i, name in enumerate(("one", "two")):
        save_lora(tmp_path / f"{name}.safetensors", {"mid_block.proj_in": (a[i], b[i] * (i + 1))}, 2.0)
    one, two = (keep_lora(tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    asked = ["", "one.safetensors:0.5 + two.safetensors", f"0.25*{two}"]
    found = requests(read(tmp_path, axes={"lora": asked}))
    assert found[0].lora == "" and found[2].lora == f"0.25*{two}"
    assert found[1].lora == canonical_lora((LoraAdapter(one, 0.5), LoraAdapter(two)))
    (tmp_path / one).mkdir()
    (tmp_path / "one.safetensors").rename(tmp_path / one / "style.safetensors")
    assert requests(read(tmp_path, base={"lora": f"{one}/style.safetensors"}))[0].lora == canonical_lora(
        (LoraAdapter(one),)
    )
    with pytest.raises(ConfigError, match=r"2 cells .*nowhere\.safetensors"):
        cells(read(tmp_path, axes={"lora": ["nowhere.safetensors:1"], "steps": [3, 4]}))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"axis": {}}, "unknown setting 'axis'; did you mean 'axes'?"),
        ({"axes": {"steps": []}}, "axis steps is empty"),
        ({"zipped": [{"steps": [], "eta": []}]}, "axis steps, eta is empty"),
        ({"axes": {"stepz": [1]}}, "did you mean 'steps'?"),
        ({"axes": {"guidance.cgf.scale": [1]}}, "no term is called 'cgf'; did you mean 'cfg'?"),
        ({"axes": {"guidance.cfg.skale": [1]}}, "cfg has no 'skale'; did you mean 'scale'?"),
        ({"axes": {"guidance.cfg": [1]}}, "is not guidance.TERM.FIELD"),
        ({"axes": {"guidance.clip.scale": [1]}}, "guidance cfg(1.5) has no clip"),
        ({"axes": {"seed": [1]}}, "`seeds`"),
        ({"base": {"promt": "a"}}, "did you mean 'prompt'?"),
        ({"base": {"seed": 1}}, "`seeds`"),
        ({"axes": {"steps": [5, 5]}}, "has a value twice"),
        ({"axes": {"steps": [5]}, "zipped": [{"steps": [6]}]}, "is there twice"),
        ({"zipped": [{"steps": [5, 6], "sampler": ["ddim"]}]}, "steps has 2, sampler has 1"),
        ({"seeds": 0}, "seeds"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 1]}, "seeds"),
        ({"seeds": 2_000_000}, "at most 1000000"),
        ({"axes": {"steps": [[1]]}}, "axes.steps"),
        ({"mode": "exakt"}, "mode"),
        ({"base": {"init": "nowhere.png"}}, "cannot read"),
    ],
)  # fmt: skip
def test_a_mistake_is_told(tmp_path: Path, told: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        cells(read(tmp_path, **told))
    assert said in str(error.value)


def test_all_cells_that_cannot_be_are_told_at_once(tmp_path: Path) -> None:
    study = read(
        tmp_path,
        axes={"sampler": ["ddim", "euler", "dddim"], "eta": [0, 0.5, 2], "prompt": ["a", "b"]},
    )
    with pytest.raises(ConfigError) as error:
        cells(study)
    said = str(error.value)
    assert said.startswith("12 cells of the study cannot be made: ")
    assert "did you mean 'ddim'?" in said
    assert "eta is for the ddim sampler" in said
    assert "eta must be from 0 to 1" in said
    assert "sampler=euler, eta=0.5, prompt=a | sampler=euler, eta=0.5, prompt=b" in said


def test_what_does_not_suit_the_model_is_told_too(tmp_path: Path) -> None:
    study = read(tmp_path, axes={"width": [64, 72], "model": ["one", "wordless"]}, base={"prompt": "a cat"})
    models = {"one": Toy(side_multiple=16), "wordless": Toy(reads_text=False)}
    with pytest.raises(ConfigError) as error:
        CompiledStudy(study, lambda name: models[name])
    said = str(error.value)
    assert "3 cells" in said
    assert "divisible by 16, not 72x64 [width=72, model=one]" in said
    assert "draws without a prompt" in said


def test_axes_of_a_study_may_be_ranges(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "axes: {steps: '1-20 [5]', guidance.cfg.scale: 1..2 step 0.5}\nzipped: [{width: '64, 128'}]\n"
    )
    study = Study.read(file)
    assert study.axes == {"steps": (1, 5, 10, 15, 20), "guidance.cfg.scale": (1.0, 1.5, 2.0)}
    assert study.zipped == ({"width": (64, 128)},)
    file.write_text("axes: {steps: 1..20 step -1}\n")
    with pytest.raises(ConfigError, match=r"axis steps: .* step should be above 0"):
        Study.read(file)
