"""The training bench: both sides run on the same work, and what they say is put side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mezzotint.bench import training
from mezzotint.bench.training import TrainingSettings, run_training
from mezzotint.errors import ConfigError, MezzotintError

TINY = {
    "sample_size": 64, "block_out_channels": [4, 8], "layers_per_block": 1, "norm_num_groups": 2, "attention_head_dim": 4,
    "down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"],
}  # fmt: skip


@pytest.mark.slow
def test_both_sides_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "FACES", TINY)
    result = run_training(TrainingSettings(batch=1, accumulate=2, rounds=2, steps=2, warm_ups=1, pictures=4))
    ours, theirs = (result["seconds"][f"{side}_s"] for side in ("mezzotint", "diffusers"))
    assert len(ours) == len(theirs) == 2
    assert all(second > 0 for second in (*ours, *theirs))
    assert result["ratio_of_medians"] == pytest.approx(
        result["mezzotint_steps_per_s"] / result["diffusers_steps_per_s"]
    )
    assert json.dumps(result)


def test_a_side_that_fails_is_heard(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit('no such network')")
    side = training._side([str(script)], tmp_path / "pictures.npy", TrainingSettings())
    with pytest.raises(MezzotintError, match=r"broken\.py ended: no such network"), side:
        pass


def test_a_precision_that_is_none() -> None:
    with pytest.raises(ConfigError, match="did you mean 'bf16'"):
        TrainingSettings(precision="bf6")
