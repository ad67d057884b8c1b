"""A metric: a name, what it needs, and a function of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from mezzotint.picture import Picture
from mezzotint.request import Request

if TYPE_CHECKING:
    from mezzotint.study.metrics.context import Context

Need = Literal[
    "clip", "judge", "objects", "style", "reference", "plain"
]  # objects: the names that the judge knows
BATCH = 64
T = TypeVar("T")


@dataclass(frozen=True)
class SetResult:
    """A number of a set of pictures, with all that it depends on; nan where the set is too small."""

    value: float
    n: int  # pictures
    against: int = 0  # pictures of the reference
    resize: str = ""
    features: str = ""  # the extractor, with the start of its digest
    reference: str = ""  # the source, with the start of its digest


@dataclass(frozen=True)
class Metric:
    """`compute(pictures, context)` gives a float a picture (nan: no verdict), or for a whole set one SetResult.

    Pictures may lie on a disk and come as they are asked for, so it goes through them in `batches`.
    """

    name: str
    needs: frozenset[Need]
    compute: Callable[[Sequence[Picture], Context], list[float] | SetResult]
    about: str = ""
    higher: bool | None = None  # whether more is better; None: neither
    of_set: bool = False
    plain: Callable[[Request], Request] | None = None  # the request whose picture each is compared with
    packages: tuple[str, ...] = ()  # beyond those of the pairs
    caution: str = (
        ""  # what readers of the number must know, such as what real pictures score; reports print it
    )


def batches(items: Sequence[T], size: int = BATCH) -> Iterator[list[T]]:
    """The items in lists of at most `size`; a sequence that loads what it gives is never held whole."""
    for start in range(0, len(items), size):
        yield [items[i] for i in range(start, min(start + size, len(items)))]
