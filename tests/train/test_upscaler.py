"""Training the upscaler goes on where it stopped and writes what the runtime opens."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mezzotint.models.upscaler import Upscaler
from mezzotint.train.upscaler import UpscalerConfig, train_upscaler


def pictures(folder: Path) -> Path:
    folder.mkdir()
    with (folder / "metadata.jsonl").open("w") as file:
        for i in range(6):
            image = Image.new("RGBA", (64, 64))
            ImageDraw.Draw(image).ellipse((8 + i, 10, 50, 56 - i), fill=(200, 20 * i, 40, 255))
            image.save(folder / f"{i}.png")
            split = "train" if i < 4 else "test"
            file.write(
                json.dumps({"file_name": f"{i}.png", "object": f"disc {i}", "style": "flat", "split": split})
                + "\n"
            )
    return folder


def test_training_writes_an_upscaler_that_opens(tmp_path: Path) -> None:
    config = UpscalerConfig.from_mapping(
        {
            "data": pictures(tmp_path / "data"), "out": tmp_path / "run", "channels": 8, "blocks": 1, "batch": 2,
            "crop": 16, "loop": {"steps": 3, "warmup": 1, "sheet_minutes": 0, "precision": "fp32"},
        },
        "test",
    )  # fmt: skip
    train_upscaler(config)
    found = Upscaler(tmp_path / "run/model")(np.zeros((8, 10, 3), np.uint8), 4)
    assert found.shape == (32, 40, 3)
