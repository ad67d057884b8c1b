"""The pictures of a fine-tuning: those that are learned, those held out, and those that stand for the new domain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image

from mezzotint.data.pictures.folder import CACHE, Batch, PictureFolder
from mezzotint.data.pictures.listing import Packed
from mezzotint.data.pictures.survey import Wanted, reasons
from mezzotint.train.finetune.config import FinetuneConfig
from mezzotint.train.finetune.validation import REFERENCE, split
from mezzotint.train.image_tensors import to_images


@dataclass(frozen=True)
class FinetuneData:
    """One source in two parts that share no picture, unless there are too few to hold any out."""

    whole: PictureFolder
    learned: PictureFolder
    held: PictureFolder
    apart: bool
    """Whether the held-out pictures are not learned."""

    @classmethod
    def open(cls, config: FinetuneConfig, size: int, multiple: int, captions: bool) -> FinetuneData:
        """DataError names all that is wrong with the source or the size, before any work."""
        whole = PictureFolder.open(
            config.data, size, captions, multiple=multiple, background=config.background, workers=0
        )
        learned, held = split(len(whole), config.held, config.seed)
        return cls(whole, _part(whole, learned, 2), _part(whole, held, 0), len(learned) < len(whole))

    @property
    def size(self) -> int:
        """Pixels a side."""
        return self.whole.size

    def reference(self) -> list[Image.Image]:
        """At most 512 of all pictures, in an order of their own, as they are."""
        return [to_images(torch.from_numpy(one.pixels))[0] for one in self._first(REFERENCE)]

    def learned_pictures(self, count: int) -> list[Image.Image]:
        """At most so many of those that are learned, as they are."""
        some = range(min(count, len(self.learned)))
        return [to_images(torch.from_numpy(self.learned.batch(1, i, 1, hflip=False).pixels))[0] for i in some]

    def words(self, count: int) -> list[str]:
        """A caption of each of so many pictures, the same pictures as `reference` shows."""
        captions = [one.captions[0] for one in self._first(count)]
        return [captions[i % len(captions)] for i in range(count)]

    def _first(self, most: int) -> Iterator[Batch]:
        return (self.whole.batch(1, i, 1, hflip=False) for i in range(min(most, len(self.whole))))

    def facts(self) -> dict[str, object]:
        """Facts for the report."""
        found = self.whole.survey
        return {
            "pictures": len(self.whole),
            "learned": len(self.learned),
            "held_out": len(self.held) if self.apart else 0,
            "skipped": dict(reasons(found.skipped)),
            "digest": self.whole.digest,
            "described": found.caption_count,
        }


def _part(whole: PictureFolder, indices: Sequence[int], ahead: int) -> PictureFolder:
    """Some of the pictures, as a folder of their own."""
    found = whole.survey
    some = replace(
        found,
        pictures=found.pictures.only(indices),
        captions=Packed(found.captions[i] for i in indices),
        sides=found.sides[list(indices)],
    )
    wanted = Wanted(whole.size, background=whole.background)
    return PictureFolder(some, wanted, CACHE, 2, ahead)
