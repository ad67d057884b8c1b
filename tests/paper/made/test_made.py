"""What sections of the report compute: numbers with known answers, and verdicts that can go either way."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mezzotint.engine import Engine
from mezzotint.metrics import kid
from mezzotint.paper.made import MAKERS, learning
from mezzotint.paper.made.channels import STABLE, explained_variance
from mezzotint.paper.made.codebook import as_vectors, learn_codebook, nearest, quantize
from mezzotint.paper.made.drawing import Tile, tiles
from mezzotint.paper.made.drawn import pictures, scenes
from mezzotint.paper.made.emergence import errors, rises
from mezzotint.paper.made.finetuning import _grid_finding, changes
from mezzotint.paper.made.making import FunctionMaker, SectionParts, seeds
from mezzotint.paper.made.midway import noise_of, sums
from mezzotint.paper.made.reading import auc, foreground_mask
from mezzotint.paper.made.verdicts import above, below, equal
from mezzotint.paper.made.walk import walk
from mezzotint.paper.section import PaperSettings
from mezzotint.request import Request
from mezzotint.store import Store
from mezzotint.train.finetune.report import RunRecord
from support.made import noise
from support.toy import Toy


def setting(folder: Path, store: Store, quick: bool = True, count: int = 2) -> PaperSettings:
    return PaperSettings(quick, "emoji", "faces", store, folder, lambda line: None, count)


@pytest.mark.parametrize("sampler", ["ddim", "lms", "heun"])
def test_a_walk_ends_where_the_engine_does(sampler: str) -> None:
    request = Request(prompt="a cat", sampler=sampler, steps=6, guidance="cfg(3, stop=0.6)")
    _, states, end = walk(Toy(), request, range(3))
    with Engine(Toy()) as engine:
        drawn = [engine.submit(r, trace=1).result() for r in request.repeat(3)]
    for i, picture in enumerate(drawn):
        assert np.abs(Toy().decode(end[i : i + 1]).astype(int) - np.asarray(picture.image)).max() <= 1
        for state, kept in zip(states, picture.trace, strict=True):
            np.testing.assert_allclose(state.x0[i], kept.x0, rtol=1e-4, atol=1e-4)


def test_errors_are_parts_of_the_picture_and_rises_of_the_first() -> None:
    end = np.full((2, 1, 4, 4), 2.0, np.float32)
    error = errors([end * 3, end * 1.5, end * 2, end], end)
    np.testing.assert_allclose(error, [[2, 0.5, 1, 0]] * 2)
    np.testing.assert_allclose(rises(error), [0.25, 0.25])


def test_weights_of_lms_begun_in_the_middle() -> None:
    np.testing.assert_allclose(sums(10, 50, skipped=True), [2.04, 0.26, 1.19], atol=0.005)
    np.testing.assert_allclose(sums(10, 50, skipped=False), 1)
    np.testing.assert_allclose(sums(0, 50, skipped=True), sums(0, 50, skipped=False))  # nothing was skipped


def test_stable_diffusions_noise_ends_where_it_is_known_to() -> None:
    assert STABLE.table[-1] == pytest.approx(14.6146, abs=5e-5)
    assert STABLE.table[0] == pytest.approx(0.0292, abs=5e-5)


def test_noise_is_measured_beside_an_edge() -> None:
    flat = np.full((64, 64, 3), 128.0)
    flat[:, 32:] += 40
    noisy = flat + np.random.default_rng(0).normal(0, 5, (64, 64, 1))
    assert noise_of(flat.astype(np.uint8)) < 1.5
    assert noise_of(noisy.round().astype(np.uint8)) == pytest.approx(5, rel=0.15)


def test_a_codebook_of_all_vectors_loses_nothing_and_a_larger_one_less() -> None:
    z = np.random.default_rng(0).normal(size=(4, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(quantize(z, as_vectors(z)), z)
    lost = [np.square(quantize(z, learn_codebook(as_vectors(z), codes)) - z).mean() for codes in (2, 8, 32)]
    assert lost[0] > lost[1] > lost[2] > 0


def test_codes_stand_in_the_middle_of_what_they_stand_for() -> None:
    centers = np.array([[0, 0], [10, 0], [0, 10]], np.float32)
    near = np.random.default_rng(0).normal(0, 0.1, (300, 2)).astype(np.float32)
    vectors = near + np.tile(centers, (100, 1))
    codes = learn_codebook(vectors, 3, seed=3)
    at = nearest(vectors, codes)
    for code in set(at):
        np.testing.assert_allclose(codes[code], vectors[at == code].mean(0), atol=1e-3)


def test_channels_that_are_the_colors_explain_them_and_noise_does_not() -> None:
    from mezzotint.inspection.latents import PictureLatents

    pixels = np.asarray(noise(0, 16))
    z = np.moveaxis(pixels, -1, 0).astype(np.float32) / 50 - 1
    rows = np.random.default_rng(1).normal(size=z.shape).astype(np.float32)
    same, other = (
        explained_variance(pixels, PictureLatents(values, "toy", "0" * 64, 1.0, 16, 16))
        for values in (z, rows)
    )
    assert same > 0.999 > 0.2 > other


def test_heat_on_the_thing_is_told_from_heat_beside_it() -> None:
    pixels = np.full((32, 32, 3), 30, np.uint8)
    pixels[8:20, 8:20] = (200, 40, 40)
    mask = foreground_mask(pixels)
    assert mask.sum() == 144 and mask[10, 10]
    assert auc(mask.astype(np.float32), mask) == 1
    assert auc(1 - mask.astype(np.float32), mask) == 0
    assert auc(np.full(mask.shape, 0.3, np.float32), mask) == 0.5
    assert np.isnan(auc(mask.astype(np.float32), mask & False))


def test_kid_changes_where_samples_move_and_not_where_they_only_blur() -> None:
    rng = np.random.default_rng(0)
    new, before = rng.normal(1, 1, (64, 16)), rng.normal(-1, 1, (16, 16))
    moved = rng.normal(1, 1, (16, 16))
    assert below("", changes(before, moved, new), 0, "").verdict == "confirmed"
    assert below("", changes(before, np.full_like(before, -1.0), new), 0, "").verdict != "confirmed"
    assert (changes(before, before, new) == 0).all()
    gone = kid(moved, new) - kid(before, new)
    assert changes(before, moved, new).mean() == pytest.approx(gone, abs=0.05 * abs(gone))


def test_an_axis_that_matters_is_told_from_those_that_do_not() -> None:
    rng = np.random.default_rng(0)

    def runs(gain: float) -> dict[str, RunRecord]:
        found = {}
        for values in itertools.product(*learning.GRID.values()):
            chosen = dict(zip(learning.GRID, values, strict=True))
            kid_new = 1 - gain * (chosen["lr"] == learning.GRID["lr"][1]) + 0.02 * rng.normal()
            found[str(values)] = RunRecord(Path(), {}, chosen, [{"step": 1, "kid_new": kid_new}])
        return found

    clear, torn = _grid_finding(runs(0.5)), _grid_finding(runs(0))
    assert clear.verdict == "confirmed" and "lr -0.5" in clear.evidence and "8 pairs" in clear.evidence
    assert torn.verdict == "undecided"


def test_the_grid_is_what_finetuning_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("mezzotint.train.finetune.run.finetune", lambda config, command: asked.append(config))
    monkeypatch.setattr(learning, "has_judge", lambda: False)
    with Store.open(tmp_path / "store") as store:
        folders = learning.grid(setting(tmp_path, store), tmp_path)
    assert len(folders) == len(asked) == 16
    assert {config.schedule for config in asked} == {"linear", "cosine"}
    assert all(config.measured == 0 and config.epochs == 2 for config in asked)


def test_verdicts_go_by_the_interval() -> None:
    clear, torn = [1.0, 1.2, 0.9, 1.1, 1.0, 1.05], [1.0, -0.5, 2.0, -1.0, 0.5, -0.4]
    assert above("", clear, 0, "x").verdict == "confirmed"
    assert above("", torn, 0, "x").verdict == below("", torn, 0, "x").verdict == "undecided"
    assert "more would tell" in above("", torn, 0, "x").evidence
    assert below("", clear, 0, "x").verdict == "refuted"
    assert below("", clear, 2, "x").verdict == "confirmed"
    assert above("", [1.0, 2.0, float("nan"), 3.0], 0, "x").verdict == "undecided"
    assert equal("", [14.61464], [14.6146], 4).verdict == "confirmed"
    assert equal("", [14.6154], [14.6146], 4).verdict == "refuted"


def test_pictures_are_drawn_once_and_come_in_the_order_asked(tmp_path: Path) -> None:
    toy, asked = Toy(), scenes(3, steps=3)
    with Store.open(tmp_path) as store:
        at = setting(tmp_path, store)
        first = pictures(at, toy, asked[:2])
        calls = len(toy.calls)
        again = pictures(at, toy, asked[:2])
        assert len(toy.calls) == calls
        more = pictures(at, toy, [asked[2], *asked[:2]])
    assert [p.digest for p in again] == [p.digest for p in first] == [p.digest for p in more[1:]]
    assert [p.request for p in more] == [asked[2], *asked[:2]]


def test_a_section_says_how_it_is_made_alone(tmp_path: Path) -> None:
    made = FunctionMaker(
        "1", "name", "Title", "what", lambda setting: SectionParts("<p>", (equal("", [1], [1], 0),))
    )
    with Store.open(tmp_path) as store:
        quick, slow = (made(setting(tmp_path, store, quick)) for quick in (True, False))
        assert seeds(setting(tmp_path, store, count=64), 6) == list(range(6))
        assert len(seeds(setting(tmp_path, store, False, 64), 6)) == 64
        assert len(seeds(setting(tmp_path, store, count=2), 6)) == 4
    assert quick.command == "mezzotint paper --only name --quick"
    assert slow.command == "mezzotint paper --only name"
    assert quick.html == "<p>" and quick.seconds >= 0


def test_every_maker_has_its_own_name_and_the_figures_of_this_room() -> None:
    assert len({maker.name for maker in MAKERS}) == len(MAKERS)
    assert {maker.figure for maker in MAKERS} == {"1", "2-4", "11-12", "13-14", "16-20"}


def test_what_is_written_under_a_picture_is_text() -> None:
    html = tiles([Tile(Image.new("RGB", (4, 4)), "<b>&", "x")], "a < b")
    assert "&lt;b&gt;&amp;" in html and "a &lt; b" in html and "<b>" not in html
    assert "data:image/webp;base64," in html
