"""The whole bench, part by part; only one side ever runs at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mezzotint.bench.bars import bars
from mezzotint.bench.cold import cold_starts
from mezzotint.bench.likeness import likeness
from mezzotint.bench.machine import machine
from mezzotint.bench.pairs import alternate
from mezzotint.bench.peak import network_flops, peaks
from mezzotint.bench.peer import Peer, comparable, demand
from mezzotint.bench.requests import mixed_requests, single_requests
from mezzotint.bench.settings import Settings
from mezzotint.bench.side import Work, account, ours, warm_up
from mezzotint.models import Model, open_model
from mezzotint.request import Request

Say = Callable[[str], None]


def run(settings: Settings, say: Say = lambda _: None) -> dict[str, Any]:
    """Measure everything; the result is what `--json` prints. `say` hears what is being done.

    ConfigError where the other side is not installed, ModelError where the model cannot be opened.
    """
    demand()
    settings = settings.reduced()
    found = machine()
    say(f"opening {settings.model} on both sides")
    bench = Bench.open(settings, say)
    say("measuring the machine's peak")
    peak = peaks(bench.model.dtype, settings.threads, settings.quick)
    one = bench.one_picture(peak["best"])
    many = bench.mixed(peak["best"])
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
    return {**result, "bars": [asdict(bar) for bar in bars(result)]}


@dataclass(frozen=True)
class Bench:
    """Both sides, open, with everything compiled and allocated."""

    settings: Settings
    model: Model
    peer: Peer
    flops: int  # of the denoiser, a row
    say: Say

    @classmethod
    def open(cls, settings: Settings, say: Say) -> Bench:
        """The same folder, dtype and number of threads for both."""
        model = comparable(open_model(settings.model, "openvino", settings.dtype, settings.threads))
        peer = Peer(model.path, model.dtype, settings.threads)
        say("warming up both sides")
        flops = network_flops(lambda: peer.call(1))
        warm_up(model)
        request = single_requests(settings)[0]
        ours(model, [request])
        peer([request])
        return cls(settings, model, peer, flops, say)

    def one_picture(self, peak: float) -> dict[str, Any]:
        """One request at a time."""
        self.say(f"one picture: {self.settings.repeats} of each in turn")
        return self._part([[request] for request in single_requests(self.settings)[1:]], peak)

    def mixed(self, peak: float) -> dict[str, Any]:
        """All mixed requests through one engine, and one by one through the pipeline."""
        settings = self.settings
        self.say(f"{settings.requests} mixed requests: {settings.rounds} of each in turn")
        return self._part([mixed_requests(settings)] * settings.rounds, peak)

    def _part(self, asked: Sequence[Sequence[Request]], peak: float) -> dict[str, Any]:
        pairs, a, b = alternate(
            lambda i: ours(self.model, asked[i]), lambda i: self.peer(asked[i]), len(asked)
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
            "diffusers_layout": self.peer.layout,
            "diffusers_layout_probe_ms": self.peer.probe_ms,
        }


def _images(works: Sequence[Work]) -> list[Any]:
    return [image for work in works for image in work.images]
