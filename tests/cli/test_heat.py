"""`--attention`: a sheet of heat maps and the maps themselves beside each picture."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from mezzotint import Picture
from mezzotint.attention import Attention, AttentionRecorder
from mezzotint.cli.heat import COLUMNS, draw
from mezzotint.cli.sheet import GAP, HEAD, MARGIN
from mezzotint.inspection.heat import inferno, overlay

if TYPE_CHECKING:
    from conftest import Cli, Model

SIDE = 128  # of a large panel


def looked(words: list[str], size: tuple[int, int] = (64, 64)) -> Attention:
    """Each word but the last on a corner of its own; the last nowhere."""
    spans = [
        ("<start>", (0,)),
        *((word, (i,)) for i, word in enumerate(words, 1)),
        ("<end>", (len(words) + 1,)),
    ]
    maps = np.zeros((16, len(words) + 2), np.float32)
    for i in range(1, len(words)):
        maps[i % 16, i] = 0.5
    gathering = AttentionRecorder(spans, [("down_blocks.0.attn2", 1)], (4, 4), range(3))
    for call in range(3):
        gathering.add(call, [maps])
    return gathering.finish(size)


def panel(sheet: Image.Image, column: int, block: int = 0, tall: int = 0) -> np.ndarray:
    x, y = MARGIN + column * (SIDE + GAP), MARGIN + HEAD + block * tall
    return np.asarray(sheet.crop((x, y, x + SIDE, y + SIDE)), float)


def varied(pixels: np.ndarray) -> float:
    """How far the pixels differ, by the channel that differs most."""
    return float(np.ptp(pixels, (0, 1)).max())


def test_sheet_and_maps_lie_beside_the_picture(cli: Cli, real: Path) -> None:
    said = cli("generate", "the cat on the moon", "--model", real, "--steps", 3, "--attention", "--json")
    assert (said.code, said.err) == (0, "")
    told = json.loads(said.lines[0])
    path = Path(told["path"])
    assert told["attention"] == str(path.with_name(f"{path.stem}-attention.png"))
    assert told["attention_maps"] == str(path.with_name(f"{path.stem}-attention.safetensors"))
    assert len(os.listdir("out")) == 3
    sheet, picture = Picture.open(told["attention"]), Picture.open(path)
    assert sheet.request == picture.request
    assert sheet.provenance.warnings == ["a sheet of heat maps, not the picture itself"]
    assert picture.provenance.warnings == []
    with safe_open(told["attention_maps"], "np") as file:
        assert list(json.loads(file.metadata()["words"])) == ["<start>", "the", "cat", "on", "moon", "<end>"]
        assert file.get_tensor("8x8").shape == (3, 77, 8, 8)
        assert np.abs(file.get_tensor("8x8").sum(1) - 1).max() < 1e-5


def test_the_picture_is_the_same_as_without(cli: Cli, real: Path) -> None:
    asked = ("generate", "the cat", "--model", real, "--steps", 3, "--mode", "exact")
    assert cli(*asked, "--attention").lines[0] == cli(*asked).lines[0]


def test_no_torch(real: Path, tmp_path: Path) -> None:
    code = "import sys; from mezzotint.cli import main; main(sys.argv[1:]); assert 'torch' not in sys.modules"
    words = [
        "generate",
        "the cat",
        "--model",
        str(real),
        "--runtime",
        "openvino",
        "--steps",
        "1",
        "--attention",
    ]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3


def test_a_model_that_reads_no_text_is_one_error(cli: Cli, toy: Model) -> None:
    toy.reads_text = False
    said = cli("generate", "", "--attention")
    assert said.code == 2
    assert said.err == "error: toy attends to no words; leave attention out\n"
    assert not os.path.exists("out")


def test_a_panel_a_word_shows_where() -> None:
    picture = Image.new("RGB", (64, 64), "white")
    sheet = draw(picture, looked(["red", "cat", "on"]), "red cat on", "")
    assert varied(panel(sheet, 0)) == 0, "the picture itself comes first"
    for word, i in (("red", 1), ("cat", 2)):
        bright = panel(sheet, i).sum(-1)
        y, x = np.unravel_index(bright.argmax(), bright.shape)
        assert (y // 32, x // 32) == (0, i), word
    assert varied(panel(sheet, 3)) < 2, "nowhere"


def test_many_words_go_on_below() -> None:
    words = [f"word{i}" for i in range(COLUMNS + 3)]
    picture = Image.new("RGB", (64, 64), "white")
    one, two = (draw(picture, looked(words[:n]), "", "") for n in (COLUMNS, COLUMNS + 3))
    assert one.width == two.width == 2 * MARGIN + (COLUMNS + 1) * (SIDE + GAP) - GAP
    tall = two.height - one.height
    assert np.array_equal(panel(two, 0, 1, tall), panel(two, 0))
    assert varied(panel(two, 2, 1, tall)) > 50
    assert varied(panel(two, 4, 1, tall)) == 0, "paper"


@pytest.mark.parametrize("size", [(64, 128), (2048, 64), (512, 512)])
def test_any_shape_and_any_text(size: tuple[int, int]) -> None:
    attention = looked(["Ünïcode", "東京", "w" * 500], (size[1], size[0]))
    image = draw(Image.new("RGB", size), attention, "a very long prompt " * 900, "about " * 30)
    assert image.width <= 4 * 202 + 2 * MARGIN
    assert image.height <= 1000


def test_no_words_show_start_and_end() -> None:
    sheet = draw(Image.new("RGB", (64, 64)), looked([]), "(no prompt)", "")
    assert sheet.width == 2 * MARGIN + 4 * (SIDE + GAP) - GAP


def test_inferno_is_as_bright_as_the_value_is_high() -> None:
    colors = inferno(np.linspace(0, 1, 256, dtype=np.float32)) / 255
    assert np.round(colors[[0, -1]] * 255).tolist() == [[0, 0, 4], [252, 255, 164]]
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16  # CIE L*
    assert (np.diff(lightness) > 0).all()
    straight = np.linspace(lightness[0], lightness[-1], 256)
    assert np.abs(lightness - straight)[16:].max() < 8


def test_outlines_stay_to_be_seen() -> None:
    picture = Image.fromarray(np.array([[0, 255]], np.uint8).repeat(32, 0).repeat(32, 1)).convert("RGB")
    for level in (0.0, 0.5, 1.0):
        shown = np.asarray(overlay(picture, np.full((32, 64), level, np.float32), picture.size), float).sum(
            -1
        )
        assert shown[:, 40:].min() > shown[:, :24].max() + 30
