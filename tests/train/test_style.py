"""The style probe: what it is tested on it never learned, and what is saved says the same."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from mezzotint.data.emoji import STYLES
from mezzotint.errors import ModelError
from mezzotint.models.style_probe import StyleProbe
from mezzotint.train.config import LoopConfig
from mezzotint.train.style import StyleConfig, StyleTask, held_out, place_on_white, train_style

LOOP = LoopConfig(steps=12, log_every=4, sheet_minutes=60, save_minutes=60, warmup=2, ema=0, precision="fp32")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty objects in seven styles, each of which has lines of another width."""
    folder = tmp_path_factory.mktemp("emoji")
    rows = []
    for i in range(20):
        for width, style in enumerate(STYLES, 1):
            image = Image.new("RGBA", (128, 128))
            ImageDraw.Draw(image).ellipse((20 + i, 20, 100, 110 - i), outline="black", width=4 * width)
            name = f"{style}-{i}.png"
            image.save(folder / name)
            rows.append({"file_name": name, "object": f"object {i}", "style": style, "group": "objects"})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_it_learns_and_opens(home: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_style(StyleConfig(data=home, out=run, batch=8, tested=4, loop=LOOP))
    probe = StyleProbe.open(run / "model")
    assert probe.styles == (*STYLES, "pixel-art") and len(probe.digest) == 64
    images = [Image.open(home / f"{style}-0.png") for style in STYLES]
    assert set(probe(images)) <= set(probe.styles) and probe(images[2:3]) == probe(images)[2:3]
    sheet = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()][-1]
    assert {"eval_white", "eval_backdrop", "eval_white_noto", "eval_white_pixel-art"} <= sheet.keys()
    assert (run / "model/model.safetensors").stat().st_size < 400_000


def test_what_is_tested_is_never_learned(home: Path) -> None:
    task = StyleTask(StyleConfig(data=home, out=home / "run", loop=LOOP))
    learned, held = (
        {row["object"] for rows in part.values() for row in rows} for part in (task.learned, task.held)
    )
    assert learned and held and not learned & held
    assert all(held_out(name) for name in held) and not any(map(held_out, learned))
    one, again = task.batch(3), task.batch(3)
    assert torch.equal(one[0], again[0]) and torch.equal(one[1], again[1])
    white = place_on_white(Image.open(home / "noto-1.png"), random.Random(0))
    assert white.mode == "RGB" and white.getpixel((0, 0)) == (255, 255, 255)


def test_a_missing_probe_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="make one with `mezzotint train style`"):
        StyleProbe.open(tmp_path)
