"""Where a run starts from a picture: the picture and its mask, at the size of the run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint import library
from mezzotint.errors import RequestError
from mezzotint.request import Request

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
