"""Experiments that test claims of the paper and of the tutorial, each with a verdict.

experiment       what an experiment is: claim, arms, comparisons, protocols
base_recipes     recipes and sizes that several experiments share
claims/          the experiments themselves, one module per claim
catalogue        all of them by name
design           what a result depends on, its digest and differences
plan             which runs an experiment needs at one size, and their estimated cost
cost             what the runs cost, from measured speeds
speeds           training speeds of this machine, kept in the cache; calibration measures them
power            how many seeds an experiment needs
kept_results     the results in `measured/`, of which the page is made
run              does the runs: tunes, trains, evaluates, resumes
tuning           the search for a learning rate
task             one training with its evaluation
schedule         the order in which tasks begin
workers          tasks in several processes at once
initial_weights  weights that arms start from: torchvision's or pretrained
measure          from a finished run to its outcome
outcome          the measured value of one run
intervals        confidence intervals and verdicts
results          the result of an experiment: `result.json`
report, plots    its page and its figure
html             a result in a notebook
summary_page     the page of all claims: `docs/claims.md`
formatting       numbers and settings as text
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.experiments.catalogue import EXPERIMENTS
    from alexnet.experiments.experiment import Experiment
    from alexnet.experiments.kept_results import kept_result
    from alexnet.experiments.results import ExperimentResult
    from alexnet.experiments.run import run_experiment

__all__ = ["EXPERIMENTS", "Experiment", "ExperimentResult", "kept_result", "run_experiment"]
__getattr__, __dir__ = attach(
    __name__,
    {
        "EXPERIMENTS": "catalogue",
        "Experiment": "experiment",
        "ExperimentResult": "results",
        "kept_result": "kept_results",
        "run_experiment": "run",
    },
)
