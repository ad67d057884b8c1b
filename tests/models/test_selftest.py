"""bfloat16 is taken where it is near and faster, and the answer is remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mezzotint.models import open_model, opening, selftest
from mezzotint.models.selftest import TOLERANCE, SelfTestResult, compare
from mezzotint.schedule import Schedule

pytestmark = pytest.mark.processor

SCHEDULE = Schedule.from_config({"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012})


class Clock:
    """Stands for the `time` module: it moves when a toy says so."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


CLOCK = Clock()


@pytest.fixture(autouse=True)
def clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.name != "test_auto_opens":
        monkeypatch.setattr(selftest, "time", CLOCK)


class Toy:
    """Predicts the noise of pictures that are all `text`, with an error of its own, after some time."""

    name = "toy"

    def __init__(self, error: float = 0.0, seconds: float = 1.0) -> None:
        self.dtype, self._error, self._seconds = "float32", error, seconds

    def denoise(self, x: np.ndarray, t: np.ndarray, text: np.ndarray) -> np.ndarray:
        CLOCK.now += self._seconds
        signal = SCHEDULE.alphas_cumprod[t.astype(int)].reshape(-1, 1, 1, 1)
        x0 = text.mean(axis=(1, 2)).reshape(-1, 1, 1, 1)
        eps = (x - signal**0.5 * x0) / (1 - signal) ** 0.5
        return (eps * (1 + self._error * np.cos(np.arange(x[0].size)).reshape(x[0].shape))).astype(np.float32)

    def decode(self, latents: np.ndarray) -> np.ndarray:
        return latents.transpose(0, 2, 3, 1)

    def prepare(self, rows: int, height: int, width: int) -> None: ...

    def encode(self, tokens: np.ndarray) -> np.ndarray:
        return np.full((1, 77, 4), 0.1 * tokens.mean(), np.float32)


def _verdict(half: Toy) -> SelfTestResult:
    text = np.full((77, 4), 0.05, np.float32)
    return compare(Toy(seconds=2.0), half, SCHEDULE, (4, 8, 8), text, 0 * text)  # type: ignore[arg-type]


def test_the_same_but_faster_is_taken() -> None:
    verdict = _verdict(Toy())
    assert verdict.levels == 0 and verdict.accepts_bfloat16


def test_no_faster_is_not() -> None:
    assert not _verdict(Toy(seconds=2.0)).accepts_bfloat16


def test_far_off_is_not() -> None:
    verdict = _verdict(Toy(error=0.2))
    assert verdict.levels > TOLERANCE and not verdict.accepts_bfloat16


def test_nan_is_not() -> None:
    assert not _verdict(Toy(error=np.nan)).accepts_bfloat16


def test_a_small_error_is_taken() -> None:
    verdict = _verdict(Toy(error=0.001))
    assert 0 < verdict.levels < TOLERANCE and verdict.accepts_bfloat16


@pytest.mark.parametrize("half, wanted", [(Toy(), "bfloat16"), (Toy(error=0.5), "float32")])
def test_remembered(smallest: Any, tmp_path: Path, half: Toy, wanted: str) -> None:
    from mezzotint.models.disk.bundle import read_folder

    half.dtype = "bfloat16"
    bundle = read_folder(smallest.folder, "smallest", tmp_path)
    made: list[str] = []

    def make(dtype: Any) -> Any:
        made.append(dtype)
        return half if dtype == "bfloat16" else Toy(seconds=2.0)

    chosen = opening._choose_by_self_test(make, bundle, SCHEDULE, tmp_path, ["machine"])
    assert chosen.dtype == wanted and sorted(made) == ["bfloat16", "float32"]
    assert opening._choose_by_self_test(make, bundle, SCHEDULE, tmp_path, ["machine"]).dtype == wanted
    assert made[2:] == [wanted]
    opening._choose_by_self_test(make, bundle, SCHEDULE, tmp_path, ["another machine"])
    assert len(made) == 5


def test_auto_opens(smallest: Any, cache: Path) -> None:
    model = open_model(smallest.folder, runtime="openvino", cache=cache)
    assert model.dtype in ("float32", "bfloat16")
    assert open_model(smallest.folder, runtime="openvino", cache=cache).dtype == model.dtype
