"""Training: one loop that reads as the algorithm, and what it needs to be stopped and to go on.

Everything random is a function of (seed, step), so a run that was stopped and resumed ends in the
same bits.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet.checkpoints.model_file import load_model
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_dict
from alexnet.errors import TrainingError, UsageError
from alexnet.evaluation.results import Evaluation
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import NullReporter, Reporter
from alexnet.runtime.environment import Environment, describe_environment
from alexnet.runtime.signals import StopRequest, TrainingInterrupted
from alexnet.training.checkpointing import (
    CheckpointManager,
    best_scores,
    latest_checkpoint,
    restore,
    save_current,
    save_last,
)
from alexnet.training.epoch import (
    judged,
)
from alexnet.training.loop import fit
from alexnet.training.results import write_results
from alexnet.training.run_folder import RunFolder, create_numbered_run, create_run, read_run_recipe
from alexnet.training.setup import TrainingSetup, resolve_paths, set_up_training
from alexnet.training.state import TrainState

BITS = ("alexnet", "torch", "processor", "threads", "kernels", "device")
"""What of the environment decides the bits of a result."""


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run."""

    folder: RunFolder
    history: tuple[EpochRecord, ...]
    times: tuple[EpochTimes, ...]
    evaluation: Evaluation | None
    """Of the final model on the test split; None when there are no test pictures."""


def train(recipe: Recipe, *, out: str | Path = "", reporter: Reporter | None = None) -> Run:
    """Train as a recipe says, into a new run folder.

    Args:
        recipe: what to do; `alexnet.preset(name)` gives the ones that ship.
        out: the run folder; `runs/<preset>-<number>` unless given.
        reporter: told what happens.

    Raises:
        AlexNetError: the recipe, the data or the weights cannot work, or the loss is not finite.
        Stopped: SIGINT or SIGTERM came; the state is saved.
    """
    reporter = reporter or NullReporter()
    recipe = resolve_paths(recipe)
    if out and Path(out).exists():
        is_run = RunFolder(Path(out)).config.exists()
        resume_command = f", or go on with it by --resume {out}" if is_run else ""
        raise UsageError(f"{out} exists; choose another --out{resume_command}")
    job = set_up_training(recipe, reporter)
    environment = describe_environment(job.device)
    folder = (
        create_run(Path(out), recipe, environment)
        if out
        else create_numbered_run(Path("runs"), recipe, environment)
    )
    with folder.locked():
        return _run(job, TrainState(), folder, reporter)


def resume(path: str | Path, *, reporter: Reporter | None = None) -> Run:
    """Go on with a stopped run; it ends in the same bits as one that was never stopped.

    Raises:
        ModelFileError: not a run folder, or a damaged one.
        TrainingError: the run has ended already, or another process trains it.
        Stopped: SIGINT or SIGTERM came; the state is saved.
    """
    reporter = reporter or NullReporter()
    folder = RunFolder(Path(path))
    recipe = read_run_recipe(folder)
    with folder.locked():
        if folder.result.exists():
            folder.clear_states()
            raise TrainingError(f"{path} has ended already; its model is {folder.model}")
        job, progress = _restore_run(recipe, folder, reporter)
        return _run(job, progress, folder, reporter)


def _restore_run(
    recipe: Recipe, folder: RunFolder, reporter: Reporter
) -> tuple[TrainingSetup, TrainState]:
    """Everything as it was at the newest whole state; at the beginning where there is none."""
    state = latest_checkpoint(folder, recipe, reporter)
    job = set_up_training(recipe, reporter, is_begun=state is not None)
    note_other_environment(folder, describe_environment(job.device), reporter)
    progress = restore(job, state, folder) if state else TrainState()
    folder.remove_temp_files()
    folder.write_epochs(progress.history, progress.times)
    place = f"going on after step {progress.step} of {job.total_steps}"
    reporter.note(place if state else "no state is saved; beginning with the first step")
    return job, progress


def note_other_environment(folder: RunFolder, now: Environment, reporter: Reporter) -> None:
    """Say what is not as it was when the run began, since other bits may follow."""
    then, here = folder.read_environment(), to_dict(now)
    changed = [f"{k} {then[k]} -> {here[k]}" for k in BITS if k in then and then[k] != here[k]]
    if changed:
        reporter.note(f"the result may differ in its last bits: {', '.join(changed)}")
    if not then:
        reporter.note(
            f"{folder.path / 'environment.json'} is lost or damaged, so it is not known whether "
            "the run began on this machine, with these versions and threads"
        )


def _run(job: TrainingSetup, progress: TrainState, folder: RunFolder, reporter: Reporter) -> Run:
    reporter.note(f"run folder {folder.path}")
    stop = StopRequest()
    saver = CheckpointManager(job, folder, stop, (progress.step, len(progress.history)))
    try:
        with stop.listening():
            fit(job, progress, saver, reporter)
            return _finish(job, progress, saver)
    except TrainingInterrupted:
        raise
    except KeyboardInterrupt as error:
        message = (
            f"stopped at once; go on from step {saver.saved[0]:,} with: {folder.resume_command}"
        )
        raise TrainingInterrupted(message, signal.SIGINT) from error
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else error
        raise TrainingError(
            f"{what}; put that right and go on with: {folder.resume_command}"
        ) from error


def _finish(job: TrainingSetup, progress: TrainState, saver: CheckpointManager) -> Run:
    """Evaluate and write the model of the run; may be broken off and done again at any point."""
    folder, scores = saver.folder, best_scores(progress.history)
    if job.eval_split == "val":
        save_last(job, progress, folder)
        weights, info, _ = load_model(folder.model)
        scores = info.scores
        job.network.load_state_dict(weights)
    evaluation = judged(job, job.splits.test, saver, progress)
    if evaluation:
        scores = replace(
            scores,
            test_top1_error=evaluation.top1_error,
            test_top5_error=evaluation.top5_error,
        )
    save_current(job, scores, folder)
    write_results(job, progress, evaluation, folder)
    folder.clear_states()
    return Run(folder, tuple(progress.history), tuple(progress.times), evaluation)
