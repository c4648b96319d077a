"""Summaries of the trials of a study, the winner, and the importances of the options."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from alexnet.tune.folder import TuningFolder
from alexnet.tune.plan import Tuning
from alexnet.tune.space import own_values
from alexnet.tune.study import OWNER, RECIPE, trial_values
from alexnet.tune.tasks import DIVERGED, LOSS, REASON, SECONDS

TrialStateName: TypeAlias = Literal["finished", "pruned", "diverged", "failed", "unfinished"]
MIN_FOR_IMPORTANCES = 8
"""Minimum number of trials for importances; the best quarter of fewer may be best by chance."""
TARGET_QUANTILE = 0.25
"""Importances are those for being among this fraction of the trials, the best ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialSummary:
    """A trial: its values, and how it ended."""

    number: int
    """The trial's number in the study, counted from 0."""
    state: TrialStateName
    """pruned: ended since others were better after as many epochs; unfinished: it runs in another
    process, or was stopped and is continued by the same command."""
    is_recipe: bool
    """Whether the trial is the recipe itself."""
    values: dict[str, Any]
    """Values of the tuned options, by option."""
    changed: dict[str, Any]
    """The values that differ from the recipe's own, by option."""
    val_top1_error: float | None
    """The lowest validation error so far, 0 to 1; null before the first epoch or if it diverged."""
    val_loss: float | None
    """Validation loss of that epoch; null if the trial has not ended."""
    epochs: int
    """Number of finished epochs."""
    seconds: float | None
    """Seconds of its training; null if the trial has not ended."""
    path: str | None
    """The run folder; null if it is in another tuning folder that shares the study."""
    reason: str
    """Why it failed or diverged; "" otherwise."""


def best_first(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """The finished trials that did not diverge, sorted by validation error, then by loss."""
    finished = [trial for trial in trials if state_of(trial) == "finished"]
    return sorted(finished, key=lambda trial: (trial.value, _loss(trial), trial.number))


def _loss(trial: FrozenTrial) -> float:
    """The validation loss of a trial's best epoch; infinite if it is not known."""
    loss = trial.user_attrs.get(LOSS)
    return math.inf if loss is None else float(loss)


def state_of(trial: FrozenTrial) -> TrialStateName:
    """The state of a trial: how it ended, or "unfinished"."""
    match trial.state:
        case TrialState.COMPLETE:
            return "diverged" if trial.user_attrs.get(DIVERGED) else "finished"
        case TrialState.PRUNED:
            return "pruned"
        case TrialState.FAIL:
            return "failed"
    return "unfinished"


def summarize_trials(
    study: optuna.Study, tuning: Tuning, folder: TuningFolder
) -> tuple[TrialSummary, ...]:
    """Summaries of all trials that have begun, in the order of their numbers."""
    trials = study.get_trials(deepcopy=False)
    own = own_values(tuning.recipe, tuning.space)
    return tuple(
        _summary(trial, tuning, folder, own)
        for trial in trials
        if trial.params.keys() >= own.keys()
    )


def _summary(
    trial: FrozenTrial, tuning: Tuning, folder: TuningFolder, own: Mapping[str, Any]
) -> TrialSummary:
    attributes, reported = trial.user_attrs, trial.intermediate_values
    values = dict(trial_values(trial, tuning))
    state = state_of(trial)
    is_here = attributes.get(OWNER) == folder.number
    return TrialSummary(
        number=trial.number,
        state=state,
        is_recipe=bool(attributes.get(RECIPE)),
        values=values,
        changed={name: value for name, value in values.items() if value != own[name]},
        val_top1_error=min(reported.values()) if reported and state != "diverged" else None,
        val_loss=attributes.get(LOSS),
        epochs=max(reported, default=0),
        seconds=attributes.get(SECONDS),
        path=str(folder.trial(trial.number).path) if is_here else None,
        reason=attributes.get(REASON, ""),
    )


def ranked(trials: Sequence[TrialSummary]) -> list[TrialSummary]:
    """The trials, best first: finished, then pruned, unfinished, diverged and failed ones."""
    order = ("finished", "pruned", "unfinished", "diverged", "failed")

    def rank(trial: TrialSummary) -> tuple[float, ...]:
        error = math.inf if trial.val_top1_error is None else trial.val_top1_error
        loss = math.inf if trial.val_loss is None else trial.val_loss
        return (order.index(trial.state), error, loss, trial.number)

    return sorted(trials, key=rank)


def winner_of(trials: Sequence[TrialSummary]) -> TrialSummary | None:
    """The finished trial with the lowest validation error (if equal, the lowest loss).

    None if no trial has finished.
    """
    return next((trial for trial in ranked(trials) if trial.state == "finished"), None)


@dataclass(frozen=True)
class Importances:
    """How much each option matters, and what that is computed from."""

    values: dict[str, float]
    """Importances by option, with sum 1; empty with too few trials or if all errors are equal."""
    trials: int = 0
    """Number of trials that were compared."""
    epochs: int = 0
    """Number of epochs after which they were compared."""


def importances(study: optuna.Study, tuning: Tuning) -> Importances:
    """How much each option matters for being among the best quarter.

    Most trials are ended early, so their lowest errors are compared after equally many epochs: the
    most that at least half of the trials have.

    Source: PED-ANOVA (Watanabe, Bansal and Hutter 2023), by Optuna.
    """
    options = [parameter.option for parameter in tuning.space]
    known = [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.intermediate_values and state_of(trial) in ("finished", "pruned")
        if trial.params.keys() >= set(options)
    ]
    if len(known) < MIN_FOR_IMPORTANCES:
        return Importances({})
    reached = sorted((max(trial.intermediate_values) for trial in known), reverse=True)
    epochs = reached[max(MIN_FOR_IMPORTANCES, (len(known) + 1) // 2) - 1]
    compared = optuna.create_study(direction="minimize")
    for trial in known:
        if max(trial.intermediate_values) >= epochs:
            errors = (e for epoch, e in trial.intermediate_values.items() if epoch <= epochs)
            same = optuna.trial.create_trial(
                params=trial.params, distributions=trial.distributions, value=min(errors)
            )
            compared.add_trial(same)
    if len({trial.value for trial in compared.trials}) == 1:
        return Importances({})
    evaluator = PedAnovaImportanceEvaluator(target_quantile=TARGET_QUANTILE)
    found = get_param_importances(compared, evaluator=evaluator, params=options)
    values = {name: float(value) for name, value in found.items() if math.isfinite(value)}
    return Importances(values, len(compared.trials), epochs)
