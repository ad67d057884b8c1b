"""A metric: a name, what it needs, and a function of pictures; and what metrics share: pairs, features, the reference."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from mezzotint.data.pictures.folder import PictureFolder
from mezzotint.errors import ConfigError, DataError, ModelError
from mezzotint.extras import install
from mezzotint.guidance.steer import Clip, Color
from mezzotint.models.image_text import ImageText
from mezzotint.picture import Picture
from mezzotint.request import Request

if TYPE_CHECKING:
    from mezzotint.models.style_probe import StyleProbe

Floats = NDArray[np.float32]
Pair = Literal["clip", "judge"]
_ORDER = 1  # of the reference: the same pictures stand for it every time
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


@dataclass(frozen=True)
class MetricSettings:
    """What a study says to its metrics; empty fields are taken from each request."""

    reference: str = ""  # a folder of pictures, or a dataset `owner/name` of the hub
    text: str = ""  # what CLIP scores compare with; "": the prompt, or without one the text of a clip term
    color: str = ""  # what color distances compare with, "#rrggbb"; "": the color term
    clip: str = "clip"  # the pair that guides, and the one that only judges: a name, folder or hub id
    judge: str = "judge"
    most: int = 2048  # pictures of the reference that are used

    def __post_init__(self) -> None:
        if self.most < 2:
            raise ConfigError(f"a distance needs two pictures of the reference; most is {self.most}")
        try:
            ImageColor.getrgb(self.color or "black")
        except ValueError:
            raise ConfigError(f"color {self.color!r} cannot be read; write it as '#19e680'") from None


class Reference(NamedTuple):
    """Features (m, d) of unit length, and where they come from."""

    features: Floats
    source: str
    resize: str


class Context:
    """Opened once for a study; `plain` gives the picture of another request, for metrics that compare with it.

    Features are kept by the digest of the pixels: 512 bytes a picture and pair.
    """

    def __init__(
        self, settings: MetricSettings | None = None, plain: Callable[[Request], Picture] | None = None
    ):
        self.settings, self._plain = settings or MetricSettings(), plain
        self._pairs: dict[Pair, ImageText] = {}
        self._kept: dict[tuple[Pair, str], Floats] = {}
        self._references: dict[tuple[Pair, int], Reference] = {}

    def pair(self, which: Pair) -> ImageText:
        """Opened at first use. ModelError where it is missing or torch is."""
        if which not in self._pairs:
            self._pairs[which] = ImageText.open(getattr(self.settings, which))
        return self._pairs[which]

    def features(self, pictures: Sequence[Picture], which: Pair) -> Floats:
        """(n, d) of unit length; each picture is looked at once."""
        rows: list[Floats] = []
        for part in batches(pictures):
            digests = [picture.digest for picture in part]
            new = {d: p.image for d, p in zip(digests, part, strict=True) if (which, d) not in self._kept}
            if new:
                found = self.pair(which).embed_images(list(new.values()))
                self._kept.update({(which, d): row for d, row in zip(new, found, strict=True)})
            rows.extend(self._kept[which, digest] for digest in digests)
        return np.stack(rows) if rows else np.zeros((0, 1), np.float32)

    def extractor(self, which: Pair) -> str:
        """The pair by name and digest, as it is written beside a number."""
        return f"{getattr(self.settings, which)} {self.pair(which).digest[:12]}"

    def resize(self, which: Pair) -> str:
        """How a picture becomes what the pair reads."""
        return f"whole to {self.pair(which).size}x{self.pair(which).size}, box filter"

    def plain(self, request: Request) -> Image.Image:
        """The picture of a request that was drawn for comparison. DataError where none was."""
        if self._plain is None:
            raise DataError("pictures to compare with were not drawn; give them to the Context as `plain`")
        return self._plain(request).image

    @cached_property
    def probe(self) -> StyleProbe:
        """What tells styles apart. ModelError where it is missing or torch is."""
        try:
            from mezzotint.models.style_probe import StyleProbe
        except ImportError:
            raise ModelError(f"the style probe runs on torch; {install('torch')}") from None
        return StyleProbe.open()

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The objects that the judge knows. ModelError where it has none."""
        path = self.pair("judge").path / "objects.json"
        try:
            found = json.loads(path.read_text())
            return {"objects": found["objects"]}
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"{path.parent} cannot name objects: its objects.json is missing or damaged"
            ) from error

    def open_reference(self, size: int = 64) -> PictureFolder:
        """The pictures of the reference, looked through by their headers. DataError says what is wrong."""
        source = self.settings.reference
        if not source:
            raise DataError("no reference is given; name a folder of pictures or a dataset as `reference`")
        return PictureFolder.open(source, size, workers=0, min_side=1)

    def reference(self, which: Pair, side: int) -> Reference:
        """Of at most `most` pictures, each cut to its middle square of `side` pixels first, as generated ones have."""
        if (which, side) not in self._references:
            folder = self.open_reference(side)
            count = min(self.settings.most, len(folder))
            shown = [
                self._embed(folder, start, min(BATCH, count - start), which)
                for start in range(0, count, BATCH)
            ]
            said = f"{self.settings.reference} {folder.digest[:12]}"
            resize = f"middle square to {side}x{side}, Lanczos; {self.resize(which)}"
            self._references[which, side] = Reference(np.concatenate(shown), said, resize)
        return self._references[which, side]

    def _embed(self, folder: PictureFolder, start: int, count: int, which: Pair) -> Floats:
        pixels = [
            folder.visit(_ORDER, i, lambda visit: folder.picture(visit.index))[1]
            for i in range(start, start + count)
        ]
        return self.pair(which).embed_images([Image.fromarray(one) for one in pixels])

    def wanted_text(self, request: Request) -> str:
        """What the picture should show, in words; "" where nobody said."""
        if text := self.settings.text or request.prompt:
            return text
        return next((term.text for term in request.terms.steers if isinstance(term, Clip)), "")

    def wanted_color(self, request: Request) -> str:
        """The color that the picture should have, "#rrggbb"; "" where nobody said."""
        if self.settings.color:
            return self.settings.color
        return next((term.color for term in request.terms.steers if isinstance(term, Color)), "")
