"""The notebooks run from top to bottom in a kernel of their own, and are kept without what came out."""

from __future__ import annotations

import ast
import importlib
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
named = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path) -> list[dict[str, Any]]:
    """Those that hold code."""
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


@named
def test_it_is_kept_without_outputs(path: Path) -> None:
    assert len(cells(path)) >= 4
    for cell in cells(path):
        assert cell["outputs"] == [] and cell["execution_count"] is None
        compile("".join(cell["source"]), path.name, "exec")


@named
def test_what_it_imports_is_there(path: Path) -> None:
    lines = [node for cell in cells(path) for node in ast.walk(ast.parse("".join(cell["source"])))]
    ours = [
        (node.module, name.name)
        for node in lines
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mezzotint")
        for name in node.names
    ]
    assert ours
    assert not [(module, name) for module, name in ours if not hasattr(importlib.import_module(module), name)]


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore"
)  # of the packages that talk to the kernel; the kernel's own are not errors either
@named
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    book = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        book, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    outputs = [one for cell in book.cells if cell.cell_type == "code" for one in cell.outputs]
    assert any("image/png" in one.get("data", {}) for one in outputs)
    assert not [one for one in outputs if one.get("name") == "stderr" and "Error" in one["text"]]
