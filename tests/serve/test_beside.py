"""What is kept beside pictures, without a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from mezzotint import generate
from mezzotint.attention import Attention, AttentionLevel
from mezzotint.request import Request
from mezzotint.serve.beside import Beside
from support.toy import Toy


def test_attention_is_kept_as_heat_by_word(tmp_path: Path) -> None:
    maps = np.random.default_rng(0).random((1, 4, 8, 8)).astype(np.float32)
    spans = {"<start>": (0,), "red": (1,), "rose": (2,), "<end>": (3,)}
    attention = Attention((64, 64), (8, 8), spans, (AttentionLevel("8x8", 1, maps),), (5,), ((1, 5),))
    picture = replace(generate(Request("red rose", steps=1), Toy())[0], attention=attention)
    beside = Beside(tmp_path)
    beside.write("job-1", 2, picture, [])
    assert beside.about("job-1", 2, "attention") == {
        "words": ["red", "rose"],
        "shares": [attention.share("red"), attention.share("rose")],
    }
    heat = beside.read("job-1", 2, "attention", "heat")
    assert heat is not None and heat.shape == (2, 64, 64)
    assert Image.fromarray(heat[1]).size == (64, 64)
    assert np.abs(heat[1] / 255 - attention.heat("rose")).max() < 1 / 255
    for job, number, what in (("job-2", 2, "attention"), ("job-1", 3, "attention"), ("job-1", 2, "trace")):
        assert beside.read(job, number, what, "heat") is None and beside.about(job, number, what) is None


def test_nothing_is_written_where_nothing_was_asked_for(tmp_path: Path) -> None:
    Beside(tmp_path).write("job-1", 0, generate(Request(steps=1), Toy())[0], [])
    assert not list(tmp_path.rglob("*.safetensors"))
