"""Where there is no terminal a training says a line a minute: phase, step, rate and time left."""

from __future__ import annotations

import pytest

from mezzotint.train.loop.progress_line import ProgressLine


class Seconds:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(capsys: pytest.CaptureFixture[str], step: int, epoch: int, shown: bool = True) -> list[str]:
    """What a training says that goes on from `step` to 300, two seconds a step."""
    clock = Seconds()
    line = ProgressLine(step, 300, epoch, shown, clock)
    for done in range(step + 1, 301):
        clock.now += 2.0
        line.update(done, {"loss": 0.25} if done % 10 == 0 else None)
    line.close()
    return capsys.readouterr().err.splitlines()


def test_line_says_phase_step_rate_and_time_left_once_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    said = lines(capsys, 0, 100)
    assert len(said) == 10
    assert said[0] == "training, epoch 0.30, loss 0.25: 30 of 300 steps, 30/min, 9 min left"


def test_line_takes_the_rate_of_this_start_alone(capsys: pytest.CaptureFixture[str]) -> None:
    said = lines(capsys, 240, 0)
    assert said == [
        "training, loss 0.25: 270 of 300 steps, 30/min, 60 s left",
        "training, loss 0.25: 300 of 300 steps, 30/min, 0 s left",
    ]


def test_line_is_silent_in_processes_that_are_not_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(capsys, 0, 0, shown=False) == []


def test_line_says_what_a_look_is_of(capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine(0, 300, 100)
    for step in (0, 100, 150):
        line.look(step)
    assert capsys.readouterr().err.splitlines() == [
        "training: samples and measures before the first step",
        "training: samples and measures after epoch 1",
        "training: samples and measures at step 150",
    ]
