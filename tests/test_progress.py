"""Long work says how far it is: phase, step, rate and time left, once a minute where nobody watches."""

from __future__ import annotations

import pytest

from mezzotint import progress
from mezzotint.progress import ProgressReporter, duration


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("terminal", "pause"), [(True, 10), (False, 60)])
def test_progress_says_a_line_in_each_pause(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, pause: int
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: terminal, raising=False)
    lines: list[str] = []
    clock = Clock()
    counted = ProgressReporter(lines.append, 600, "pictures", "figure 15, guidance-scale", clock)
    for clock.now in range(1, 181):
        counted.step()
    assert len(lines) == 180 // pause
    assert (
        lines[0] == f"figure 15, guidance-scale: {pause} of 600 pictures, 1/s, {duration(600 - pause)} left"
    )


def test_a_slow_rate_is_said_by_the_minute() -> None:
    clock = Clock()
    counted = ProgressReporter(print, 10, clock=clock)
    counted.done = 1
    assert counted.line(30.0) == "1 of 10 pictures, 2/min, 4 min left"


def test_durations_are_in_the_unit_that_people_would_say() -> None:
    assert [duration(s) for s in (12, 300, 12_240)] == ["12 s", "5 min", "3.4 h"]
