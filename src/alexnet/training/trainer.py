"""Train and resume: a run folder from a recipe.

All randomness is a function of (seed, step), so a run that is stopped and resumed ends in the same
bits as one that is not.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet import plots
from alexnet.checkpoints.model_file import Scores, load_model
from alexnet.config.distributed import DistributedOptions
from alexnet.config.recipe import Recipe, StoppingOptions
from alexnet.errors import DivergedError, TrainingError
from alexnet.evaluation.results import Evaluation
from alexnet.evaluation.tables import write_evaluation_tables
from alexnet.io.text import count_text
from alexnet.loggers.catalogue import read_names
from alexnet.loggers.logger import log_start
from alexnet.loggers.run_loggers import RunLoggers, logs_to_write
from alexnet.parallel.watch import advise
from alexnet.parallel.world import current_world, join_world, on_main
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import NullReporter, Reporter, progress_callback
from alexnet.runtime.device import float32_default
from alexnet.runtime.environment import describe_environment
from alexnet.runtime.signals import StopRequest, TrainingInterrupted
from alexnet.training.calibrate import calibrate
from alexnet.training.changed_environment import warn_if_environment_changed
from alexnet.training.checkpointing import (
    CheckpointManager,
    TimeLimitReached,
    best_scores,
    discarded_best,
    latest_checkpoint,
    restore,
    save_last,
    save_network,
    train_from_command,
    with_layout,
)
from alexnet.training.earlier_results import earlier_results_note
from alexnet.training.epoch import BY_REPORTER, evaluate_split, reason_for_fewer_epochs
from alexnet.training.extension import changes_end, describe_extension, extend
from alexnet.training.initial_weights import resolve
from alexnet.training.loop import fit
from alexnet.training.processes import (
    at_size,
    check_is_new,
    check_scheme,
    create_folder,
    folder_to_go_on,
    with_devices,
)
from alexnet.training.results import (
    SavePage,
    ValidationResult,
    plot_and_summarize,
    validation_result,
    write_result,
)
from alexnet.training.run_folder import RunFolder, read_metrics, read_run_recipe
from alexnet.training.run_log import LoggingReporter
from alexnet.training.schedule_advice import schedule_advice
from alexnet.training.setup import TrainingSetup, set_up_training
from alexnet.training.state import TrainState
from alexnet.training.written_logs import log_result


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run, or one stopped by its time limit, which can be resumed."""

    folder: RunFolder
    history: tuple[EpochRecord, ...]
    times: tuple[EpochTimes, ...]
    evaluation: Evaluation | None
    """The final model on the test split; None without test images, and in an unfinished run."""
    validation: ValidationResult | None = None
    """The epoch that the model is of, and its error; None without validation images."""
    advice: tuple[str, ...] = ()
    """What is uncertain about the result, and what to try next: sentences."""
    is_finished: bool = True
    """False if it was stopped by --max-minutes; `resume` continues it."""

    def __repr__(self) -> str:
        epochs = count_text(len(self.history), "epoch")
        unfinished = "" if self.is_finished else ", unfinished"
        if self.evaluation:
            error = f"test error {self.evaluation.top1_text}"
        elif self.validation:
            error = f"validation error {self.validation.top1_text}"
        else:
            error = "no test images" if self.is_finished else "not tested"
        return f"Run({str(self.folder.path)!r}, {epochs}{unfinished}, {error})"

    def _repr_html_(self) -> str:
        """Errors and learning curves, for notebooks."""
        from alexnet.training.html import run_html

        return run_html(self)


@dataclass(frozen=True)
class _Writers:
    """The functions that write a run's plots and page, and the names of its loggers."""

    save_plot: plots.SavePlot | None
    save_page: SavePage | None
    log: Sequence[str]


@join_world()
@float32_default()
def train(
    recipe: Recipe,
    *,
    out: str | Path = "",
    reporter: Reporter | None = None,
    save_plot: plots.SavePlot | None = None,
    save_page: SavePage | None = None,
    notes: Sequence[str] = (),
    log: str | Sequence[str] = (),
) -> Run:
    """Train a recipe into a new run folder.

    Args:
        recipe: what to train; `alexnet.preset(name)` gives the ones that ship.
        out: the run folder; `runs/<preset>-<number>` unless given.
        reporter: receives notes and progress.
        save_plot: draws and writes a plot; `alexnet.plots.save_plot` unless given.
        save_page: writes the page of the finished run, before its `result.json`; none unless given.
        notes: sentences on how the recipe was chosen, which are reported when all is ready.
        log: loggers, such as "tensorboard"; `alexnet.loggers.LOGGERS` has all.

    Raises:
        AlexNetError: the recipe, the data or the weights cannot work, or the loss is not finite.
        TrainingInterrupted: SIGINT or SIGTERM came; a checkpoint is saved.
    """
    log_reporter = LoggingReporter(reporter or NullReporter())
    writers = _Writers(save_plot, save_page, read_names(log))
    recipe = resolve(recipe, log_reporter)
    if path := folder_to_go_on(recipe, Path(out) if out else None):
        return resume(path, reporter=reporter, save_plot=save_plot, save_page=save_page, log=log)
    check_is_new(out)
    recipe = with_devices(recipe, log_reporter)
    setup = set_up_training(recipe, log_reporter)
    folder = create_folder(setup, Path(out) if out else None)
    with folder.locked(log_reporter.note), log_reporter.keeping_the_end(folder.result):
        log_reporter.open(folder.log)
        for text in (*notes, *schedule_advice(recipe, setup.steps_per_epoch)):
            log_reporter.note(text)
        return _run(setup, TrainState(), folder, log_reporter, writers)


@join_world()
@float32_default()
def resume(
    path: str | Path,
    *,
    epochs: int | None = None,
    stopping: StoppingOptions | None = None,
    distributed: DistributedOptions | None = None,
    reporter: Reporter | None = None,
    save_plot: plots.SavePlot | None = None,
    save_page: SavePage | None = None,
    log: str | Sequence[str] = (),
) -> Run:
    """Resume a stopped run; it ends in the same bits as one that was never stopped.

    With other `epochs` or `stopping` it goes on until then, even if it has finished before; where a
    reporter has ended it (`StopTraining`), also with the `epochs` that were planned.

    Args:
        path: the run folder.
        epochs: of the whole run; None: as before. The learning rate is planned anew for as many.
        stopping: what ends the run early; None: as before.
        distributed: its number of processes and its scheme from now on, which change results by
            rounding alone; None: as before.
        reporter: receives notes and progress.
        save_plot: draws and writes a plot; `alexnet.plots.save_plot` unless given.
        save_page: writes the page of the finished run, before its `result.json`; none unless given.
        log: loggers beside those that the run has.

    Raises:
        ModelFileError: not a run folder, or a damaged one.
        TrainingError: the run has finished, or another process is training it.
        UsageError: the run would have ended before.
        TrainingInterrupted: SIGINT or SIGTERM came; a checkpoint is saved.
    """
    log_reporter = LoggingReporter(reporter or NullReporter())
    writers = _Writers(save_plot, save_page, read_names(log))
    folder = RunFolder(Path(path))
    recipe = read_run_recipe(folder)
    if distributed:
        recipe = replace(recipe, distributed=with_layout(recipe.distributed, distributed))
    with folder.locked(log_reporter.note):
        current_world().barrier()  # rank 0 has the lock
        if folder.result.exists():
            # A process that was killed after it had written the result has left more of them.
            folder.remove_checkpoints(keep_newest=recipe.keep_state)
            check_can_be_extended(folder, recipe, epochs, stopping)
        log_reporter.open(folder.log)
        with log_reporter.keeping_the_end(folder.result):
            setup, state = _restore_run(recipe, folder, epochs, stopping, log_reporter)
            return _run(setup, state, folder, log_reporter, writers)


def check_can_be_extended(
    folder: RunFolder, recipe: Recipe, epochs: int | None, stopping: StoppingOptions | None
) -> None:
    """Reject a finished run that is not to be trained further, or whose state is gone.

    One that a reporter has ended can go on with as many epochs as were planned.

    Raises:
        TrainingError: says how.
    """
    history = read_metrics(folder) if folder.metrics.exists() else []
    reason = reason_for_fewer_epochs(recipe, history)
    goes_on = reason == BY_REPORTER and epochs == recipe.epochs
    if not (goes_on or changes_end(recipe, epochs, stopping)):
        raise TrainingError(_finished_text(folder, recipe, len(history), reason))
    if not folder.saved_checkpoints():
        raise TrainingError(
            f"{folder.path} has finished, and its state was not kept; start a new run from its "
            f"weights: {train_from_command(recipe, folder)}"
        )


def _finished_text(folder: RunFolder, recipe: Recipe, num_epochs: int, reason: str) -> str:
    """The message that a run has finished, and how to train it further."""
    ended, how = "", f"more epochs than its {recipe.epochs} (--epochs)"
    if reason:
        ended = f", after epoch {num_epochs} of {recipe.epochs}: {reason}"
        how = "another value of that option"
    if reason == BY_REPORTER:
        how = f"--epochs {recipe.epochs} or more"
    return (
        f"{folder.path} has finished already{ended}; its model is {folder.model}; "
        f"train it further with {how}"
    )


def _restore_run(
    recipe: Recipe,
    folder: RunFolder,
    epochs: int | None,
    stopping: StoppingOptions | None,
    reporter: Reporter,
) -> tuple[TrainingSetup, TrainState]:
    """Restore a run from its newest intact checkpoint, or start it again if there is none.

    The files of the run change only when everything else is known to work.
    """
    checkpoint = latest_checkpoint(folder, recipe, reporter)
    before, info = read_run_recipe(folder), checkpoint.info if checkpoint else None
    size = current_world().size
    check_scheme(recipe, size)
    recipe = extend(at_size(recipe, size), info, epochs=epochs, stopping=stopping)
    identity = checkpoint.identity if checkpoint else ""
    setup = set_up_training(recipe, reporter, checkpoint=identity)
    environment = describe_environment(setup.device, setup.world.size)
    warn_if_environment_changed(folder, environment, reporter)
    state = restore(setup, checkpoint, folder) if checkpoint else TrainState()
    earlier = earlier_results_note(folder)
    folder.remove_temp_files()
    folder.remove_ending()
    if epochs is not None or changes_end(before, epochs, stopping):
        state.last_epoch = 0
    if recipe != before:
        folder.write_recipe(recipe)
    for text in filter(None, (describe_extension(before, recipe), earlier)):
        reporter.note(text)
    for text in schedule_advice(recipe, setup.steps_per_epoch) if recipe != before else ():
        reporter.note(text)
    folder.write_epochs(state.history, state.times)
    position = f"resuming after step {state.step} of {setup.total_steps}"
    reporter.note(position if checkpoint else "no checkpoint found; starting from the first step")
    return setup, state


def _run(
    setup: TrainingSetup,
    state: TrainState,
    folder: RunFolder,
    reporter: Reporter,
    writers: _Writers,
) -> Run:
    reporter.note(f"run folder {folder.path}")
    advise(f"resume with: {folder.resume_command}")
    progress_callback(reporter, "on_start")(state.epoch, setup.recipe.epochs)
    stop = StopRequest()
    checkpoints = CheckpointManager(setup, folder, stop, saved=(state.step, state.epoch))
    minutes = setup.recipe.stopping.max_minutes
    if minutes is not None:
        checkpoints.deadline = time.monotonic() + 60 * minutes
    try:
        with stop.listening(), _loggers(setup, state, folder, reporter, writers.log) as loggers:
            fit(setup, state, checkpoints, loggers)
            return _finish(setup, state, checkpoints, writers, loggers)
    except DivergedError as error:
        folder.write_diverged(error)
        raise
    except TimeLimitReached:
        return _pause(setup, state, folder, reporter)
    except TrainingInterrupted:
        raise
    except KeyboardInterrupt as error:
        message = (
            f"stopped at once; resume from step {checkpoints.saved[0]:,} "
            f"with: {folder.resume_command}"
        )
        raise TrainingInterrupted(message, signal.SIGINT) from error
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else error
        raise TrainingError(f"{what}; fix that and resume with: {folder.resume_command}") from error


def _loggers(
    setup: TrainingSetup,
    state: TrainState,
    folder: RunFolder,
    reporter: Reporter,
    given: Sequence[str],
) -> RunLoggers:
    """The loggers that are named, and those of the run's earlier sessions; of rank 0 alone."""
    names = logs_to_write(given, folder.path, reporter) if setup.world.is_main else []
    epoch_step = state.history[-1].step if state.history else 0
    start = log_start(folder.path, setup.recipe, state.step, epoch_step)
    return RunLoggers(names, folder.path, start, reporter)


def _pause(setup: TrainingSetup, state: TrainState, folder: RunFolder, reporter: Reporter) -> Run:
    """Stop a run at its time limit, and leave a model that can be used."""
    scores = best_scores(state.history)
    if scores.val_top1_error is None:
        save_network(setup, scores, folder)
    reporter.note(
        f"stopped by --max-minutes {setup.recipe.stopping.max_minutes:g} after step "
        f"{state.step:,} of {setup.total_steps:,}, which is saved; "
        f"resume with: {folder.resume_command}, which stops after as many minutes again "
        "unless --max-minutes is another number"
    )
    return Run(folder, tuple(state.history), tuple(state.times), None, is_finished=False)


def _finish(
    setup: TrainingSetup,
    state: TrainState,
    checkpoints: CheckpointManager,
    writers: _Writers,
    reporter: RunLoggers,
) -> Run:
    """Evaluate and write the run's model; can be interrupted and repeated at any point."""
    folder, scores = checkpoints.folder, best_scores(state.history)
    if setup.eval_split == "val":
        save_last(setup, state, folder)
        setup.world.barrier()  # the best model is written
        lowest, scores = scores, _load_best(setup, folder)
        if text := discarded_best(scores, lowest):
            reporter.note(text)
        setup = calibrate(setup, lambda done, total: checkpoints.stop_if_asked(state))
    evaluation = evaluate_split(setup, "test", state, checkpoints)
    if evaluation:
        scores = replace(
            scores,
            test_top1_error=evaluation.top1_error,
            test_top5_error=evaluation.top5_error,
        )
    save_network(setup, scores, folder)
    shown = evaluation or evaluate_split(setup, "val", state, checkpoints)
    if shown:
        on_main(write_evaluation_tables)(shown, folder.evaluation)
    validation = validation_result(setup, scores)
    save_plot = writers.save_plot or plots.save_plot
    result = plot_and_summarize(setup, state, validation, evaluation, folder, save_plot, reporter)
    if writers.save_page and setup.world.is_main:
        writers.save_page(folder.path, result, reporter)
    reporter.on_result(log_result(result, folder, state.step))
    write_result(result, folder)
    folder.remove_checkpoints(keep_newest=setup.recipe.keep_state)
    history, times = tuple(state.history), tuple(state.times)
    return Run(folder, history, times, evaluation, validation, result.advice)


def _load_best(setup: TrainingSetup, folder: RunFolder) -> Scores:
    """Load the run's best weights into the model, and close their file; return their scores."""
    weights, info, _ = load_model(folder.model)
    setup.model.load_state_dict(weights)
    return info.scores
