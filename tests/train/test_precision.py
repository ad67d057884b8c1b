"""The precision of a training: measured, said in one line, kept in the checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mezzotint.train.config import LoopConfig
from mezzotint.train.loop import precision as measured
from mezzotint.train.loop.precision import choose_precision
from support import tiny_task

pytestmark = pytest.mark.processor


def made(folder: Path, name: str = "auto") -> tuple[tiny_task.TinyTask, LoopConfig]:
    config = tiny_task.TinyConfig(
        out=folder, loop=LoopConfig(**tiny_task.LOOP | {"steps": 1, "precision": name})
    )
    return tiny_task.TinyTask(config), config.loop


def kept(folder: Path) -> dict[str, str]:
    place = max((folder / "checkpoints").iterdir())
    found: dict[str, str] = json.loads((place / "state.json").read_text())["precision"]
    return found


def test_auto_says_which_and_why_and_a_checkpoint_keeps_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tiny_task.run(tmp_path, steps=2, precision="auto")
    [line] = [line for line in capfd.readouterr().err.splitlines() if line.startswith("precision")]
    there = kept(tmp_path)
    assert line == f"precision {there['kind']}: {there['why']}"
    assert there["kind"] in ("fp32", "bf16")


def test_auto_is_fp32_where_bf16_multiplies_no_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "_product_gain", lambda device: 0.1)
    chosen = choose_precision(*made(tmp_path), tmp_path)
    assert (chosen.kind, chosen.why) == (
        "fp32",
        "this machine multiplies matrices 10.0 times as fast in it as in bf16",
    )


@pytest.mark.parametrize(
    ("half", "fast", "kind"), [(1.0, 0.5, "bf16"), (1.0, 0.95, "fp32"), (-1.0, 0.5, "fp32")]
)
def test_auto_takes_bf16_where_it_is_close_and_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: float, fast: float, kind: str
) -> None:
    found = [(torch.ones(3), 1.0), (half * torch.ones(3), fast)]
    monkeypatch.setattr(measured, "_product_gain", lambda device: 2.0)
    monkeypatch.setattr(measured, "_gradients", lambda *_: found)
    assert choose_precision(*made(tmp_path), tmp_path).kind == kind


def test_self_test_leaves_weights_buffers_and_random_state_as_they_were(tmp_path: Path) -> None:
    task, _ = made(tmp_path)
    before: dict[str, Any] = {k: v.clone() for k, v in task.module.state_dict().items()}
    state = torch.get_rng_state()
    (full, _), (near, _) = measured._gradients(task, torch.device("cpu"))
    assert torch.nn.functional.cosine_similarity(full, near, dim=0) > 0.98
    assert all(torch.equal(before[k], v) for k, v in task.module.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(p.grad is None for p in task.module.parameters())


def test_resumed_run_keeps_its_precision_here_and_says_what_changed_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measured, "_self_test", lambda task, device, machine: ("bf16", machine, "it is fast"))
    tiny_task.run(tmp_path, steps=1, precision="auto")
    monkeypatch.setattr(
        measured, "_self_test", lambda task, device, machine: ("fp32", machine, "bf16 is slow")
    )
    capfd.readouterr()
    tiny_task.run(tmp_path, steps=2, precision="auto")
    assert "precision bf16: it is fast\n" in capfd.readouterr().err
    here = kept(tmp_path)["machine"]
    monkeypatch.setattr(measured, "_machine", lambda device: "another machine")
    tiny_task.run(tmp_path, steps=3, precision="auto")
    assert f"precision fp32: bf16 is slow; until now bf16 on {here}\n" in capfd.readouterr().err
    assert kept(tmp_path)["machine"] == "another machine"
