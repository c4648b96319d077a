"""Write what a tuning has found: result.json, the winner's recipe, and plots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import optuna

from alexnet import plots
from alexnet.config.recipe import Recipe
from alexnet.config.recipe_changes import flag_text
from alexnet.config.serialization import json_document, to_json
from alexnet.errors import TrainingError
from alexnet.io.files import remove_file, write_text
from alexnet.plots.tuning import TrialLine, ValueAxis, importance_bars, parallel_coordinates
from alexnet.tune.confirmation import Confirmation
from alexnet.tune.folder import TuningFolder
from alexnet.tune.plan import Tuning
from alexnet.tune.space import Parameter, recipe_with
from alexnet.tune.trials import (
    Importances,
    TrialSummary,
    importances,
    summarize_trials,
    winner_of,
)

COORDINATES, IMPORTANCES = "parallel_coordinates.png", "importances.png"


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneResult:
    """The trials of a tuning, and its winner."""

    folder: str
    recipe: str
    """The name of the recipe that is tuned."""
    data: str
    images: dict[str, int]
    """Number of images in each split of the winner's training; trials do not read test images."""
    space: tuple[Parameter, ...]
    trials: tuple[TrialSummary, ...]
    winner: TrialSummary
    """The finished trial with the lowest validation error; the recipe itself if none is better."""
    command: str
    """The command that trains the winner."""
    config: str
    """The file of the winner's recipe, for `alexnet train --config`."""
    importances: dict[str, float]
    """How much each option matters for being among the best quarter of the trials, 0 to 1; the sum
    is 1; empty with too few trials."""
    importance_trials: int
    """Number of trials that the importances are computed from; 0 if there are too few."""
    importance_epochs: int
    """Number of epochs after which these trials were compared; the others ended before."""
    confirmation: Confirmation | None
    """The comparison on new seeds; null without one, such as when the winner is the recipe."""
    plots: tuple[str, ...]
    """The figures that were written."""


@dataclass(frozen=True)
class Findings:
    """The trials of a study and its winner, before it is confirmed."""

    trials: tuple[TrialSummary, ...]
    winner: TrialSummary
    importances: Importances


def find_winner(study: optuna.Study, tuning: Tuning, folder: TuningFolder) -> Findings:
    """Find the winner of the trials, and the importances of the options.

    Raises:
        TrainingError: no trial has finished; the message says how they ended.
    """
    trials = summarize_trials(study, tuning, folder)
    winner = winner_of(trials)
    if winner is None:
        raise TrainingError(_none_text(trials, tuning))
    return Findings(trials, winner, importances(study, tuning))


def _none_text(trials: Sequence[TrialSummary], tuning: Tuning) -> str:
    """The message if there is no winner: why, and what to do."""
    if trials and all(trial.state == "diverged" for trial in trials):
        lr = tuning.recipe.optimizer.lr
        return (
            f"all {len(trials)} trials diverged; try a lower --lr than {lr:g}, or a --space with "
            "lower learning rates, and another --out"
        )
    if trials and all(trial.state != "unfinished" for trial in trials):
        states = Counter(trial.state for trial in trials)
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        reason = next((f"; the first because of: {t.reason}" for t in trials if t.reason), "")
        return (
            f"no trial has finished ({counts}{reason}); solve that and repeat the command with "
            "more --trials, or begin a new tuning with another --out"
        )
    first = next((trial for trial in trials if trial.is_recipe), None)
    epochs = first.epochs if first else 0
    return (
        f"no trial has finished: the first one has {epochs} of {tuning.recipe.epochs} epochs; the "
        "same command continues; give it more --minutes, or a new tuning fewer --epochs"
    )


def winner_recipe(tuning: Tuning, winner: TrialSummary) -> Recipe:
    """The recipe of the winner, with the test images."""
    return recipe_with(tuning.final, winner.changed)


def write_findings(tuning: Tuning, folder: TuningFolder, found: Findings) -> tuple[str, ...]:
    """Write the winner's recipe and the plots; returns the paths of the plots."""
    write_text(folder.winner, to_json(winner_recipe(tuning, found.winner)) + "\n")
    parts = (tuning.recipe.name, f"{len(found.trials)} trials")
    path = folder.plots / COORDINATES
    lines = [_line(trial, tuning, found.winner) for trial in found.trials]
    axes = [_axis(parameter) for parameter in tuning.space]
    plots.save(parallel_coordinates(axes, lines, plots.run_title("Tuning", parts)), path)
    written = [path]
    path = folder.plots / IMPORTANCES
    if values := found.importances.values:
        named = {Parameter(option=o).flag: value for o, value in values.items()}
        plots.save(importance_bars(named, plots.run_title("What matters", parts)), path)
        written.append(path)
    else:
        for old in (path, path.with_suffix(".svg")):
            remove_file(old)
    return tuple(map(str, written))


def _axis(parameter: Parameter) -> ValueAxis:
    if parameter.choices:
        names = tuple(flag_text(choice) for choice in parameter.choices)
        return ValueAxis(name=parameter.flag, low=0, high=len(names) - 1, choices=names)
    assert parameter.low is not None
    assert parameter.high is not None
    return ValueAxis(name=parameter.flag, low=parameter.low, high=parameter.high, log=parameter.log)


def _line(trial: TrialSummary, tuning: Tuning, winner: TrialSummary) -> TrialLine:
    """The line of a trial in the figure; values outside the space are moved to its nearest ones."""
    values = [_place(parameter, trial.values[parameter.option]) for parameter in tuning.space]
    mark = "recipe" if trial.is_recipe else ""
    return TrialLine(
        values=tuple(values),
        error=trial.val_top1_error if trial.state == "finished" else None,
        mark="winner" if trial.number == winner.number else mark,
    )


def _place(parameter: Parameter, value: object) -> float:
    code = parameter.nearest(value)
    return float(parameter.codes.index(code) if parameter.choices else code)


def write_result(
    tuning: Tuning,
    folder: TuningFolder,
    found: Findings,
    *,
    command: str,
    confirmation: Confirmation | None,
    figures: tuple[str, ...],
) -> TuneResult:
    """Write the result of a tuning to result.json, and return it.

    Args:
        tuning: the tuning.
        folder: its folder.
        found: the trials and the winner.
        command: the command that trains the winner.
        confirmation: the comparison on new seeds; None if there was none.
        figures: the paths of the plots.
    """
    result = TuneResult(
        folder=str(folder.path),
        recipe=tuning.recipe.name,
        data=tuning.recipe.data,
        images=dict(tuning.images),
        space=tuning.space,
        trials=found.trials,
        winner=found.winner,
        command=command,
        config=str(folder.winner),
        importances=found.importances.values,
        importance_trials=found.importances.trials,
        importance_epochs=found.importances.epochs,
        confirmation=confirmation,
        plots=figures,
    )
    write_text(folder.result, json_document(result) + "\n")
    return result
