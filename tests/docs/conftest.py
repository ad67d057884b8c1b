"""A page opens the same model with each of its commands: here it is opened, and its graphs are loaded, once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from mezzotint import models


@pytest.fixture(scope="module", autouse=True)
def _open_each_model_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "open_model", cache(models.open_model))
        yield
