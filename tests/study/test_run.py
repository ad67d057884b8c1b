"""A run makes what is missing, once, and says before how much that is."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mezzotint import progress
from mezzotint.engine import Engine
from mezzotint.store import Store
from mezzotint.study import cost
from mezzotint.study import run as running
from mezzotint.study.outline import CompiledStudy
from mezzotint.study.run import plan_work, run
from mezzotint.study.spec import Study
from mezzotint.study.table import StudyTable
from support.tiny_study import PICTURES, STUDY, drawn
from support.toy import SICK, Toy


def costs(folder: Path, study: Study) -> tuple[int, int, int]:
    """Pictures, evaluations and rows that are missing."""
    with Store.open(folder) as store:
        [item] = plan_work(CompiledStudy(study, lambda name: Toy()), store)
    return item.cost.pictures, item.cost.evaluations, item.cost.rows


def test_what_is_told_is_what_is_done(tmp_path: Path) -> None:
    toy = Toy()
    told = costs(tmp_path, STUDY)
    assert told[0] == PICTURES
    assert drawn(tmp_path, toy=toy).made == PICTURES
    assert sum(rows for rows, _ in toy.calls) == told[2]
    alone = Toy()
    with Engine(alone, "exact") as engine:
        for cell in CompiledStudy(STUDY, lambda name: alone).cells:
            engine.submit_all(cell.request.repeat(4))
    assert sum(rows for rows, _ in alone.calls) > 1.2 * told[2]  # shared beginnings show
    assert costs(tmp_path, STUDY) == (0, 0, 0)
    assert drawn(tmp_path, toy=Toy()).made == 0


def test_a_bigger_study_costs_only_its_new_cells(tmp_path: Path) -> None:
    small = STUDY.with_seeds(2)
    assert drawn(tmp_path, small).made == PICTURES // 2
    toy = Toy()
    assert costs(tmp_path, STUDY)[0] == PICTURES // 2
    assert drawn(tmp_path, STUDY, toy).made == PICTURES // 2
    with Store.open(tmp_path) as store:
        table = CompiledStudy(STUDY, lambda name: toy).table(store)
    assert len(table) == PICTURES
    assert [row.seed for row in table.rows[:5]] == [0, 1, 2, 3, 0]
    assert table.rows[0].evaluations == 6


def test_cells_that_ask_for_the_same_share_a_picture(tmp_path: Path) -> None:
    study = Study(base={"prompt": "a cat", "steps": 4}, axes={"guidance": ("cfg(2)", "cfg(2.0)")}, seeds=3)
    assert drawn(tmp_path, study).made == 3
    with Store.open(tmp_path) as store:
        assert len(CompiledStudy(study, lambda name: Toy()).table(store)) == 6


def test_several_models_have_their_own_pictures(tmp_path: Path) -> None:
    study = Study(base={"prompt": "a cat", "steps": 4}, axes={"model": ("one", "two")}, seeds=2)
    models = {"one": Toy(), "two": Toy(digest="ff" * 32)}
    with Store.open(tmp_path) as store:
        outline = CompiledStudy(study, models.__getitem__)
        assert run(plan_work(outline, store), store).made == 4
        table = outline.table(store)
    assert [row.model for row in table] == ["one", "one", "two", "two"]


def test_run_says_study_model_count_rate_and_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "FILE", 0.0)
    monkeypatch.setattr(progress, "TERMINAL", 0.0)
    lines: list[str] = []
    with Store.open(tmp_path) as store:
        run(
            plan_work(CompiledStudy(STUDY.with_seeds(1), lambda name: Toy()), store),
            store,
            say=lines.append,
            name="scale",
        )
    assert re.fullmatch(r"scale, emoji: 1 of 12 pictures, \S+/(s|min), \S+ (s|min) left", lines[0])


def test_a_picture_that_fails_leaves_the_others_alone(tmp_path: Path) -> None:
    study = Study(base={"steps": 4}, axes={"prompt": ("a cat", SICK)}, seeds=2)
    toy = Toy(poison=lambda timestep: np.nan)
    outcome = drawn(tmp_path, study, toy)
    assert outcome.made == 2
    [(what, where)] = outcome.failed.items()
    assert "NaN" in what
    assert where == [f"prompt={SICK}, seed 0", f"prompt={SICK}, seed 1"]
    assert drawn(tmp_path, study).made == 2  # tried again


def test_only_so_many_are_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flight: list[int] = []
    submit_all = Engine.submit_all

    def counted(engine: Engine, requests: object, **more: object) -> object:
        futures = submit_all(engine, requests, **more)  # type: ignore[arg-type]
        flight.append(len(engine._worker) + engine._inbox.qsize())
        return futures

    monkeypatch.setattr(Engine, "submit_all", counted)
    assert drawn(tmp_path, Study(base={"prompt": "a", "steps": 1}, seeds=200)).made == 200
    assert max(flight) <= 2 * running.FLIGHT
    assert len(flight) == 200


def test_when_the_time_is_over_what_is_finished_is_kept(tmp_path: Path) -> None:
    import time

    slow = Toy(before=lambda *_: time.sleep(0.01))
    with Store.open(tmp_path) as store:
        outline = CompiledStudy(STUDY.with_seeds(30), lambda name: slow)
        outcome = run(plan_work(outline, store), store, minutes=1 / 60)
        assert outcome.late
        assert 0 < outcome.made < 360
        assert len(outline.table(store)) == outcome.made


def test_costs_of_two_thousand_pictures_take_seconds(tmp_path: Path) -> None:
    import time

    scales = tuple(i / 10 for i in range(1, 21))
    study = Study(
        axes={
            "guidance.cfg.scale": scales,
            "guidance.cfg.stop": (0.5, 0.6, 0.7, 0.8, 0.9),
            "prompt": ("a", "b"),
        },
        zipped=({"steps": tuple(range(20, 30))},),
        seeds=1,
    )
    began = time.process_time()
    pictures, evaluations, rows = costs(tmp_path, study)
    assert pictures == 2_000
    assert 0 < evaluations < rows
    assert time.process_time() - began < 3  # about 1 s on one idle core


def test_rates_are_measured_once_and_remembered(tmp_path: Path) -> None:
    request = CompiledStudy(STUDY, lambda name: Toy()).cells[0].request
    toy = Toy()
    found = cost.measure_rates(toy, "exact", request, tmp_path)
    assert found.row > 0
    assert toy.calls
    again = Toy()
    assert cost.measure_rates(again, "exact", request, tmp_path) == found
    assert not again.calls
    cost.measure_rates(again, "fast", request, tmp_path)
    assert again.calls


def test_a_probe_has_every_term_at_every_step() -> None:
    request = CompiledStudy(STUDY, lambda name: Toy()).cells[0].request
    late = replace(request, guidance='cfg(2, stop=0.5) + cfg(3, start=0.5) + color("red", start=0.8)')
    assert cost.probe_request(late).guidance == 'cfg(2) + color("#ff0000", effect=0.05)'


def test_the_table_is_asked_by_axis(tmp_path: Path) -> None:
    drawn(tmp_path)
    with Store.open(tmp_path) as store:
        table = CompiledStudy(STUDY, lambda name: Toy()).table(store)
    some = table.where({"guidance.cfg.scale": 4}, prompt="a cat")
    assert len(some) == 8
    assert {value: len(t) for value, t in some.group("guidance.cfg.start").items()} == {0.3: 4, 0.5: 4}
    assert set(table.group("prompt", "seed")) == {(p, s) for p in ("a cat", "a dog") for s in range(4)}
    more = table.with_metrics({row.key: {"sharp": 1.5} for row in some})
    more.to_csv(tmp_path / "table.csv")
    header, *lines = (tmp_path / "table.csv").read_text().splitlines()
    assert header == "prompt,guidance.cfg.scale,guidance.cfg.start,seed,model,sharp,evaluations,seconds,key"
    assert sum(",1.5," in line for line in lines) == 8
    parquet = pytest.importorskip("pyarrow.parquet")
    more.to_parquet(tmp_path / "table.parquet")
    back = parquet.read_table(tmp_path / "table.parquet").to_pydict()
    assert back["key"] == [row.key for row in table]
    assert isinstance(more, StudyTable)
