"""Estimate the time of a tuning, and list its first trials, before it runs."""

from __future__ import annotations

from typing import Any

from alexnet.reporter import NullReporter
from alexnet.training.dry_run import plan_run
from alexnet.tune.plan import Tuning
from alexnet.tune.study import ask, open_study, trial_values


def seconds_of_training(tuning: Tuning) -> float:
    """The estimated seconds of a whole training with all threads, from a few timed steps."""
    return plan_run(tuning.recipe, NullReporter()).total_seconds


def first_trials(tuning: Tuning, count: int) -> list[dict[str, Any]]:
    """The values of the first trials: the recipe's own, then random ones."""
    study = open_study("", tuning)
    return [dict(trial_values(ask(study, tuning, ""), tuning)) for _ in range(count)]
