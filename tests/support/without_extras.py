"""A process where the packages of the extras are missing: runs command lines, and says how each ended, as JSON.

stdin: {"missing": [module, ...], "calls": [[word, ...], ...]}. Calls are added for each command of the app: its
`--help`, and with placeholders for what it cannot do without. In an empty folder.
"""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from importlib.abc import MetaPathFinder
from typing import Any


class Without(MetaPathFinder):
    """A finder to which some packages are not installed."""

    def __init__(self, finder: Any, missing: set[str]) -> None:
        self.finder, self.missing = finder, missing

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return None if name.partition(".")[0] in self.missing else self.finder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.finder, name)


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of a group and of the groups in it, with the words that name it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name), command


def placeholders(command: Any) -> list[str]:
    """Words for everything that the command cannot do without; files of the ending that is asked for."""
    words: list[str] = []
    for parameter in command.params:
        if parameter.required:
            ending = os.path.splitext(parameter.metavar or "")[1].lower().rstrip(".")
            words += (
                [*parameter.opts[:1], f"x{ending}"] if parameter.opts[0].startswith("-") else [f"x{ending}"]
            )
    return words


def run(words: list[str]) -> dict[str, Any]:
    """A command line in this process."""
    from mezzotint.cli import main

    before, out, err = set(os.listdir()), io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code: int | str = main(words)
        except BaseException:
            code = traceback.format_exc()
    written = sorted(set(os.listdir()) - before)
    return {"words": words, "code": code, "out": out.getvalue(), "err": err.getvalue(), "written": written}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    sys.meta_path[:] = [Without(finder, set(asked["missing"])) for finder in sys.meta_path]
    from mezzotint.cli import command as tree

    known = list(commands(tree()))
    ran = {
        "names": [" ".join(words) for words, _ in known],
        "help": [run([*words, "--help"]) for words, _ in known],
        "bare": [run([*words, *placeholders(command)]) for words, command in known],
        "calls": [run(words) for words in asked["calls"]],
    }
    json.dump(ran, sys.stdout)
