"""The page of the report: every figure and every claim has its place, and what fails stops nothing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from mezzotint.cli.paper import QUICK
from mezzotint.errors import ConfigError, ModelError
from mezzotint.paper import estimate, studied
from mezzotint.paper.contents import (
    StudySection,
    figure_numbers,
    figure_order,
    select_makers,
    study_sections,
)
from mezzotint.paper.made import MAKERS
from mezzotint.paper.paper import Paper, makers
from mezzotint.paper.section import REPORT, PaperSettings, Section
from mezzotint.paper.studied import StudyMaker
from mezzotint.planning import plan
from mezzotint.store import Store
from mezzotint.study import claims
from mezzotint.study.cells import cells
from mezzotint.study.cost import Rates
from mezzotint.study.finding import Finding
from mezzotint.study.spec import Study
from support.toy import Toy

CLAIMS = {  # what must be judged, by the section that does
    "ddpm-ddim", "lms-steps", "guidance-scale", "clip-strength", "clip-prompts", "bert", "at-equal-effect", "at-equal-cost",
    "seeds", "color", "clip-unconditional", "slips-clip", "slips-color", "slips-sampler", "slips-scale", "slips-mask",
}  # fmt: skip


def setting(folder: Path, store: Store, **more: object) -> PaperSettings:
    asked = {"quick": True, "text_model": "emoji", "pixel_model": "faces", "seeds": 2} | more
    return PaperSettings(store=store, folder=folder / "out", say=lambda line: None, **asked)  # type: ignore[arg-type]


def test_every_figure_and_claim_has_its_section() -> None:
    every = makers()
    assert set(range(1, 24)) <= set().union(*(figure_numbers(maker.figure) for maker in every))
    assert {maker.name for maker in every} >= CLAIMS
    assert len({maker.name for maker in every}) == len(every)


@pytest.mark.parametrize("models", [("emoji", "faces"), ("some/checkpoint", "some/pixels")])
def test_every_study_is_whole_and_judges_something(tmp_path: Path, models: tuple[str, str]) -> None:
    with Store.open(tmp_path / "store") as store:
        at = setting(tmp_path, store, text_model=models[0], pixel_model=models[1], seeds=8)
        for entry in study_sections():
            study = entry.study_for(at)
            assert claims.parse_claims(study), entry.study
            assert cells(study) and study.question
            assert study.model in models
            assert set(filter(None, (entry.across, entry.down))) <= set(study.axis_names)
            if models[0] == "emoji" and entry.names:
                table = next(t for t in study.tables if entry.across in t)
                assert len(entry.names) == len(table[entry.across]), entry.study
            assert 4 <= len(study.seed_list) <= 8


def test_the_published_scales_steps_and_strengths_are_drawn(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        asked = {
            entry.study: entry.study_for(setting(tmp_path, store, quick=False)) for entry in study_sections()
        }
    assert asked["guidance-scale"].axes["guidance.cfg.scale"] == (1, 2, 4, 5, 8, 16, 20)
    assert asked["lms-steps"].axes["steps"] == (50, 600, 675, 700, 800, 1000, 1200, 1500)
    assert {0.2, 0.65, 0.8, 1} <= set(asked["clip-strength"].axes["strength"])
    assert asked["bert"].axes["guidance.cfg.scale"] == (0.01, 2, 4, 6, 8, 10)
    assert {"bert", "random", "shuffled", "norm-matched", "bert-adapted"} <= set(
        asked["bert"].axes["encoder"]
    )


def test_a_quick_run_judges_the_same_claims_by_fewer_steps_of_lms(tmp_path: Path) -> None:
    entry = next(one for one in study_sections() if one.study == "lms-steps")
    with Store.open(tmp_path / "store") as store:
        quick, full = (entry.study_for(setting(tmp_path, store, quick=q)) for q in (True, False))
    assert quick.axes["steps"] == (50, 600, 1000, 1500)
    assert [one.says for one in claims.parse_claims(quick)] == [one.says for one in claims.parse_claims(full)]
    assert sum(quick.axes["steps"]) < sum(full.axes["steps"]) / 2
    assert claims.parse_claims(quick)[4].than == {"steps": (600,)}  # type: ignore[attr-defined]


def test_a_quick_run_takes_less_than_45_minutes_on_one_core_of_the_reference_machine(tmp_path: Path) -> None:
    """By counting rows of both networks; a quarter is left for gradients, decoders and metrics."""
    seconds = {"emoji": estimate.times().row, "faces": estimate.times().pixel_row}
    total = sum(estimate.times().sections.values())
    with Store.open(tmp_path / "store") as store:
        for entry in study_sections():
            study = entry.study_for(setting(tmp_path, store, seeds=QUICK))
            plans = [plan(cell.request, Toy().schedule) for cell in cells(study)]
            rows = sum(one.rows if study.model == "emoji" else one.evaluations for one in plans)
            total += seconds[study.model] * rows * len(study.seed_list)
    assert total < 0.75 * 45 * 60


def test_sections_stand_in_the_order_of_the_figures() -> None:
    said = [
        "slips",
        "21",
        "text after figure 15",
        "5-6",
        "conclusion",
        "15",
        "16-20",
        "text after figure 1",
        "1",
        "2-4",
    ]
    ordered = [
        "1",
        "text after figure 1",
        "2-4",
        "5-6",
        "15",
        "text after figure 15",
        "16-20",
        "21",
        "conclusion",
        "slips",
    ]
    assert sorted(said, key=figure_order) == ordered
    assert figure_numbers("7-9") == {7, 8, 9} and figure_numbers("text after figure 15") == set()


def test_an_unknown_section_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'guidance-scale'"):
        select_makers(makers(), ["guidance-scal"])
    assert [maker.name for maker in select_makers(makers(), ["bert", "seeds"])] == ["seeds", "bert"]


def test_a_skipped_section_is_left_out_and_an_unknown_one_named() -> None:
    names = [maker.name for maker in select_makers(makers(), (), ["bert", "fine-tuning"])]
    assert not {"bert", "fine-tuning"} & set(names) and len(names) == len(makers()) - 2
    with pytest.raises(ConfigError, match="did you mean 'bert'"):
        select_makers(makers(), (), ["brt"])
    with pytest.raises(ConfigError, match="no section is left"):
        select_makers(makers(), ["bert"], ["bert"])


@dataclass(frozen=True)
class Fake:
    """A section that is there at once, or an error."""

    name: str
    figure: str
    error: Exception | None = None
    title: str = "A <title>"

    def __call__(self, setting: PaperSettings) -> Section:
        if self.error:
            raise self.error
        findings = (
            Finding("It & that", "confirmed", "1 < 2"),
            Finding("What is so", "refuted", "2 > 1", "report"),
        )
        return Section(
            self.figure, self.name, self.title, "said", "<p>drawn</p>", findings, "mezzotint paper", 1.0,
            differs="Where ours differs",
        )  # fmt: skip


@pytest.mark.parametrize("error", [ModelError("no <model>"), ZeroDivisionError("of ours")])
def test_a_section_that_fails_is_shown_and_stops_nothing(tmp_path: Path, error: Exception) -> None:
    with Store.open(tmp_path / "store") as store:
        paper = Paper(
            setting(tmp_path, store), [Fake("one", "1"), Fake("sick", "2-4", error), Fake("last", "5")]
        )
        page = paper().read_text()
    assert paper.code == 1
    assert str(error).replace("<", "&lt;").replace(">", "&gt;") in page
    assert page.count("It &amp; that") == 6  # of two sections: beside the figure, as evidence, and among all
    told = json.loads((tmp_path / "out/paper.json").read_text())
    assert [bool(section["failed"]) for section in told["sections"]] == [False, True, False]
    assert told["sections"][0]["findings"][0]["verdict"] == "confirmed"


def test_the_page_opens_with_its_summary_and_folds_its_tables(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        page = Paper(setting(tmp_path, store), [Fake("one", "1")])().read_text()
    assert REPORT.split(",")[0] in page
    assert page.index(">Summary<") < page.index("<p>drawn</p>") < page.index("<ul class=")
    assert all(before.rstrip().endswith("</summary>") for before in page.split('<table class="claims">')[:-1])
    assert page.index("Where ours differs") < page.index("<p>drawn</p>")


def test_the_reports_claims_and_our_own_are_counted_apart(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        Paper(setting(tmp_path, store), [Fake("one", "1"), Fake("two", "2")])()
    counted = json.loads((tmp_path / "out/paper.json").read_text())["verdicts"]
    assert counted == {
        "report": {"confirmed": 0, "refuted": 2, "undecided": 0},
        "ours": {"confirmed": 2, "refuted": 0, "undecided": 0},
    }


def test_every_figure_has_a_claim_of_the_report_and_says_where_ours_differs(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        at = setting(tmp_path, store)
        for entry in study_sections():
            sources = {one.source for one in claims.parse_claims(entry.study_for(at))}
            own = entry.figure == "slips" or entry.study == "at-equal-cost"
            assert ("report" in sources) != own, entry.study
            assert entry.differs or own, entry.study
    assert all(maker.differs for maker in MAKERS)


def test_the_estimate_of_a_section_goes_with_the_rate_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = next(one for one in MAKERS if one.name == "emergence")
    known = estimate.times()
    assert set(known.sections) == {one.name for one in MAKERS}
    monkeypatch.setattr(estimate, "open_cached", lambda *names: Toy())
    monkeypatch.setattr(estimate, "measure_rates", lambda *asked: Rates(2 * known.row, 0.0, 0.0))
    with Store.open(tmp_path / "store") as store:
        quick, full = (
            estimate.estimate_seconds(maker, setting(tmp_path, store, quick=q)) for q in (True, False)
        )
    assert quick == pytest.approx(2 * known.sections["emergence"])
    assert full == pytest.approx(maker.more * quick)


def test_help_and_docs_give_no_other_estimate_than_the_dry_run() -> None:
    root = Path(__file__).parents[2]
    texts = [root / "docs/tutorial/paper.md", root / "src/mezzotint/cli/paper.py"]
    assert not [
        text.name for text in texts if re.search(r"\d+ (min|h)\b|some minutes|minutes on", text.read_text())
    ]


ENTRY = StudySection.model_validate(
    {
        "study": "small", "figure": "15", "title": "Small", "published": "p",
        "across": "guidance.cfg.scale", "down": "prompt", "again": 1,
    }
)  # fmt: skip
SCALES = {"of": {"guidance.cfg.scale": 4}, "than": {"guidance.cfg.scale": 1}}
STUDY = Study(
    name="small", base={"steps": 4, "sampler": "ddim"}, seeds=4, metrics=("sharpness", "clipped"),
    axes={"prompt": ("a cat", "a dog"), "guidance.cfg.scale": (1, 4)},
    claims=(
        {"says": "Scales differ", "kind": "different_pictures", "by": 0, **SCALES},
        {"says": "It costs more", "kind": "greater", "metric": "cost", **SCALES},
    ),
)  # fmt: skip


def test_a_study_becomes_a_section_and_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    toy = Toy()
    monkeypatch.setattr(studied, "open_cached", lambda name, **more: toy)
    monkeypatch.setattr(StudySection, "study_for", lambda self, setting: STUDY)
    with Store.open(tmp_path / "store") as store:
        at = setting(tmp_path, store)
        lines = list(Paper(at, [StudyMaker(ENTRY)]).plan())
        first = StudyMaker(ENTRY)(at)
        drawn = len(toy.calls)
        again = StudyMaker(ENTRY)(at)
    assert "16 pictures to draw, about" in lines[0] and "1 sections, about" in lines[-1]
    assert [one.verdict for one in first.findings][::2] == ["confirmed", "confirmed"]
    assert len(toy.calls) - drawn == 4  # the one that is drawn again to be compared
    assert again.html == first.html
    assert first.html.count("<img") == 4
    images = [part.split('"')[0] for part in first.html.split('src="')[1:]]
    assert all((tmp_path / "out" / image).is_file() for image in images)
    assert (tmp_path / "out/small/index.html").is_file()
