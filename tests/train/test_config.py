"""Training configurations: every file in the repository is valid, and mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mezzotint.config import Config
from mezzotint.errors import ConfigError
from mezzotint.study.spec import Study
from mezzotint.train.adapter import AdapterConfig
from mezzotint.train.clip import ClipConfig
from mezzotint.train.config import LoopConfig
from mezzotint.train.curriculum import CurriculumConfig
from mezzotint.train.ddpm import DdpmConfig
from mezzotint.train.decoder import DecoderConfig
from mezzotint.train.finetune.config import FinetuneConfig
from mezzotint.train.finetune.grid import combinations
from mezzotint.train.free_wording import FreeWordingConfig
from mezzotint.train.sharpen import SharpenConfig
from mezzotint.train.style import StyleConfig
from mezzotint.train.upscaler import UpscalerConfig
from mezzotint.train.vae import VaeConfig

CONFIGS = Path(__file__).parents[2] / "configs"
KINDS: dict[str, type[Config]] = {
    "vae": VaeConfig, "vq": VaeConfig,
    "text": ClipConfig, "clip": ClipConfig, "judge": ClipConfig, "bundle": CurriculumConfig,
    "finetune": FinetuneConfig, "adapter": AdapterConfig, "decoder": DecoderConfig, "faces": DdpmConfig,
    "style": StyleConfig, "measure": Study, "words": FreeWordingConfig, "upscaler": UpscalerConfig, "sharpen": SharpenConfig,
}  # fmt: skip


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_recipes_of_the_bundle_are_valid(path: Path) -> None:
    kind = path.stem.split("-")[0]
    assert len(combinations(path, {})) > 1 if kind == "study" else KINDS[kind].read(path)


def test_unknown_settings_name_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "vae.yaml"
    path.write_text("data: d\nout: o\nbach: 4\nloop: {steps: 3, warmupp: 2}\n")
    with pytest.raises(
        ConfigError, match=r"'loop.warmupp'; did you mean 'warmup'\?.*'bach'; did you mean 'batch'\?"
    ):
        VaeConfig.read(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [("data: [", "cannot read"), ("- 1", "table"), ("out: o\nloop: {steps: 0}", "loop.steps")],
)
def test_a_bad_file_is_one_error(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "vae.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        VaeConfig.read(path)


@pytest.mark.parametrize("only", ["start: runs/judge", "worn: 0.4"])
def test_what_is_for_pairs_is_refused_without_pictures(tmp_path: Path, only: str) -> None:
    path = tmp_path / "clip.yaml"
    path.write_text(f"data: d\nout: o\n{only}\nloop: {{steps: 1}}\n")
    with pytest.raises(ConfigError, match="are for pairs"):
        ClipConfig.read(path)


def test_the_rate_rises_holds_and_falls() -> None:
    config = LoopConfig(steps=100, warmup=10, cooldown=20)
    assert [round(config.rate(step), 3) for step in (0, 4, 9, 50, 80, 90, 99)] == [
        0.1,
        0.5,
        1,
        1,
        1,
        0.5,
        0.05,
    ]


@pytest.mark.parametrize(
    ("scheduler", "said"), [("constant", [1, 1, 1]), ("linear", [1, 0.5, 0.01]), ("cosine", [1, 0.5, 0.0002])]
)
def test_schedules_begin_after_the_warmup_and_end_at_zero(scheduler: str, said: list[float]) -> None:
    config = LoopConfig(steps=110, warmup=10, scheduler=scheduler)
    assert [config.rate(step) for step in (10, 60, 109)] == pytest.approx(said, abs=1e-4)
    assert [config.rate(step) for step in (0, 4)] == pytest.approx([0.1, 0.5])


def test_steps_or_epochs() -> None:
    assert LoopConfig(epochs=3).in_steps(7).steps == 21
    for wrong in ({}, {"steps": 3, "epochs": 1}):
        with pytest.raises(ValueError, match="how many"):
            LoopConfig(**wrong)
    with pytest.raises(ConfigError, match="no epochs"):
        LoopConfig(epochs=3).in_steps(0)


@pytest.mark.parametrize(
    ("said", "precision"),
    [
        ({"bf16": True}, "bf16"),
        ({"bf16": False}, "fp32"),
        ({"mixed_precision": "no"}, "fp32"),
        ({"mixed_precision": False}, "fp32"),  # a bare `no` of YAML
        ({"dtype": "bfloat16"}, "bf16"),
        ({"precision": "float32", "mixed_precision": "no"}, "fp32"),
        ({}, "auto"),
    ],
)
def test_former_names_of_the_precision_are_understood(said: dict[str, object], precision: str) -> None:
    assert LoopConfig.model_validate({"steps": 1, **said}).precision == precision


@pytest.mark.parametrize("said", [{"precision": "fp23"}, {"precision": "fp32", "mixed_precision": "bf16"}])
def test_wrong_precision_is_refused_in_one_line(said: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"precision.*(did you mean 'fp32'|keep precision)"):
        LoopConfig.from_mapping({"steps": 1, **said}, "file")
