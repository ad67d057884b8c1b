"""Heat maps are DAAM's, from memory that does not grow with the steps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from mezzotint.attention import BINS, MIDDLE, Attention, AttentionRecorder, resize_bicubic, step_bins
from mezzotint.errors import OutputError, RequestError

SPANS = (("<start>", (0,)), ("A", (1,)), ("cat", (2, 3)), ("a", (4,)), ("moon", (5,)), ("<end>", (6, 7)))
LAYERS = [
    ("down_blocks.0.attentions.0", 1),
    ("down_blocks.1.attentions.0", 2),
    ("mid_block.attentions.0", 4),
    ("up_blocks.0.attentions.0", 2),
    ("up_blocks.1.attentions.0", 1),
    ("up_blocks.1.attentions.1", 1),
]
GRID = (6, 5)  # height and width that halve to 3x3 and 2x2, rounded up
SHAPES = {1: (6, 5), 2: (3, 3), 4: (2, 2)}


def seen(calls: int, contrast: float = 0.3) -> list[list[np.ndarray]]:
    """For each call the maps of each layer, (h*w, 8 tokens): softmaxes, so even that no enlarging gives less than 0."""
    rng = np.random.default_rng(calls)
    maps = []
    for _ in range(calls):
        raw = [np.exp(contrast * rng.standard_normal((np.prod(SHAPES[factor]), 8))) for _, factor in LAYERS]
        maps.append([(m / m.sum(1, keepdims=True)).astype(np.float32) for m in raw])
    return maps


def gathered(maps: list[list[np.ndarray]], steps: list[int] | None = None) -> Attention:
    gathering = AttentionRecorder(SPANS, LAYERS, GRID, steps or list(range(len(maps))))
    for call, one in enumerate(maps):
        gathering.add(call, one)
    return gathering.finish((48, 40))


def daam(maps: list[list[np.ndarray]], tokens: list[int], layers: list[int]) -> np.ndarray:
    """As the published code has it: sums over time, enlarged layer by layer, their mean, the word's tokens' mean."""
    enlarged_layers = []
    for layer in layers:
        h, w = SHAPES[LAYERS[layer][1]]
        over_time = torch.tensor(sum(call[layer] for call in maps)).T.reshape(8, 1, h, w)
        enlarged_layers.append(
            torch.nn.functional.interpolate(over_time, size=GRID, mode="bicubic").clamp_(min=0)
        )
    word = torch.stack(enlarged_layers).mean(0)[tokens, 0].mean(0)
    im = torch.nn.functional.interpolate(word[None, None], size=(48, 40), mode="bicubic")[0, 0]
    return np.asarray((im - im.min()) / (im.max() - im.min() + 1e-8))


@pytest.mark.parametrize("calls", [1, 7, 25])
@pytest.mark.parametrize(("word", "tokens"), [("cat", [2, 3]), ("a", [1, 4]), ("<end>", [6, 7])])
def test_heat_is_that_of_daam(calls: int, word: str, tokens: list[int]) -> None:
    """All layers but the middle. It cuts what enlarging leaves below 0 layer by layer, we grid by grid."""
    for contrast, limit in ((0.3, 1e-4), (1, 0.03)):
        maps = seen(calls, contrast)
        heat = gathered(maps).heat(word)
        assert heat.shape == (48, 40) and heat.dtype == np.float32
        assert np.abs(heat - daam(maps, tokens, [0, 1, 3, 4, 5])).max() < limit
        assert (heat.min(), heat.max()) == (0, 1)


def test_levels_and_steps_alone() -> None:
    maps = seen(25)
    attention = gathered(maps)
    levels = attention.by_level("cat")
    assert list(levels) == ["5x6", "3x3", MIDDLE]
    for name, layers in (("5x6", [0, 4, 5]), ("3x3", [1, 3]), (MIDDLE, [2])):
        assert np.abs(levels[name] - daam(maps, [2, 3], layers)).max() < 1e-4
    steps = attention.by_step("cat")
    assert list(steps)[:2] == [(1, 3), (4, 6)] and list(steps)[-1] == (24, 25)
    for (first, last), heat in steps.items():
        assert np.abs(heat - daam(maps[first - 1 : last], [2, 3], [0, 1, 3, 4, 5])).max() < 1e-4


def test_shares_add_up() -> None:
    attention = gathered(seen(13))
    assert sum(map(attention.share, attention.spans)) == pytest.approx(1, abs=1e-5)
    flat = [[np.full((np.prod(SHAPES[f]), 8), 1 / 8, np.float32) for _, f in LAYERS]]
    assert gathered(flat).share("cat") == pytest.approx(2 / 8)


def test_memory_does_not_grow_with_the_steps() -> None:
    short, long = (gathered(seen(n)).levels for n in (BINS, 60))
    assert [level.maps.nbytes for level in short] == [level.maps.nbytes for level in long]


@pytest.mark.parametrize(
    "steps", [[0], [0, 1, 1, 2, 2], list(range(7)), list(range(15, 50)), list(range(2000))]
)
def test_bins_are_even_and_leave_nothing_out(steps: list[int]) -> None:
    """Also where steps have two calls, and where the run begins in the middle."""
    bins = step_bins(steps)
    assert [n for first, last in bins for n in range(first, last + 1)] == sorted({step + 1 for step in steps})
    sizes = [last - first for first, last in bins]
    assert len(bins) <= BINS and max(sizes) - min(sizes) <= 1
    if len(steps) <= 50:
        assert sum(gathered(seen(len(steps)), steps).calls) == len(steps)


def test_words() -> None:
    attention = gathered(seen(1))
    assert attention.words == {"A": (1, 4), "cat": (2, 3), "moon": (5,)}
    assert np.array_equal(attention.heat("CAT"), attention.heat("cat"))
    with pytest.raises(RequestError, match="no word 'mon'; did you mean 'moon'"):
        attention.heat("mon")


def test_what_is_next_to_nothing_is_not_stretched() -> None:
    maps = seen(1)
    for layer in maps[0]:
        layer[:, 5] *= 1e-6
    attention = gathered(maps)
    assert attention.heat("moon").max() < 0.02
    assert attention.heat("cat").max() == 1


@pytest.mark.parametrize(
    ("small", "large"), [((3, 3), (6, 5)), ((16, 16), (128, 128)), ((2, 5), (7, 5)), ((1, 1), (4, 4))]
)
def test_enlarged_as_torch_does(small: tuple[int, int], large: tuple[int, int]) -> None:
    grid = np.random.default_rng(0).standard_normal(small).astype(np.float32)
    theirs = torch.nn.functional.interpolate(torch.tensor(grid)[None, None], size=large, mode="bicubic")[0, 0]
    assert np.abs(resize_bicubic(grid, large) - theirs.numpy()).max() < 1e-5


def test_the_file_has_all(tmp_path: Path) -> None:
    attention = gathered(seen(4))
    path = tmp_path / "maps.safetensors"
    attention.save(path, {"request": "{}"})
    with safe_open(path, "np") as file:
        told = file.metadata()
        assert set(file.keys()) == {level.name for level in attention.levels}
        assert {name: file.get_tensor(name).tolist() for name in set(file.keys())} == {
            level.name: level.maps.tolist() for level in attention.levels
        }
    assert json.loads(told["words"]) == {word: list(at) for word, at in attention.spans.items()}
    assert json.loads(told["steps"]) == [[1, 1], [2, 2], [3, 3], [4, 4]]
    assert told["request"] == "{}"
    with pytest.raises(OutputError):
        attention.save(tmp_path / "none" / "maps.safetensors")
