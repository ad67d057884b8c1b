"""From the last latents to a Picture."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter

import numpy as np
from PIL import Image

from mezzotint import __version__
from mezzotint.engine.a1111 import a1111_settings
from mezzotint.engine.network import Latents, Network, SupportsEncoders, SupportsGradients
from mezzotint.engine.trajectory import Trajectory
from mezzotint.errors import ModelError
from mezzotint.guidance import Steer
from mezzotint.picture import Picture, Provenance


def origin(network: Network, mode: str) -> Provenance:
    """What the provenance of all pictures of an engine has in common."""
    versions = {"mezzotint": __version__}
    with suppress(PackageNotFoundError):  # a runtime that is no package of its own
        versions[network.runtime] = version(network.runtime)
    return Provenance(
        model=network.name,
        model_digest=network.digest,
        runtime=network.runtime,
        dtype=network.dtype,
        mode=mode,
        device=network.device,
        threads=getattr(network, "threads", 0),
        versions=versions,
        evaluations=0,
        seconds=0.0,
        created="",
    )


def finish(t: Trajectory, latents: Latents, network: Network, origin: Provenance) -> Picture:
    """Decode (1, C, h, w) latents. ModelError when they are not finite; what the decoder raises passes on."""
    if not np.isfinite(latents).all():
        raise ModelError("the last update gave NaN or infinity")
    drawn = network.decode(latents)
    image = Image.fromarray(t.init_image.composite(drawn) if t.init_image else drawn)
    provenance = replace(
        origin,
        evaluations=t.call,
        seconds=round(perf_counter() - t.started, 6),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        steering={str(term): _describe_steering(network, term) for term in t.steers},
        a1111=a1111_settings(t.request, network.schedule),
        encoders=_read_by(network, t.request.encoder),
        warnings=[*t.warnings, *_warnings(image.size, network)],
    )
    attention = t.recorder.finish((image.height, image.width)) if t.recorder else None
    return Picture(
        image, t.request, provenance, tuple(t.snapshots), attention=attention, ledger=tuple(t.ledger)
    )


def _read_by(network: Network, encoder: str) -> dict[str, str]:
    return network.encoder_facts(encoder) if encoder and isinstance(network, SupportsEncoders) else {}


def _describe_steering(network: Network, term: Steer) -> str:
    assert isinstance(network, SupportsGradients)
    return ", ".join(f"{what} {value}" for what, value in network.facts(term).items())


def _warnings(size: tuple[int, int], network: Network) -> list[str]:
    if size == network.default_size:
        return []
    (w, h), (width, height) = size, network.default_size
    return [f"{w}x{h} is not the size the model was trained at, {width}x{height}"]
