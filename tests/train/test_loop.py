"""The loop: N + M steps are N then M to the bit, and every network of the bundle trains and opens again."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from diffusers import UNet2DModel
from safetensors.torch import load_file

from mezzotint.errors import ConfigError, ModelError
from mezzotint.train.config import LoopConfig
from mezzotint.train.loop.loop import train
from mezzotint.train.vae import VaeConfig, VaeTask
from support import tiny_task
from support.pictures import make_pictures

LOOP = {"log_every": 2, "sheet_minutes": 60, "save_minutes": 60, "warmup": 2, "precision": "fp32"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("pictures"))


def config(pictures: Path, out: Path, steps: int) -> VaeConfig:
    return VaeConfig(
        data=pictures, out=out, channels=(4, 4, 4, 8), groups=2, batch=2, crop=32, loop=LoopConfig(steps=steps, **LOOP)
    )  # fmt: skip


def run(pictures: Path, out: Path, steps: int) -> dict[str, torch.Tensor]:
    settings = config(pictures, out, steps)
    train(VaeTask(settings), settings.loop, out)
    return load_file(out / f"checkpoints/{steps:07d}/state.safetensors")


def test_five_steps_are_three_then_two_to_the_bit(pictures: Path, tmp_path: Path) -> None:
    whole = run(pictures, tmp_path / "whole", 5)
    first = run(pictures, tmp_path / "parts", 3)
    parts = run(pictures, tmp_path / "parts", 5)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert any(not torch.equal(first[name], parts[name]) for name in whole)
    steps = [json.loads(line)["step"] for line in (tmp_path / "whole/log.jsonl").read_text().splitlines()]
    assert steps == [2, 4, 5]
    assert (tmp_path / "whole/sheet.png").exists()


def test_the_autoencoder_opens_in_diffusers_with_a_factor_of_48(pictures: Path, tmp_path: Path) -> None:
    from diffusers.models import AutoencoderKL

    run(pictures, tmp_path, 2)
    vae = AutoencoderKL.from_pretrained(tmp_path / "model")
    x = torch.zeros(1, 3, 128, 128)
    latents = vae.encode(x).latent_dist.mean
    assert x.numel() == 48 * latents.numel()
    assert vae.config.scaling_factor > 0


def test_another_network_in_the_folder_is_an_error(pictures: Path, tmp_path: Path) -> None:
    run(pictures, tmp_path, 1)
    other = config(pictures, tmp_path, 2).model_copy(update={"channels": (4, 4, 4, 12)})
    with pytest.raises(
        ConfigError, match=r"channels is \[4, 4, 4, 8\] there and \[4, 4, 4, 12\] here.*config.yaml"
    ):
        train(VaeTask(other), other.loop, tmp_path)
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(ConfigError, match="another network"):
        train(VaeTask(other), other.loop, tmp_path)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_what_may_change_between_sessions(tmp_path: Path) -> None:
    tiny_task.run(tmp_path / "run", steps=4)
    tiny_task.run(
        tmp_path / "run", steps=6, cooldown=2, keep=5, log_every=1, save_minutes=1, minutes=9, ahead=0
    )
    assert yaml.safe_load((tmp_path / "run/config.yaml").read_text())["loop"]["cooldown"] == 2
    before = (tmp_path / "run/log.jsonl").read_text()
    for changed, said in (
        ({"lr": 0.5}, "loop.lr is 0.001 there and 0.5 here"),
        ({"batch": 5}, "batch is 4 there and 5 here"),
        ({"accumulate": 2, "ema": 0.1, "clip": 2.0, "warmup": 3}, "and 1 more"),
    ):
        with pytest.raises(ConfigError, match=said):
            tiny_task.run(tmp_path / "run", **{"steps": 6, **changed})
    assert (tmp_path / "run/log.jsonl").read_text() == before
    # the way out that the error names
    text = (tmp_path / "run/config.yaml").read_text().replace("lr: 0.001", "lr: 0.5")
    (tmp_path / "run/config.yaml").write_text(text)
    tiny_task.run(tmp_path / "run", steps=6, lr=0.5)


def test_a_record_of_a_version_that_knew_fewer_settings(tmp_path: Path) -> None:
    tiny_task.run(tmp_path, steps=1)
    known = yaml.safe_load((tmp_path / "config.yaml").read_text())
    del known["loop"]["accumulate"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(known))
    with pytest.raises(ConfigError, match=r"loop\.accumulate is 2 here, and not set there"):
        tiny_task.run(tmp_path, steps=2, accumulate=2)
    tiny_task.run(tmp_path, steps=2)


@pytest.mark.parametrize("muon_lr", [0.0, 0.02])
def test_batches_that_accumulate_are_the_larger_batch(tmp_path: Path, muon_lr: float) -> None:
    same = {"steps": 5, "muon_lr": muon_lr, "dropout": 0.0}
    large = tiny_task.run(tmp_path / "large", batch=12, **same).module.state_dict()
    parts = tiny_task.run(tmp_path / "parts", batch=4, accumulate=3, **same).module.state_dict()
    other = tiny_task.run(tmp_path / "other", batch=4, **same).module.state_dict()
    assert all(torch.allclose(large[name], parts[name], atol=1e-4) for name in large)
    assert not all(torch.allclose(large[name], other[name], atol=1e-4) for name in large)
    losses = [[line["error"] for line in lines(tmp_path / f) if "error" in line] for f in ("large", "parts")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_epochs_have_sheets_of_raw_and_averaged_weights(tmp_path: Path) -> None:
    class Task(tiny_task.TinyTask):
        def validate(self, module: torch.nn.Module) -> dict[str, float]:
            assert not module.training
            assert not torch.is_grad_enabled()
            return {"val_loss": float(next(module.parameters()).sum())}

        def after(self) -> None:
            reports.append(len(lines(tmp_path)))

    reports: list[int] = []
    loop = LoopConfig(**tiny_task.LOOP | {"epochs": 2, "log_every": 1, "ema": 0.9})
    task = Task(tiny_task.TinyConfig(out=tmp_path, loop=loop), epoch=3)
    train(task, loop, tmp_path)
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == [
        f"epoch-{epoch:04d}-{kind}.png" for epoch in range(3) for kind in ("ema", "raw")
    ]
    looks = [line for line in lines(tmp_path) if "val_loss" in line]
    assert [(line["step"], line["epoch"]) for line in looks] == [(0, 0), (3, 1), (6, 2)]
    assert [line["eval_sum"] == line.get("eval_raw_sum") for line in looks] == [False, False, False]
    # what is saved, and left in the module, is what the last look measured
    assert looks[-1]["val_loss"] == pytest.approx(next(task.module.parameters()).sum().item(), rel=1e-5)
    assert reports == [1, 5, 9]
    step = next(line for line in lines(tmp_path) if "loss" in line)
    assert step.keys() >= {
        "step",
        "epoch",
        "loss",
        "lr",
        "grad_norm",
        "samples_per_s",
        "eta_s",
        "network_share",
    }
    assert 0 <= step["network_share"] <= 1


def test_the_share_of_the_network_is_the_time_not_spent_waiting(tmp_path: Path) -> None:
    class Slow(tiny_task.TinyTask):
        def batch(self, step: int) -> dict[str, torch.Tensor]:
            time.sleep(0.1)
            return super().batch(step)

    loop = LoopConfig(**tiny_task.LOOP | {"steps": 6})
    train(Slow(tiny_task.TinyConfig(out=tmp_path, loop=loop)), loop, tmp_path)
    shares = [line["network_share"] for line in lines(tmp_path) if "loss" in line]
    assert min(shares) < 0.6  # the least, as a neighbor on the processor makes the network slow
    assert lines(tmp_path)[0]["samples_per_s"] < 4 / 0.1


def test_batches_made_ahead_are_the_same(tmp_path: Path) -> None:
    made = [
        tiny_task.run(tmp_path / str(ahead), steps=6, ahead=ahead).module.state_dict() for ahead in (0, 1, 4)
    ]
    assert all(torch.equal(made[0][name], other[name]) for other in made for name in other)


def test_what_preparing_a_batch_raises_ends_the_run(tmp_path: Path) -> None:
    class Broken(tiny_task.TinyTask):
        def batch(self, step: int) -> dict[str, torch.Tensor]:
            if step == 4:
                raise OSError("the picture is gone")
            return super().batch(step)

    loop = LoopConfig(**tiny_task.LOOP | {"steps": 6})
    with pytest.raises(OSError, match="picture is gone"):
        train(Broken(tiny_task.TinyConfig(out=tmp_path, loop=loop)), loop, tmp_path)


def test_a_loss_that_is_no_number_takes_no_place_of_a_good_checkpoint(tmp_path: Path) -> None:
    tiny_task.run(tmp_path, steps=3, muon_lr=0)
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(ModelError, match="lower the learning rate"):
        tiny_task.run(tmp_path, steps=90, lr=1e30, muon_lr=0, save_minutes=0, keep=99, dropout=0.5)
    last = sorted((tmp_path / "checkpoints").iterdir())[-1]
    assert all(torch.isfinite(value).all() for value in load_file(last / "state.safetensors").values())


def test_weights_that_do_not_change_are_not_kept(tmp_path: Path) -> None:
    class Frozen(tiny_task.TinyTask):
        def changes(self, name: str) -> bool:
            return not name.startswith("0.")

    def once(steps: int) -> dict[str, torch.Tensor]:
        loop = LoopConfig(**tiny_task.LOOP | {"steps": steps})
        task = Frozen(tiny_task.TinyConfig(out=tmp_path, loop=loop))
        task.module[0].requires_grad_(False)
        train(task, loop, tmp_path)
        return load_file(tmp_path / f"checkpoints/{steps:07d}/state.safetensors")

    kept = once(2)
    assert not any(name.startswith("weight.0.") for name in kept)
    assert "weight.4.weight" in kept
    once(4)


def test_gradient_checkpointing_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Sequential has no gradient checkpointing"):
        tiny_task.run(tmp_path, steps=2, gradient_checkpointing=True)


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    unet = UNet2DModel(
        sample_size=8, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4, attention_head_dim=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    grads = []
    for checkpointing in (False, True):
        if checkpointing:
            unet.enable_gradient_checkpointing()
        unet.zero_grad()
        unet(torch.ones(1, 3, 8, 8), 5).sample.square().mean().backward()
        grads.append([p.grad.clone() for p in unet.parameters() if p.grad is not None])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*grads, strict=True))


def test_fp16_needs_a_gpu(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ConfigError, match="fp16"):
        tiny_task.run(tmp_path, steps=2, precision="fp16")


def test_one_process_trains_in_one_precision_after_the_other(tmp_path: Path) -> None:
    first, second = (
        tiny_task.run(tmp_path / p, steps=2, precision=p).module.eval() for p in ("bf16", "fp32")
    )
    assert first(torch.ones(1, 4)).dtype == second(torch.ones(1, 4)).dtype == torch.float32
    assert "_original_forward" not in first.__dict__  # the module is as it was


def test_tensorboard_shows_no_step_twice(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tiny_task.run(tmp_path, steps=9, log_every=1)
    whole = [line["loss"] for line in lines(tmp_path) if "loss" in line]
    shutil.rmtree(tmp_path / "checkpoints")  # as if killed before the first
    tiny_task.run(tmp_path, steps=3, log_every=1)
    tiny_task.run(tmp_path, steps=9, log_every=1)
    board = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    events = board.Scalars("loss")
    assert [event.step for event in events] == list(range(1, 10))
    assert [event.value for event in events] == pytest.approx(whole, rel=1e-5)
    assert [line["step"] for line in lines(tmp_path) if "loss" in line] == list(range(1, 10))


def test_one_line_in_a_terminal_and_no_bar_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_task.run(tmp_path / "pipe", steps=3)
    assert capsys.readouterr() == ("", "training: samples and measures at step 3\n")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    tiny_task.run(tmp_path / "terminal", steps=6, epoch=3)
    out, said = capsys.readouterr()
    assert out == ""
    assert "samples/s" in said
    assert "6/6" in said
    assert (
        said.replace("\x1b[?25h", "").strip("\x1b[12KA\r\n").count("\n") <= 1
    )  # where the line ends for good
