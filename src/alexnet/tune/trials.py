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
LOSS_MOVERS = ("label_smoothing", "mixup", "cutmix", "class_weights", "balanced_sampling")
"""Options that change the targets or the class frequencies of the training. A network learns to be
as sure as these make it, so that they move the validation loss by themselves."""
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
    """The finished trials that did not diverge, by validation error; equal ones as in `ranked`."""

    def rank(trial: FrozenTrial) -> tuple[float, ...]:
        is_recipe, loss = bool(trial.user_attrs.get(RECIPE)), trial.user_attrs.get(LOSS)
        assert trial.value is not None
        return (trial.value, *_rank_of_equal(trial.number, is_recipe, loss, trial.params))

    return sorted((trial for trial in trials if state_of(trial) == "finished"), key=rank)


def _rank_of_equal(
    number: int, is_recipe: bool, loss: float | None, values: Iterable[str]
) -> tuple[float, ...]:
    """The place of a trial among those with the same error: see `ranked`."""
    if loss is None or set(LOSS_MOVERS) & set(values):
        loss = math.inf
    return (not is_recipe, loss, number)


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
    """The trials, best first: finished, then pruned, unfinished, diverged and failed ones.

    They are sorted by their validation errors. Of equal ones the recipe comes first, then the one
    with the lowest validation loss; the first one if an option is tuned that moves that loss by
    itself (`LOSS_MOVERS`).
    """
    order = ("finished", "pruned", "unfinished", "diverged", "failed")

    def rank(trial: TrialSummary) -> tuple[float, ...]:
        error = math.inf if trial.val_top1_error is None else trial.val_top1_error
        equal = _rank_of_equal(trial.number, trial.is_recipe, trial.val_loss, trial.values)
        return (order.index(trial.state), error, *equal)

    return sorted(trials, key=rank)


def winner_of(trials: Sequence[TrialSummary]) -> TrialSummary | None:
    """The finished trial with the lowest validation error; of equal ones the recipe, see `ranked`.

    None if no trial has finished.
    """
    return next((trial for trial in ranked(trials) if trial.state == "finished"), None)


def num_equal(winner: TrialSummary, trials: Iterable[TrialSummary]) -> int:
    """Number of the other finished trials that have the winner's validation error."""
    same = [t for t in trials if (t.state, t.val_top1_error) == ("finished", winner.val_top1_error)]
    return len(same) - 1


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
