"""A small study with the toy for a model; as a program, a server that runs it in processes that can be killed."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from mezzotint.store import Store
from mezzotint.study.outline import CompiledStudy
from mezzotint.study.run import RunOutcome, plan_work, run
from mezzotint.study.spec import Study
from support.toy import Toy

STUDY = Study(
    mode="exact",
    base={"steps": 6, "sampler": "ddim", "eta": 0.5},
    axes={"prompt": ("a cat", "a dog"), "guidance.cfg.scale": (2, 4, 6), "guidance.cfg.start": (0.3, 0.5)},
    seeds=4,
)
PICTURES = 48


def drawn(folder: Path, study: Study = STUDY, toy: Toy | None = None) -> RunOutcome:
    """Make what is missing of a study in the store of a folder."""
    outline = CompiledStudy(study, lambda name: toy or Toy())
    with Store.open(folder) as store:
        return run(plan_work(outline, store), store)


def _serve() -> None:
    """A line with a folder: forks a process that draws there; answers with its id, then with how it ended."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            slow = Toy(before=lambda *_: time.sleep(0.002))
            os._exit(drawn(Path(line.strip()), toy=slow).code)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    _serve()
