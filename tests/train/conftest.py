"""Small sheets and one teacher: most of the time of a short training is spent on them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from mezzotint.train import diffusion, text_tower, vae


@pytest.fixture(scope="module", autouse=True)
def _short_training() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diffusion, "PROMPTS", diffusion.PROMPTS[:4])
        patch.setattr(diffusion, "TIMES", diffusion.TIMES[::2])
        patch.setattr(text_tower, "FIXED", 16)
        patch.setattr(text_tower, "Teacher", cache(text_tower.Teacher))
        patch.setattr(vae, "FIXED", 16)
        yield
