"""The pages: everything in them, nothing fetched, and curves that stay within their axes."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image

from mezzotint.errors import ConfigError
from mezzotint.pages.figures import Figure, Series, smooth, svg, ticks
from mezzotint.train.finetune.grid import combinations, run_grid
from mezzotint.train.finetune.report import RunRecord, write_report
from mezzotint.train.finetune.report_grid import write_grid


def make_run(folder: Path, scale: float = 1.0) -> Path:
    (folder / "samples").mkdir(parents=True)
    rows: list[dict[str, float]] = []
    for epoch in range(3):
        for kind in ("raw", "ema"):
            Image.new("RGB", (16, 8), "red").save(folder / "samples" / f"epoch-{epoch:04d}-{kind}.png")
        tenths = {f"val_loss_t{i}": scale * (10 - i) / (epoch + 1) for i in range(10)}
        rows.append(
            {
                "step": 4 * epoch,
                "val_loss": scale / (epoch + 1),
                "kid_new": 0.5 / (epoch + 1),
                "kid_old": 0.1 * epoch,
                **tenths,
            }
        )
        rows.append(
            {
                "step": 4 * epoch,
                "loss": scale,
                "lr": 1e-5,
                "grad_norm": 1.0,
                "samples_per_s": 9,
                "network_share": 0.9,
            }
        )
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 12, "lo')
    facts = {
        "title": "a <b> on c",
        "steps": 8,
        "steps_per_epoch": 4,
        "command": "mezzotint finetune --prompt '<x>'",
    }
    (folder / "about.json").write_text(json.dumps(facts))
    (folder / "config.yaml").write_text("lr: 0.00001\nepochs: 2\n")
    return folder


def test_the_page_has_everything_and_fetches_nothing(tmp_path: Path) -> None:
    page = write_report(make_run(tmp_path / "run")).read_text()
    for said in (
        "a &lt;b&gt; on c",
        "--prompt &#x27;&lt;x&gt;&#x27;",
        "epoch 2",
        "before",
        "KID 0.1667",
        "Learning rate",
        "90 % of the time",
    ):
        assert said in page
    assert page.count("data:image/png;base64") == 6
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "-67 %" in page  # the validation loss, from 1 to 1/3
    for found in re.findall(r"<svg.*?</svg>", page):
        ET.fromstring(found)


def test_an_empty_folder_has_a_page(tmp_path: Path) -> None:
    assert "0 steps" in write_report(tmp_path).read_text()


def test_a_step_that_was_logged_twice_counts_once(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(
        '{"step": 1, "loss": 5}\n{"step": 2, "loss": 6}\n{"step": 2, "loss": 7}\n'
    )
    assert RunRecord.read(tmp_path).curve("loss") == ([1, 2], [5, 7])


@pytest.mark.parametrize("log", [False, True])
def test_curves_stay_within_the_axes(log: bool) -> None:
    drawn = svg(
        Figure([Series("a", [0, 1, 2], [0.001, 5, float("nan")]), Series("b", [2], [3e4])], log=log), 400, 200
    )
    for path in re.findall(r'd="M([^"HhZ]*)"', drawn):
        for point in path.split("L"):
            x, y = map(float, point.split())
            assert 0 <= x <= 400 and 0 <= y <= 200
    assert svg(Figure([Series("", [], [])])) == ""
    assert svg(Figure([Series("", [1], [2])])).startswith("<svg")


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert ticks(0.0123, 0.0187) == [0.014, 0.016, 0.018]
    for low, high in ((-3e-7, 4e-7), (1e5, 1.7e6)):
        assert all(low <= tick <= high for tick in ticks(low, high)) and 2 <= len(ticks(low, high)) <= 6


def test_smoothing_starts_at_the_curve() -> None:
    assert smooth([4.0, 4.0, 4.0]) == pytest.approx([4, 4, 4])
    assert smooth([]) == []


STUDY = "base: {model: faces, data: d, out: runs/s, epochs: 1}\naxes: {lr: [1.0e-5, 1.0e-4], accumulate: [1, 4]}\n"


def test_a_study_is_every_combination(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(STUDY)
    runs = combinations(tmp_path / "s.yaml", {"epochs": 2})
    assert list(runs) == [
        "lr=1e-05 accumulate=1",
        "lr=1e-05 accumulate=4",
        "lr=0.0001 accumulate=1",
        "lr=0.0001 accumulate=4",
    ]
    assert [(c.lr, c.accumulate, c.epochs) for c in runs.values()] == [
        (1e-5, 1, 2),
        (1e-5, 4, 2),
        (1e-4, 1, 2),
        (1e-4, 4, 2),
    ]
    assert runs["lr=1e-05 accumulate=4"].out == Path("runs/s/lr=1e-05_accumulate=4")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("axes: {lrr: [1]}", "did you mean 'lr'"),
        ("axes: {lr: 1}", "a list"),
        ("base: {epoch: 2}\naxes: {lr: [1]}", "did you mean 'epochs'"),
        ("axis: {lr: [1]}", "did you mean 'axes'"),
        ("base: {}", "axes should name"),
        ("base: {model: m, data: d}\naxes: {schedule: [linaer]}", "did you mean 'linear'"),
        ("base: {model: m, data: d}\naxes: {lr: [1, 1]}", "once"),
    ],
)
def test_a_study_that_cannot_be(tmp_path: Path, wrong: str, said: str) -> None:
    (tmp_path / "s.yaml").write_text(wrong)
    with pytest.raises(ConfigError, match=said):
        combinations(tmp_path / "s.yaml", {})


def test_one_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(STUDY)
    begun: list[float] = []

    def begin(config: object) -> None:
        begun.append(config.accumulate)  # type: ignore[attr-defined]
        if len(begun) == 2:
            raise ConfigError("no")

    failed = run_grid(combinations(tmp_path / "s.yaml", {}), 1, begin, lambda line: None)
    assert begun == [1, 4, 1, 4] and failed == ["lr=1e-05 accumulate=4"]


def test_the_study_page_compares(tmp_path: Path) -> None:
    runs = {name: make_run(tmp_path / name, scale) for name, scale in (("lr=1", 1.0), ("lr=2", 3.0))}
    write_report(runs["lr=1"])
    page = write_grid(tmp_path, runs | {"lr=3": tmp_path / "lr=3"}).read_text()
    assert '<a href="lr=1/report.html">lr=1</a>' in page
    assert "<b>0.3333</b>" in page and "<b>1.0000</b>" not in page and "not begun" in page
    assert page.count("data:image/png;base64") == 2
