"""What one side did in one run, and the account of where its time and arithmetic went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.engine import Engine, Network, Stats
from mezzotint.request import Request


@dataclass(frozen=True)
class SideResult:
    """Pictures in the order asked, how often the denoiser was asked for them, and the time it took."""

    images: list[Image.Image]
    evaluations: int  # one for each picture and call that it is in
    stats: Stats


def run_mezzotint(model: Network, requests: Sequence[Request], share: bool = False) -> SideResult:
    """All requests through one engine, opened for them; with beginnings shared or not."""
    with Engine(model) as engine:
        pictures = [future.result() for future in engine.submit_all(requests, share=share)]
        stats = engine.stats
    evaluations = sum(picture.provenance.evaluations for picture in pictures)
    return SideResult([picture.image for picture in pictures], evaluations, stats)


def warm_up(model: Network) -> None:
    """One call of each row count that the engine may use, so that every graph is compiled."""
    width, height = (side // model.vae_factor for side in model.default_size)
    text, _ = model.encode("")
    for rows in sorted({model.bucket(n) for n in range(1, model.max_rows_at(height, width) + 1)}):
        x = _zeros(rows, model.latent_channels, height, width)
        model.denoise(x, _zeros(rows), _zeros(rows, *text.shape), rows)
    model.decode(_zeros(1, model.latent_channels, height, width))


def account(works: Sequence[SideResult], flops_per_row: int, peak: float) -> dict[str, Any]:
    """The sums over some runs: calls, rows, shares of the busy time, and GFLOP/s, in which `peak` is too."""
    s = _total([work.stats for work in works])
    evaluations = sum(work.evaluations for work in works)
    gflops = flops_per_row * s.rows / s.network / 1e9
    return {
        "pictures": sum(len(work.images) for work in works),
        "evaluations": evaluations,
        "network_calls": s.calls,
        "evaluations_per_call": evaluations / s.calls,
        "rows": s.rows,
        "rows_per_call": s.rows / s.calls,
        "padded_rows": s.padded,
        "padded_share": s.padded / (s.rows + s.padded),
        "busy_s": s.busy,
        "network_ms_per_row": 1e3 * s.network / s.rows,
        "share": {
            "network": s.network / s.busy,
            "decoder": s.decoder / s.busy,
            "text": s.text / s.busy,
            "elsewhere": s.elsewhere / s.busy,
        },
        "outside_network_and_decoder": 1 - (s.network + s.decoder) / s.busy,
        "flops_per_row": flops_per_row,
        "gflops": gflops,
        "of_peak": gflops / peak,
    }


def _total(parts: Sequence[Stats]) -> Stats:
    return Stats(**{f.name: sum(getattr(part, f.name) for part in parts) for f in fields(Stats)})


def _zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)
