"""`--ledger`: the table and the curves beside a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from mezzotint.cli.ledger import write
from mezzotint.picture import LedgerEntry, Picture, Provenance
from mezzotint.request import Request

MADE = Provenance(
    "toy", "00", "numpy", "float32", "fast", "cpu", {"mezzotint": "0"}, 3, 0.1, "2026-01-01T00:00:00Z"
)


def picture(*entries: LedgerEntry) -> Picture:
    request = Request("a $dollar_ sign and ten words", guidance='color("red", effect=0.1)')
    return Picture(Image.new("RGB", (8, 8)), request, MADE, ledger=entries)


def test_table_and_curves(tmp_path: Path) -> None:
    entries = [LedgerEntry(i, i, "color", 1.0 - i / 10, 0.01, 0.1, None if i else 0.5) for i in range(3)]
    written = dict(write(picture(*entries), tmp_path / "p.png"))
    assert set(written) == {"ledger", "ledger_plot"}
    told = json.loads(written["ledger"].read_text())
    assert [row["loss"] for row in told["ledger"]] == [1.0, 0.9, 0.8]
    assert told["request"]["prompt"].startswith("a $dollar")
    with Image.open(written["ledger_plot"]) as plot:
        assert np.asarray(plot.convert("L")).std() > 5


def test_without_terms_there_is_only_an_empty_table(tmp_path: Path) -> None:
    written = dict(write(picture(), tmp_path / "p.png"))
    assert set(written) == {"ledger"} and json.loads(written["ledger"].read_text())["ledger"] == []
