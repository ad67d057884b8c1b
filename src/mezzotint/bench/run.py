"""The whole bench, part by part; only one side ever runs at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mezzotint.bench.cold import cold_starts
from mezzotint.bench.diffusers_baseline import DiffusersBaseline, require_diffusers_model, require_packages
from mezzotint.bench.likeness import likeness
from mezzotint.bench.mezzotint_side import SideResult, account, run_mezzotint, warm_up
from mezzotint.bench.peak import network_flops, peaks
from mezzotint.bench.requests import mixed_requests, single_requests
from mezzotint.bench.settings import BenchSettings
from mezzotint.bench.targets import targets
from mezzotint.bench.timing import alternate
from mezzotint.machine import machine
from mezzotint.models import Model, open_model
from mezzotint.request import Request

Say = Callable[[str], None]


def run(settings: BenchSettings, say: Say = lambda _: None) -> dict[str, Any]:
    """Measure everything; the result is what `--json` prints. `say` hears what is being done.

    ConfigError where the other side is not installed, ModelError where the model cannot be opened.
    """
    require_packages(settings.model)
    settings = settings.effective()
    found = machine()
    say(f"opening {settings.model} on both sides")
    bench = Bench.open(settings, say)
    say("measuring the machine's peak")
    peak = peaks(bench.model.dtype, settings.threads, settings.quick)
    one = bench.measure_one_picture(peak["best"])
    many = bench.measure_mixed(peak["best"])
    cold = cold_starts(settings, bench.model.path, say) if settings.cold else None
    result = {
        "machine": found,
        "settings": {**asdict(settings), "mixed_steps": list(settings.mixed_steps)},
        "model": bench.facts(),
        "peak_gflops": peak,
        "one_picture": one,
        "mixed": many,
        "cold_start": cold,
    }
    return {**result, "bars": [asdict(bar) for bar in targets(result)]}


@dataclass(frozen=True)
class Bench:
    """Both sides, open, with everything compiled and allocated."""

    settings: BenchSettings
    model: Model
    diffusers: DiffusersBaseline
    flops: int  # of the denoiser, a row
    say: Say

    @classmethod
    def open(cls, settings: BenchSettings, say: Say) -> Bench:
        """The same folder, dtype and number of threads for both."""
        model = require_diffusers_model(
            open_model(settings.model, "openvino", settings.dtype, settings.threads)
        )
        peer = DiffusersBaseline(model.path, model.dtype, settings.threads)
        say("warming up both sides")
        flops = network_flops(lambda: peer.call_unet(1))
        warm_up(model)
        request = single_requests(settings)[0]
        run_mezzotint(model, [request])
        peer([request])
        return cls(settings, model, peer, flops, say)

    def measure_one_picture(self, peak: float) -> dict[str, Any]:
        """One request at a time."""
        self.say(f"one picture: {self.settings.repeats} of each in turn")
        return self._measure([[request] for request in single_requests(self.settings)[1:]], peak)

    def measure_mixed(self, peak: float) -> dict[str, Any]:
        """All mixed requests through one engine, and one by one through the pipeline."""
        settings = self.settings
        self.say(f"{settings.requests} mixed requests: {settings.rounds} of each in turn")
        return self._measure([mixed_requests(settings)] * settings.rounds, peak)

    def _measure(self, asked: Sequence[Sequence[Request]], peak: float) -> dict[str, Any]:
        pairs, a, b = alternate(
            lambda i: run_mezzotint(self.model, asked[i]), lambda i: self.diffusers(asked[i]), len(asked)
        )
        evaluations = [sum(work.evaluations for work in works) for works in (a, b)]
        pictures = zip(_images(a), _images(b), strict=True)
        requests = [request for each in asked for request in each]
        return {
            **pairs.to_dict(),
            "pictures_each_time": len(asked[0]),
            "same_evaluations": evaluations[0] == evaluations[1],
            "psnr": likeness(dict(zip(requests, pictures, strict=True)), self.model.schedule),
            "mezzotint": account(a, self.flops, peak),
            "diffusers": account(b, self.flops, peak),
        }

    def facts(self) -> dict[str, Any]:
        """What ran on both sides, and how diffusers was set up."""
        width, height = self.model.default_size
        return {
            "name": self.model.name,
            "digest": self.model.digest,
            "size": f"{width}x{height}",
            "dtype": self.model.dtype,
            "runtime": self.model.runtime,
            "gflop_per_row": self.flops / 1e9,
            "diffusers_layout": self.diffusers.layout,
            "diffusers_layout_probe_ms": self.diffusers.probe_ms,
        }


def _images(works: Sequence[SideResult]) -> list[Any]:
    return [image for work in works for image in work.images]
