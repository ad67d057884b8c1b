"""One picture in flight: plain data that the engine moves. It never decides when it runs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint import library
from mezzotint.attention import AttentionRecorder
from mezzotint.engine.network import Latents, Shape
from mezzotint.errors import RequestError
from mezzotint.guidance import Steer
from mezzotint.picture import LedgerEntry, Picture, Snapshot
from mezzotint.planning import Plan
from mezzotint.request import Request
from mezzotint.rng import Generator

Size = tuple[int, int]  # width, height in pixels


@dataclass(frozen=True, eq=False)
class InitImage:
    """What is there before the first step."""

    pixels: NDArray[np.uint8]  # (H, W, 3)
    mask: NDArray[np.float32] | None  # (H, W) 1 where the picture is drawn anew, 0 where it stays

    def keep_mask(self, factor: int) -> NDArray[np.float32]:
        """(h, w) 1 at latents of which no pixel is drawn anew."""
        if self.mask is None:
            return np.zeros((1, 1), np.float32)
        h, w = (side // factor for side in self.mask.shape)
        anew = self.mask.reshape(h, factor, w, factor).max((1, 3)).round()
        return np.asarray(1 - anew, np.float32)

    def composite(self, drawn: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) the drawn picture inside the mask, the first one outside, to the bit."""
        if self.mask is None:
            return drawn
        mask = self.mask[..., None]
        return np.asarray((mask * drawn + (1 - mask) * self.pixels).round(), np.uint8)


def init_image_of(request: Request, size: Size) -> InitImage | None:
    """What a request starts from, scaled to cover `size` and cropped at the center; None: from noise.

    RequestError where a picture is not in the library, or the mask has another size than its picture.
    """
    return _init_image(request.init, request.mask, size) if request.init else None


@lru_cache(maxsize=64)
def _init_image(init: str, mask: str, size: Size) -> InitImage:
    picture = library.pixels(init)
    if not mask:
        return InitImage(library.fit_to_size(picture, *size), None)
    drawn = np.asarray(Image.fromarray(library.pixels(mask)).convert("L"))
    if drawn.shape != picture.shape[:2]:
        of_mask, wanted = (f"{shown.shape[1]}x{shown.shape[0]}" for shown in (drawn, picture))
        turned = ", turned upright by its EXIF orientation," if drawn.shape == picture.shape[1::-1] else ""
        raise RequestError(f"the mask is {of_mask}; its picture{turned} is {wanted}, and so must it be")
    anew = library.fit_to_size(drawn, *size) / 255
    return InitImage(library.fit_to_size(picture, *size), np.asarray(anew, np.float32))


class Progress(NamedTuple):
    """News of one picture after one network call. `x0` is a read-only view that stays valid."""

    id: int  # counts the submitted requests from 0
    request: Request
    done: int  # evaluations
    total: int
    x0: Latents  # (C, h, w) what the picture would be if it ended here


OnStep = Callable[[Progress], None]  # runs on the engine's thread: be quick


@dataclass(frozen=True)
class LaneKey:
    """What the trajectories of one network call have in common."""

    shape: Shape  # of the latents
    gradient: bool = False  # gradients go through the network
    attention: bool = False  # cross-attention is kept
    lora: str = ""  # adapters in the network's weights, as in `Request.lora`


@dataclass(frozen=True, eq=False)
class TrajectoryState:
    """Where a trajectory was before one of its network calls: what one that goes another way starts from."""

    slots: Latents  # (K, size)
    noise: Generator
    init_latents: NDArray[np.float32] | None
    keep_mask: NDArray[np.float32] | None
    cfg_ended: bool
    snapshots: tuple[Snapshot, ...]
    ledger: tuple[LedgerEntry, ...]
    seconds: float  # since its first noise


@dataclass(eq=False, slots=True)
class Trajectory:
    """A request on its way. `place` and what follows are set when it first runs."""

    request: Request
    plan: Plan
    lane: LaneKey  # only equals share a network call
    init_image: InitImage | None = None  # None: from noise
    id: int = -1
    future: Future[Picture] = field(default_factory=Future)
    on_step: OnStep | None = None
    trace: int = 0  # keep x0 of every so many evaluations; 0 keeps none

    branches: list[tuple[int, Trajectory]] = field(default_factory=list)  # those equal to it up to a call
    origin: TrajectoryState | None = None  # of the one that it branched off from

    call: int = 0  # evaluations done
    place: int = -1  # its row of the pool
    noise: Generator = field(init=False)
    cond: NDArray[np.float32] = field(init=False)  # (tokens, width)
    uncond: NDArray[np.float32] = field(init=False)
    mix_conds: list[NDArray[np.float32]] = field(default_factory=list)  # texts that are mixed in
    steers: tuple[Steer, ...] = ()
    cfg_ended: bool = False  # adaptive guidance has ended
    init_latents: NDArray[np.float32] | None = None  # (size,) latents of the picture it starts from
    keep_mask: NDArray[np.float32] | None = None  # (size,) 1 where they stay, 0 where it is drawn anew
    recorder: AttentionRecorder | None = None  # where attention is kept
    started: float = field(init=False)  # seconds, as perf_counter has them
    snapshots: list[Snapshot] = field(default_factory=list)
    ledger: list[LedgerEntry] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # for its provenance

    @property
    def rows(self) -> int:
        """Rows of the next network call: with guidance two, the second without the prompt; one more for each mix."""
        return 1 if self.cfg_ended else int(self.plan.reads[self.call])

    @property
    def scale(self) -> float:
        """Of classifier-free guidance in the next call."""
        return 1.0 if self.cfg_ended else float(self.plan.cfg[self.call])

    @property
    def needs_uncond(self) -> bool:
        """Whether the next call needs the row without the prompt."""
        return not self.cfg_ended and bool(self.plan.needs_uncond[self.call])

    @property
    def uses_uncond(self) -> bool:
        """Whether any of its calls needs the row without the prompt."""
        return bool(self.plan.needs_uncond.any())

    @property
    def is_finished(self) -> bool:
        """No network call is left."""
        return self.call == self.plan.evaluations

    @property
    def where(self) -> str:
        """Where it is, for an error message: `step 3 of 25 (euler)`."""
        step = int(self.plan.step[min(self.call, self.plan.evaluations - 1)]) + 1
        when = "after " if self.is_finished else "before " if self.place < 0 else ""
        return f"{when}step {step} of {self.request.steps} ({self.request.sampler})"

    def advance(self, x0: Latents) -> None:
        """Tell who listens, keep x0 (C, h, w) where a trace is asked for, and count the call."""
        done = self.call + 1
        if self.on_step:
            self.on_step(Progress(self.id, self.request, done, self.plan.evaluations, x0))
        if self.trace and (done % self.trace == 0 or done == self.plan.evaluations):
            self.snapshots.append(Snapshot(done, x0.copy()))
        self.call = done
