"""The ledger of a picture: what each gradient term did at each step."""

from __future__ import annotations

from typing import NamedTuple


class LedgerEntry(NamedTuple):
    """One term at one network call. Movements and norms are root mean squares over the latents or pixels."""

    evaluation: int  # the network call, from 0
    step: int  # the asked step that it belongs to
    term: str  # the term's expression
    loss: float
    gradient: float  # of the loss, with respect to what the recipe moves
    moved: float  # of x0
    cosine: float | None  # between that movement and the classifier-free direction; None where there is none
