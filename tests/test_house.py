"""The house stands as docs/design/overview.md says: imports go down its list only, and `import mezzotint` is light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/mezzotint"


def floors() -> dict[str, int]:
    """Each room and its floor, the cellar highest, as the document lists them."""
    text = (ROOT / "docs/design/overview.md").read_text().split("## Imports go down this list only")[1]
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    rooms = [re.split(r"\s{2,}", line)[0].split(", ") for line in lines]
    return {room: floor for floor, names in enumerate(rooms) for room in names}


def imports(path: Path) -> set[str]:
    """The rooms that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {name.split(".")[1] for name in names if name.startswith("mezzotint.")}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
    return found


def test_imports_go_down() -> None:
    floor = floors()
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue
        assert room in floor, f"{room} is not in docs/design/overview.md"
        for other in imports(path) - {room}:
            assert floor[other] >= floor[room], (
                f"{path.relative_to(PACKAGE)} imports {other}, which lies above it"
            )


def test_importing_the_package_is_light() -> None:
    code = "import sys, mezzotint; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "numpy", "openvino", "diffusers", "transformers", "rich", "typer"} & set(loaded)


def test_every_exported_name_is_there() -> None:
    import mezzotint

    assert all(getattr(mezzotint, name) is not None for name in mezzotint.__all__)
