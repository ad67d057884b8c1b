"""Cold starts: whole processes, from the command to a PNG on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from PIL import Image

from mezzotint.bench.likeness import psnr
from mezzotint.bench.requests import COLD_PROMPT, SAMPLER, SCALE
from mezzotint.bench.settings import BenchSettings
from mezzotint.bench.timing import alternate
from mezzotint.errors import MezzotintError
from mezzotint.picture import Picture

Say = Callable[[str], None]
SCRIPT = Path(__file__).with_name("diffusers_script.py")
_PACKAGE = Path(__file__).parents[1]
_LIMIT = 900  # seconds that a process may take


def cold_starts(settings: BenchSettings, folder: Path, say: Say) -> dict[str, Any]:
    """Mezzotint's first run with an empty cache of graphs, once; then both sides in turn, after warm-ups.

    The files of both are in the disk cache by then. The script runs in the dtype that the command chose.
    """
    with tempfile.TemporaryDirectory(prefix="mezzotint-bench-") as name:
        return _ColdStarts(settings, folder, Path(name)).measure(say)


class _ColdStarts:
    """Both commands, with a cache of graphs that is theirs alone."""

    def __init__(self, settings: BenchSettings, folder: Path, work: Path) -> None:
        self._settings, self._folder, self._work = settings, folder, work
        self._dtype = settings.dtype
        paths = [str(_PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"}

    def measure(self, say: Say) -> dict[str, Any]:
        settings = self._settings
        say("cold start: the first ever")
        began = perf_counter()
        first = Picture.open(self.run_mezzotint(-1))
        first_seconds = perf_counter() - began
        self._dtype = first.provenance.dtype  # type: ignore[assignment]
        for i in range(settings.warm_ups):
            say("cold start: warming up")
            self.run_mezzotint(-2 - i)
            self.run_diffusers(-2 - i)
        say(f"cold start: {settings.starts} of each in turn")
        pairs, our_files, their_files = alternate(self.run_mezzotint, self.run_diffusers, settings.starts)
        with Image.open(our_files[0]) as a, Image.open(their_files[0]) as b:
            alike = psnr(a, b)
        return {
            **pairs.to_dict(),
            "first_ever_s": first_seconds,
            "warm_ups": settings.warm_ups,
            "dtype": self._dtype,
            "psnr_db": alike,
            "note": "whole processes to a PNG on disk; program and model files are in the disk cache",
        }

    def run_mezzotint(self, i: int) -> Path:
        """`mezzotint generate`, once; the picture's file."""
        s = self._settings
        out = self._work / f"ours{i}"
        words = ["-m", "mezzotint", "generate", COLD_PROMPT, "--model", s.model, "--seed", str(s.seed)]
        words += ["--steps", str(s.steps), "--sampler", SAMPLER, "--guidance", f"cfg({SCALE})"]
        words += ["--runtime", "openvino", "--dtype", self._dtype, "--out", str(out)]
        self._run("mezzotint generate", words, {"XDG_CACHE_HOME": str(self._work / "cache")})
        return next(iter(sorted(out.glob("*.png"))))

    def run_diffusers(self, i: int) -> Path:
        """The script that asks diffusers for the same picture, once."""
        s = self._settings
        out = self._work / f"theirs{i}.png"
        words = ["-P", str(SCRIPT), str(self._folder), COLD_PROMPT, str(out), str(s.seed)]
        self._run("the diffusers script", [*words, str(s.steps), str(SCALE), self._dtype, str(s.threads)], {})
        return out

    def _run(self, what: str, words: Sequence[str], env: dict[str, str]) -> None:
        """MezzotintError with the last line that the process wrote, where it failed."""
        ran = subprocess.run(
            [sys.executable, *words],
            env={**self._env, **env},
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
        if ran.returncode:
            last = (ran.stderr.strip() or "no message").splitlines()[-1]
            raise MezzotintError(f"cold start: {what} ended with {ran.returncode}: {last}")
