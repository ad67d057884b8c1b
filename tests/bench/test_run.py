"""The quick bench, every part of it, against the diffusers that is installed."""

from __future__ import annotations

import io
import json
import platform
import shlex
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import mezzotint.bench
from mezzotint import extras
from mezzotint.bench import BenchSettings, report
from mezzotint.bench.cold import cold_starts
from mezzotint.cli import main
from mezzotint.errors import MezzotintError
from mezzotint.samplers import SAMPLERS

PART = {
    "mezzotint_s",
    "diffusers_s",
    "mezzotint_median_s",
    "diffusers_median_s",
    "ratio_of_medians",
    "paired_ratios",
    "pictures_each_time",
    "same_evaluations",
    "psnr",
    "mezzotint",
    "diffusers",
}
ACCOUNT = {
    "pictures",
    "evaluations",
    "network_calls",
    "evaluations_per_call",
    "rows",
    "rows_per_call",
    "padded_rows",
    "padded_share",
    "busy_s",
    "network_ms_per_row",
    "share",
    "outside_network_and_decoder",
    "flops_per_row",
    "gflops",
    "of_peak",
}


def test_keys(ran: Any) -> None:
    result = ran.result
    assert set(result) == {
        "machine",
        "settings",
        "model",
        "peak_gflops",
        "one_picture",
        "mixed",
        "cold_start",
        "bars",
    }
    for part in ("one_picture", "mixed"):
        assert set(result[part]) == PART
        for side in ("mezzotint", "diffusers"):
            assert set(result[part][side]) == ACCOUNT
    assert set(result["cold_start"]) >= PART & {"mezzotint_s", "ratio_of_medians", "paired_ratios"}
    assert json.loads(json.dumps(result, allow_nan=False))["bars"] == result["bars"]
    assert {"python", "torch", "diffusers", "openvino", "mezzotint"} <= set(result["machine"]["versions"])


def test_both_sides_did_the_same_work(ran: Any) -> None:
    for part in ("one_picture", "mixed"):
        facts = ran.result[part]
        ours, theirs = facts["mezzotint"], facts["diffusers"]
        assert facts["same_evaluations"]
        assert ours["evaluations"] == theirs["evaluations"] == theirs["network_calls"]
        assert ours["rows"] == theirs["rows"]
        assert facts["psnr"]["all"]["min_db"] > 45
        for side in (ours, theirs):
            assert sum(side["share"].values()) == pytest.approx(1)
            assert min(side["share"].values()) > 0
            assert 0 < side["of_peak"] < 1
    assert set(ran.result["mixed"]["psnr"]["samplers"]) == set(SAMPLERS)
    assert (
        ran.result["mixed"]["mezzotint"]["network_calls"] < ran.result["mixed"]["diffusers"]["network_calls"]
    )


def test_cold_starts_made_the_same_picture(ran: Any) -> None:
    cold = ran.result["cold_start"]
    assert cold["psnr_db"] > 45
    assert cold["dtype"] == "float32"
    assert len(cold["mezzotint_s"]) == len(cold["diffusers_s"]) == ran.settings.starts
    assert cold["first_ever_s"] > 0


def test_what_is_being_done_is_said(ran: Any) -> None:
    said = " ".join(ran.said)
    assert all(word in said for word in ("opening", "one picture", "mixed", "cold start"))


def test_report(ran: Any) -> None:
    written = io.StringIO()
    report(ran.result, Console(file=written, width=110))
    text = written.getvalue()
    assert all(bar["name"] in text for bar in ran.result["bars"])
    assert all(sampler in text for sampler in SAMPLERS)
    assert ran.result["machine"]["processor"] in text
    assert "--quick" in text
    if len(platform.node()) > 3:
        assert platform.node() not in text
    report({**ran.result, "cold_start": None}, Console(file=written, width=110))


def test_command(
    ran: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[BenchSettings] = []
    monkeypatch.setattr(mezzotint.bench, "run", lambda settings, say: asked.append(settings) or ran.result)
    out = tmp_path / "new" / "bench.json"
    line = "bench --model x --repeats 3 --requests 9 --steps 6 --dtype bfloat16 --skip-cold --quick --json"
    assert main([*shlex.split(line), "--out", str(out)]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(out.read_text()) == ran.result
    wanted = BenchSettings("x", repeats=3, requests=9, steps=6, dtype="bfloat16", cold=False, quick=True)
    assert asked == [wanted]
    assert main(["bench"]) == 0
    assert "Where the time goes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dtype", "float8"], "float8"),
        (["--repeats", "0"], "repeats"),
        (["--out", "."], "folder"),
        (["--model", "/nowhere"], "/nowhere"),
    ],
)
def test_bad_words(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *words]) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert said in line


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda name: name != "diffusers")
    assert main(["bench"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        'error: the bench, which compares with diffusers, needs diffusers; pip install "mezzotint[torch]"'
    ]


def test_a_process_that_fails_is_quoted(tmp_path: Path) -> None:
    settings = BenchSettings(model=str(tmp_path / "none"), quick=True, threads=1)
    with pytest.raises(MezzotintError, match=r"cold start: mezzotint generate ended with 2: error: no model"):
        cold_starts(settings, tmp_path, lambda _: None)
