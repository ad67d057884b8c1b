"""What CLIP guidance costs, measured on a tiny model: that every part runs and says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from mezzotint.bench.steering import run_steering
from mezzotint.errors import ConfigError
from support.tiny_pair import make_pair
from support.tiny_pixels import PLAIN, make_pixels


def test_every_part_is_measured(folder: Path, tmp_path: Path) -> None:
    make_pair(tmp_path / "pair")
    said: list[str] = []
    found = run_steering(
        str(folder), str(tmp_path / "pair"), steps=2, repeats=1, together=2, cutouts=1, say=said.append
    )
    for part, pictures in (("one_picture", 1), ("together", 2)):
        assert found[part]["pictures"] == pictures
        assert found[part]["ratio"] == pytest.approx(found[part]["guided_s"] / found[part]["plain_s"])
        assert 0 < found[part]["steering_share"] < 1
    theirs = found["community"]
    assert theirs["guided_s"] > theirs["plain_s"] > 0
    assert theirs["ours_over_theirs"] == pytest.approx(found["one_picture"]["guided_s"] / theirs["guided_s"])
    assert said[-1] == "the community pipeline"


def test_a_model_without_prompts_is_refused(tmp_path: Path) -> None:
    make_pixels(tmp_path / "pixels", PLAIN)
    with pytest.raises(ConfigError, match="pixels draws without one"):
        run_steering(str(tmp_path / "pixels"))
