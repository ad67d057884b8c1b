"""How many rows are worth sending to a denoiser in one call."""

from __future__ import annotations

import os

from mezzotint.models.runtime import BUCKETS

# Latents in one call beyond which a row gets no cheaper: 32 rows of 16x16 on a CPU, 32 of 64x64 on a GPU.
_KNEE = {"cpu": 32 * 16 * 16, "cuda": 32 * 64 * 64}
# Arrays of the size of the widest level that live at once in a call, generously.
_LIVE_ARRAYS = 24


def most_rows(height: int, width: int, channels: int, device: str, device_bytes: int | None = None) -> int:
    """The most rows worth sending in one call at a latent size: a bucket, at least 2, within memory.

    `channels`: of the network's largest grid. `device_bytes` None: those of this machine.
    """
    row_bytes = height * width * channels * 4 * _LIVE_ARRAYS
    fit = (device_bytes or _memory()) // 4 // row_bytes
    worth = _KNEE.get(device.split(":")[0], _KNEE["cpu"]) // (height * width)
    return max(2, *(b for b in BUCKETS if b == 1 or b <= min(fit, worth)))


def _memory() -> int:
    """Bytes of memory in this machine; 8 GB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 8 << 30
