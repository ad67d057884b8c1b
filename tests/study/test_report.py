"""The page: everything in it, nothing fetched, numbers that are the table's, and ten thousand pictures at once."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mezzotint.errors import ConfigError
from mezzotint.pages.figures import Figure, Series, svg
from mezzotint.request import Request
from mezzotint.stats import Estimate, Paired, interval
from mezzotint.study.metrics import SetResult
from mezzotint.study.report import CellSets, PageFacts, Plot, html, write
from mezzotint.study.report.findings import format_estimate, tradeoff
from mezzotint.study.report.sheet import compact, excerpt
from mezzotint.study.table import Row, StudyTable
from support import browser

EVIL = 'a "cat" </script><script>alert(1)</script> & <b>'
ABOUT = PageFacts(
    "A <study>",
    "Which & why?",
    "mezzotint study run 'a <b>.yaml'",
    "today",
    {"model": "toy 01"},
    {"saved": 3},
)
needs_chromium = pytest.mark.skipif(browser.CHROMIUM is None, reason="there is no Chromium here")


def table(scales: int = 3, prompts: tuple[str, ...] = (EVIL, "a dog"), seeds: int = 5) -> StudyTable:
    rng, rows = np.random.default_rng(0), []
    noise = rng.standard_normal(seeds)
    for scale in range(1, scales + 1):
        for prompt in prompts:
            for seed in range(seeds):
                metrics = {
                    "judge_score": float(-abs(scale - 2) + 0.1 * noise[seed] + 0.01 * rng.standard_normal()),
                    "distance_unguided": float(scale + 0.01 * rng.standard_normal()),
                    "object_top5": math.nan if prompt == EVIL else float(seed % 2),
                }
                asked = Request(
                    prompt=prompt, seed=seed, guidance=f"cfg({scale})", encoder="bert" if scale == 3 else ""
                )
                key = hashlib.sha256(f"{scale}{prompt}{seed}".encode()).hexdigest()
                rows.append(
                    Row({"scale": scale, "prompt": prompt}, seed, "toy", key, asked, metrics, 25 * scale, 0.5)
                )
    return StudyTable(tuple(rows), ("scale", "prompt"))


def painted(row: Row) -> Image.Image:
    return Image.new("RGB", (8, 8), (row.seed * 7 % 256, len(row.key), 90))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sets = [
        CellSets(
            {"scale": 2}, {"kid": SetResult(0.0123, 10, 12, "whole to 64x64", "judge abc", "folder def")}
        )
    ]
    return write(tmp_path_factory.mktemp("report"), table(), ABOUT, painted, sets=sets)


def test_the_page_has_everything_and_fetches_nothing(page: Path) -> None:
    text = page.read_text()
    for said in ("A &lt;study&gt;", "Which &amp; why?", "&#x27;a &lt;b&gt;.yaml&#x27;", "toy 01", "whole to 64x64", "judge abc",
                 "30 pictures, 6 settings, 5 seeds, today", "1,500", "table.parquet", "real pictures", "88%"):  # fmt: skip
        assert said in text, said
    assert not re.search(r"""(src|href)=["'](?!pictures/|table\.)""", text.split("<script>")[0])
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "</script><script>alert" not in text and "<b>castle" not in text
    drawn = re.findall(r"<svg.*?</svg>", text)
    assert len(drawn) >= 6
    for one in drawn:
        ET.fromstring(one)


def test_files_lie_beside_the_page(page: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((page.parent / "table.csv").read_text())))
    assert len(rows) == 30 and rows[0]["prompt"] == EVIL
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.read_table(page.parent / "table.parquet").num_rows == 30
    assert len(list(page.parent.glob("pictures/*/*.webp"))) == 30 and not list(page.parent.glob("**/*.part"))


def test_only_new_pictures_are_asked_for(tmp_path: Path) -> None:
    asked: list[str] = []

    def picture(row: Row) -> Image.Image:
        asked.append(row.key)
        return painted(row)

    write(tmp_path, table(scales=2), ABOUT, picture)
    write(tmp_path, table(scales=3), ABOUT, picture)
    assert len(asked) == len(set(asked)) == 30


def test_large_pictures_become_small(tmp_path: Path) -> None:
    write(tmp_path, table(1, ("a",), 1), ABOUT, lambda row: Image.new("RGB", (512, 256)))
    [path] = tmp_path.glob("pictures/*/*.webp")
    with Image.open(path) as image:
        assert image.size == (192, 96)


def test_every_request_can_be_put_together_again() -> None:
    rows = table()
    data = compact(rows, "x")
    json.dumps(data, allow_nan=False)
    for i, row in enumerate(rows):
        found = dict(data["base"])
        for field, one in data["varied"].items():
            if one["at"][i] >= 0:
                found[field] = one["values"][one["at"][i]]
        assert Request.from_dict(found) == row.request
        assert data["cells"][data["cell"][i]] == list(row.cell.values()) and row.key.startswith(
            data["key"][i]
        )
    assert data["metrics"]["object_top5"][0] is None and set(data["varied"]) == {
        "prompt",
        "seed",
        "guidance",
        "encoder",
    }


def test_paper_has_an_excerpt_of_all_cells() -> None:
    many = table(scales=20, seeds=50)
    assert len(excerpt(many)) == 120 and {row.cell["scale"] for row in excerpt(many)} == set(range(1, 21))
    assert excerpt(table()) == list(table())


def test_numbers_are_those_of_the_statistics() -> None:
    rows, text = table(), html(table(), ABOUT)
    paired = Paired.of(rows, "scale", "judge_score")
    for estimate in paired.estimates().values():
        assert format_estimate(estimate) in text
    assert "best in 100%" in text and "scale: 2 against 1" in text
    assert "prompt: a dog against" not in text  # no prompt is better than another
    assert (
        format_estimate(Estimate(math.nan, math.nan, math.nan, 0)) == ""
        and format_estimate(interval([0.5])) == "0.5"
    )


def test_the_frontier_is_told_where_it_was_measured() -> None:
    """Scale 3 is as well aligned as 1, moves farther and costs more."""
    told = tradeoff(table())
    assert re.findall(r"<tr><td>(\d)</td>", told) == ["1", "2"] and "behind it" in told
    without = StudyTable(
        tuple(Row(r.cell, r.seed, r.model, r.key, r.request, {"sharpness": 1.0}) for r in table()), ("scale",)
    )
    assert tradeoff(without) == ""


def test_a_plot_of_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'scale'"):
        write(tmp_path / "r", table(), ABOUT, painted, [Plot("judge_score", "scala")])
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("rows", [StudyTable((), ()), table(1, ("a",), 1)], ids=["none", "one"])
def test_little_has_a_page(rows: StudyTable) -> None:
    text = html(rows, ABOUT)
    assert "A &lt;study&gt;" in text and "nan" not in text.split("<script>")[0]


def test_too_few_seeds_for_any_test_is_said() -> None:
    """5 seeds: no p is below 1/16. With 20 there is one below 0.05 for each of few comparisons."""
    assert "With 5 seeds no p is below 0.062" in html(table(), ABOUT)
    assert "no p is below" not in html(table(seeds=20), ABOUT)


def test_few_seeds_are_said_to_be_few() -> None:
    said: Callable[[int], str] = lambda seeds: html(table(seeds=seeds), ABOUT)  # noqa: E731
    assert "one seed, so there are no intervals" in said(1) and "less than about 88%" in said(3)
    assert "hold the truth" not in said(16)


def test_intervals_are_drawn_within_the_axes() -> None:
    nan = math.nan
    whiskers = svg(
        Figure([Series("", [0, 1], [1, 2], "points", low=[0.5, nan], high=[3, nan])], names=["a", "b"]),
        400,
        200,
    )
    assert whiskers.count('opacity="0.55"') == 1 and ">a</text>" in whiskers
    band = svg(Figure([Series("", [0, 1, 2], [1, 2, 3], low=[0, 1, 2], high=[2, 9, 4])]), 400, 200)
    assert band.count('opacity="0.14"') == 1
    for path in re.findall(r'd="M([^"hHV]*?)Z?"', whiskers + band):
        for point in path.split("L"):
            x, y = map(float, point.split())
            assert 0 <= x <= 400 and 0 <= y <= 200


# In a browser.


@needs_chromium
def test_a_click_shows_the_recipe_and_filters_filter(page: Path, tmp_path: Path) -> None:
    script = """
    said.tiles = all().length; document.querySelectorAll(".tile")[2].click();
    said.recipe = JSON.parse(document.querySelector("dialog pre").textContent); said.open = document.querySelector("dialog").open;
    document.querySelectorAll("dialog button")[1].click();
    said.next = JSON.parse(document.querySelector("dialog pre").textContent).seed; document.querySelector("dialog").close();
    const [scale, prompt, order] = document.querySelectorAll(".bar select");
    const count = () => document.querySelector("output").textContent;
    scale.value = "2"; scale.onchange(); said.filtered = count(); prompt.value = "a dog"; prompt.onchange(); said.both = count();
    order.value = "-judge_score"; order.onchange(); await whole(); said.first = document.querySelector(".tile").title;
    """
    found: dict[str, Any] = browser.look(page, tmp_path / "profile", script)
    rows = table()
    assert found["tiles"] == 30 and found["open"] and found["next"] == 3
    assert Request.from_dict(found["recipe"]) == rows.rows[2].request
    assert found["filtered"] == "10 of 30 pictures" and found["both"] == "5 of 30 pictures"
    top = max(rows.where(scale=2, prompt="a dog"), key=lambda row: row.metrics["judge_score"])
    assert found["first"].endswith(f"seed {top.seed}")


@needs_chromium
@pytest.mark.slow
def test_ten_thousand_pictures_open_in_three_seconds(tmp_path: Path) -> None:
    many = table(scales=50, prompts=("a", "b"), seeds=100)
    path = write(tmp_path, many, ABOUT, painted)
    script = """
    const f = document.querySelector(".frame"); f.scrollTop = f.scrollHeight; await frame(); await frame(); await whole();
    said.tiles = all().length; said.last = [...document.querySelectorAll(".tile")].at(-1).title;
    """
    found = browser.look(path, tmp_path / "profile", script)
    assert len(many) == 10_000 and found["opened"] < 3000, found
    assert found["tiles"] < 300 and found["last"] == "scale 50 · prompt b, seed 99"
