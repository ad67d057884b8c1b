"""How near pictures come to others: errors at the scales of a pyramid, and the peak signal to noise."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.nn import functional as F


def pyramid_errors(error: Tensor) -> Iterator[Tensor]:
    """The mean absolute error at a half, a quarter and an eighth of the size of (n, c, h, w)."""
    return (F.avg_pool2d(error, factor).abs().mean() for factor in (2, 4, 8))


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """(n,) peak signal to noise of pictures (n, c, h, w) in -1..1, dB."""
    return -10 * ((x - y) / 2).square().mean((1, 2, 3)).log10()
