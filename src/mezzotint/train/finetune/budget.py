"""How many samples a run draws to look at itself: at most a tenth of the run, where its settings do not say."""

from __future__ import annotations

from mezzotint.train.finetune.config import FinetuneConfig
from mezzotint.train.finetune.task import epoch_steps

SHARE = 0.1  # of the network calls of learning
MOST, LEAST = 64, 16  # samples an epoch from which KID is estimated; fewer tell nothing


def fit_to_run(config: FinetuneConfig, pictures: int, reads_text: bool) -> FinetuneConfig:
    """With `baseline` and `measured` decided, by counting calls: the same on every machine, and when a run goes on.

    `pictures`: how many are learned; `reads_text`: a sample then takes two calls a step.
    """
    sample = config.sample_steps * (2 if reads_text else 1)
    budget = SHARE * learning_calls(config, pictures)
    baseline = config.shown * sample <= budget if config.baseline is None else config.baseline
    if config.measured is not None:
        return config.model_copy(update={"baseline": baseline})
    budget -= config.shown * sample * baseline
    looks = config.epochs + 2  # what the model drew before, before the first step, and after each epoch
    fitting = int(budget // (sample * looks))
    measured = min(MOST, fitting) if fitting >= LEAST else 0
    return config.model_copy(update={"baseline": baseline, "measured": measured})


def learning_calls(config: FinetuneConfig, pictures: int) -> int:
    """Network calls that learning takes, in rows; the way back counts as two."""
    return 3 * config.epochs * epoch_steps(config, pictures) * config.batch * config.accumulate


def describe_budget(asked: FinetuneConfig, fitted: FinetuneConfig) -> str:
    """What is left out, in one line; "" where nothing is."""
    without = []
    if asked.baseline is None and not fitted.baseline:
        without.append(("samples before the first step", "--baseline"))
    if asked.measured is None and not fitted.measured:
        without.append(("KID", f"--measured {MOST}"))
    if without:
        what, options = " and ".join(name for name, _ in without), " ".join(option for _, option in without)
        return f"left out, as more than a tenth of the run: {what}; {options} asks for it"
    if asked.measured is None and (fitted.measured or 0) < MOST:
        return f"KID from {fitted.measured} samples an epoch, a tenth of the run; --measured {MOST} asks for more"
    return ""
