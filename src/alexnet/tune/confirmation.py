"""Compare the winner with the recipe on new seeds and the test images, which trials do not use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from alexnet.errors import DataError
from alexnet.evaluation.intervals import ConfidenceInterval
from alexnet.evaluation.seeds_and_images import bayesian_bootstrap, t_interval
from alexnet.evaluation.summary import EvaluationSummary
from alexnet.reporter import NullReporter, ProgressCallback, ignore_progress
from alexnet.reports.predictions import read_predictions
from alexnet.reports.stored_run import read_json
from alexnet.runtime.signals import StopRequest, TrainingInterrupted
from alexnet.runtime.workers import Workers
from alexnet.training.run_folder import RunFolder, has_diverged, has_ended
from alexnet.tune.plan import Tuning
from alexnet.tune.space import recipe_with
from alexnet.tune.tasks import ConfirmTask, carry_out
from alexnet.tune.trials import TrialSummary
from alexnet.tune.tuner import POLL_SECONDS, Session, quiet


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmation:
    """Trainings of the winner and of the recipe, in pairs with the same seed. Errors are 0 to 1."""

    split: Literal["test", "val"]
    """The evaluated split; val, on which the winner was chosen, if there are no test images."""
    num_images: int
    seeds: tuple[int, ...]
    recipe_errors: tuple[float, ...]
    """Errors of the recipe, by seed; 1 if a training diverged."""
    winner_errors: tuple[float, ...]
    difference: float
    """Mean of the winner minus mean of the recipe; below 0 if the winner is better."""
    interval: ConfidenceInterval | None
    """The 95 % interval of the difference, over seeds and images (over seeds alone if there are
    more images than kept predictions); null with a single seed."""


@dataclass(frozen=True)
class _Outcome:
    """The errors of a training on the evaluated images."""

    error: float
    """Top-1 error on all images, 0 to 1."""
    num_images: int
    indices: np.ndarray
    """Indices of the images whose predictions are kept, int64 [K]: all, or the highest losses."""
    wrong: np.ndarray
    """1 for a wrong prediction of these, 0 for a right one, float64 [K]."""

    @property
    def is_whole(self) -> bool:
        """Whether the prediction of every image is kept."""
        return len(self.indices) == self.num_images

    def is_of(self, other: _Outcome) -> bool:
        """Whether both are of the same images, as far as is known."""
        if not (self.is_whole and other.is_whole):
            return self.num_images == other.num_images
        return np.array_equal(self.indices, other.indices)


def confirm_seeds(tuning: Tuning, count: int) -> tuple[int, ...]:
    """Seeds that no trial has: those that follow the recipe's."""
    return tuple(tuning.recipe.seed + 1 + i for i in range(count))


def confirm_tasks(
    session: Session, winner: TrialSummary, seeds: Sequence[int]
) -> list[ConfirmTask]:
    """The trainings: for every seed the recipe, then the winner."""
    final = session.tuning.final
    return [
        ConfirmTask(
            path=session.folder.confirming(name, seed).path,
            recipe=replace(recipe_with(final, changes), seed=seed),
        )
        for seed in seeds
        for name, changes in arms(winner).items()
    ]


def arms(winner: TrialSummary) -> Mapping[str, Mapping[str, Any]]:
    """The changed options of the recipe (none) and the winner, by the names of the run folders."""
    return {"recipe": {}, f"trial-{winner.number:03d}": winner.changed}


def confirm(
    session: Session,
    winner: TrialSummary,
    count: int,
    on_progress: ProgressCallback = ignore_progress,
) -> Confirmation | None:
    """Train winner and recipe with new seeds, and compare their errors in pairs.

    Args:
        session: a session whose trials have ended.
        winner: a trial other than the recipe itself.
        count: number of seeds.
        on_progress: called with (trainings that have ended, trainings in all).

    Returns:
        The comparison; None if another process confirms in this folder now.

    Raises:
        AlexNetError: a training failed.
        TrainingInterrupted: SIGINT or SIGTERM came; checkpoints are saved.
    """
    seeds = confirm_seeds(session.tuning, count)
    tasks = confirm_tasks(session, winner, seeds)
    lock = session.folder.claim_confirmation()
    if lock is None:
        return None
    try:
        missing = [task for task in tasks if not has_ended(RunFolder(task.path))]
        before = len(tasks) - len(missing)
        _train(session, missing, lambda done: on_progress(before + done, len(tasks)))
        return compare(session, winner, seeds)
    finally:
        lock.release()


def _train(session: Session, tasks: Sequence[ConfirmTask], on_done: Callable[[int], None]) -> None:
    on_done(0)
    if session.jobs == 1:
        for done, task in enumerate(tasks, 1):
            carry_out(task, NullReporter())
            on_done(done)
        return
    stop, waiting, done = StopRequest(), list(tasks), 0
    with stop.listening(), Workers(session.jobs, carry_out) as workers:
        while (waiting or workers.num_free < session.jobs) and not stop.signal_number:
            while waiting and workers.num_free:
                workers.begin(waiting.pop(0), quiet())
            for _ in workers.finished(POLL_SECONDS):
                on_done(done := done + 1)
    if stop.signal_number:
        raise TrainingInterrupted("interrupted; the trainings are saved", stop.signal_number)


def compare(session: Session, winner: TrialSummary, seeds: Sequence[int]) -> Confirmation:
    """Compare the errors of the trainings, all of which have ended.

    Raises:
        DataError: all trainings diverged, their evaluations are of different images, or damaged.
    """
    own, other = (
        [session.folder.confirming(name, seed) for seed in seeds] for name in arms(winner)
    )
    outcomes = {run.path: _outcome(run) for run in (*own, *other)}
    known = next((one for one in outcomes.values() if one is not None), None)
    if known is None:
        raise DataError("all trainings that confirm have diverged; there is nothing to compare")
    if any(one and not one.is_of(known) for one in outcomes.values()):
        raise DataError("the trainings that confirm were evaluated on different images")
    before = [_or_all_wrong(outcomes[run.path], known) for run in own]
    after = [_or_all_wrong(outcomes[run.path], known) for run in other]
    effects = [b.error - a.error for a, b in zip(before, after, strict=True)]
    return Confirmation(
        split="test" if session.tuning.images.get("test") else "val",
        num_images=known.num_images,
        seeds=tuple(seeds),
        recipe_errors=tuple(one.error for one in before),
        winner_errors=tuple(one.error for one in after),
        difference=float(np.mean(effects)),
        interval=_interval(effects, before, after) if len(seeds) > 1 else None,
    )


def _interval(
    effects: Sequence[float], before: Sequence[_Outcome], after: Sequence[_Outcome]
) -> ConfidenceInterval:
    """The 95 % t interval over the seeds, with a Bayesian bootstrap over images if all are kept."""
    noise = np.zeros(1)
    if all(one.is_whole for one in (*before, *after)):
        values = [b.wrong - a.wrong for a, b in zip(before, after, strict=True)]
        means = bayesian_bootstrap(values, [one.indices for one in before])
        noise = means.mean(0) - float(np.mean(effects))
    low, high = t_interval(effects, noise)
    return ConfidenceInterval(low=low, high=high)


def _or_all_wrong(outcome: _Outcome | None, known: _Outcome) -> _Outcome:
    """The outcome; every image counts as wrong if the training diverged (None)."""
    return outcome or replace(known, error=1.0, wrong=np.ones(len(known.indices)))


def _outcome(run: RunFolder) -> _Outcome | None:
    """Read the outcome of a run that has ended; None if it has diverged.

    Raises:
        DataError: the files of its evaluation are damaged.
    """
    if has_diverged(run):
        return None
    try:
        evaluation = read_json(run.evaluation / "evaluation.json", EvaluationSummary)
        found = read_predictions(run.evaluation / "top_losses.csv", evaluation)
    except (DataError, OSError, ValueError) as error:
        raise DataError(
            f"{run.evaluation} is damaged; remove {run.path} to train it again"
        ) from error
    rows = sorted((one.index, not one.is_correct) for one in found)
    indices, wrong = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    return _Outcome(evaluation.top1_error, evaluation.num_images, indices, wrong.astype(np.float64))
