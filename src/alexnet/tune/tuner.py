"""Run the trials of a tuning, one after the other or several at once.

Several commands may work on one study. Trials of this folder that a process left unfinished are
continued before the study is asked for new ones. However a process ends, its trials stay in the
study, and their checkpoints in their run folders.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import optuna
from optuna.trial import FrozenTrial, TrialState

from alexnet.errors import TrainingError
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import NullReporter, Reporter, StepReport
from alexnet.runtime.signals import StopRequest, TrainingInterrupted
from alexnet.runtime.workers import WorkerLostError, Workers
from alexnet.training.run_folder import remove_models
from alexnet.tune.folder import TuningFolder
from alexnet.tune.plan import Tuning
from alexnet.tune.study import (
    ENDED,
    OWNER,
    RECIPE,
    ask,
    frozen,
    handle,
    open_study,
    take_over,
    trial_values,
)
from alexnet.tune.tasks import (
    DEATHS,
    MAX_DEATHS,
    REASON,
    ConfirmTask,
    TrialTask,
    carry_out,
    count_death,
)
from alexnet.tune.trials import best_first

MAX_LOST_IN_A_ROW = 3
"""The tuning stops after so many lost trials in a row, or after `jobs` if that is more."""
POLL_SECONDS = 0.5
"""Interval at which interruption and deadline are checked while workers are busy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """The progress of a tuning."""

    ended: int
    """Number of trials that have ended, in all processes, including pruned ones."""
    pruned: int
    running: int
    """Number of trials that this process runs."""
    trials: int
    """Number of trials that are wanted."""
    best_error: float | None
    """The lowest validation error of a finished trial, 0 to 1."""
    best_trial: int | None
    seconds_left: float


Observe: TypeAlias = Callable[[Status], None]


def ignore_status(status: Status) -> None:
    """An `Observe` that does nothing."""


@dataclass(eq=False, kw_only=True)
class Session:
    """One call of a tuning: the tuning, its study and folder, and the time limit."""

    tuning: Tuning
    folder: TuningFolder
    study: optuna.Study
    trials: int
    """Number of trials in all, including other processes and earlier calls."""
    minutes: float
    """Minutes after which no trial begins and running ones are stopped."""
    jobs: int = 1
    keep_models: int = 10
    """Number of the best trials whose weights are kept."""
    observe: Observe = ignore_status
    deadline: float = field(default=math.inf)
    """The time of `time.monotonic` at which the time is over."""
    lost_in_a_row: int = 0
    """Number of trials in a row that failed because they were lost MAX_DEATHS times."""

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.deadline

    def status(self) -> Status:
        """The present progress of the tuning."""
        trials = self.study.get_trials(deepcopy=False)
        best = best_first(trials)
        return Status(
            ended=sum(trial.state in ENDED for trial in trials),
            pruned=sum(trial.state == TrialState.PRUNED for trial in trials),
            running=len(self.folder.locks),
            trials=self.trials,
            best_error=best[0].value if best else None,
            best_trial=best[0].number if best else None,
            seconds_left=max(0.0, self.deadline - time.monotonic()),
        )


def open_session(
    tuning: Tuning,
    folder: TuningFolder,
    *,
    trials: int,
    minutes: float,
    jobs: int,
    keep_models: int,
    observe: Observe = ignore_status,
) -> Session:
    """Open a session that continues the study of a folder, or begins it.

    Raises:
        UsageError: the study cannot be opened, or belongs to another tuning.
    """
    with folder.alone():
        study = open_study(folder.study, tuning)
    return Session(
        tuning=tuning,
        folder=folder,
        study=study,
        trials=trials,
        minutes=minutes,
        jobs=jobs,
        keep_models=keep_models,
        observe=observe,
    )


def run_trials(session: Session) -> None:
    """Run trials until there are enough or the time is over; trials still running stay unfinished.

    Raises:
        TrainingError: the recipe itself cannot be trained, trials in a row were lost, or files
            cannot be read or written.
        TrainingInterrupted: SIGINT or SIGTERM came; checkpoints are saved.
    """
    session.deadline = time.monotonic() + 60 * session.minutes
    stop = StopRequest()
    try:
        with stop.listening():
            (one_by_one if session.jobs == 1 else at_once)(session, stop)
    finally:
        session.folder.release_all()
    if stop.signal_number:
        raise TrainingInterrupted("interrupted; the trials that ran are saved", stop.signal_number)


def one_by_one(session: Session, stop: StopRequest) -> None:
    """Run trials in this process, one after the other."""
    while not stop.signal_number and (task := next_task(session)):
        session.observe(session.status())
        reporter = WatchingReporter(session)
        try:
            carry_out(task, reporter)
        except TrainingInterrupted as error:  # of the trial; at the deadline nobody asked for it
            stop.signal_number = 0 if reporter.is_stopped else error.signal_number
            return
        end_task(session, task)


def at_once(session: Session, stop: StopRequest) -> None:
    """Run trials in several processes, which save checkpoints when they are stopped."""
    with Workers(session.jobs, carry_out) as workers:
        while not (stop.signal_number or session.is_over):
            while workers.num_free and (task := next_task(session)):
                workers.begin(task, quiet())
            if workers.num_free == session.jobs:
                return
            session.observe(session.status())
            try:
                for ended in workers.finished(POLL_SECONDS):
                    end_task(session, ended)
            except WorkerLostError as lost:
                lose_process(session, lost)


@contextmanager
def quiet() -> Iterator[Reporter]:
    """A context that gives a reporter that does nothing."""
    yield NullReporter()


def next_task(session: Session) -> TrialTask | None:
    """Claim the next trial for this process: one that was left, or a new one; or None."""
    if session.is_over:
        return None
    with session.folder.alone():
        trial = left_trial(session) or new_trial(session)
        if trial is None:
            return None
        session.folder.claim(trial.number)
    return TrialTask(
        path=session.folder.trial(trial.number).path,
        number=trial.number,
        values={} if trial.user_attrs.get(RECIPE) else trial_values(trial, session.tuning),
        study=session.folder.study,
        tuning=session.tuning,
        is_recipe=bool(trial.user_attrs.get(RECIPE)),
    )


def left_trial(session: Session) -> FrozenTrial | None:
    """Claim a trial of this folder that has begun and that no process runs; or None."""
    folder, study = session.folder, session.study
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        owner = trial.user_attrs.get(OWNER)
        is_own = owner == folder.number or (owner is None and folder.has_own_study)
        if is_own and trial.number not in folder.locks and folder.claim(trial.number):
            return take_over(study, trial, session.tuning, folder.number, folder.salt)
    return None


def new_trial(session: Session) -> FrozenTrial | None:
    """Begin a new trial; None if there are enough."""
    trials = session.study.get_trials(deepcopy=False)
    is_waiting = any(trial.state == TrialState.WAITING for trial in trials)
    if len(trials) >= session.trials and not is_waiting:
        return None
    return ask(session.study, session.tuning, session.folder.number, session.folder.salt)


def end_task(session: Session, task: TrialTask | ConfirmTask) -> None:
    """Release a trial that has ended or was lost, and remove the weights of worse trials.

    Raises:
        TrainingError: the tuning cannot go on, as in `check_can_go_on`.
    """
    assert isinstance(task, TrialTask)
    trial = frozen(session.study, task.number)
    session.folder.release(task.number, ended=trial.state in ENDED)
    check_can_go_on(session, task, trial)
    remove_worse_weights(session)
    session.observe(session.status())


def check_can_go_on(session: Session, task: TrialTask, trial: FrozenTrial) -> None:
    """Stop a tuning whose next trials would fail as the last ones did.

    Args:
        session: the session of the trial.
        task: the task that the trial ran as.
        trial: the present state of the trial, which has ended or was lost and can be continued.

    Raises:
        TrainingError: the recipe itself failed; or too many trials in a row were lost to lack of
            memory or a kill.
    """
    reason = trial.user_attrs.get(REASON)
    if task.is_recipe and trial.state == TrialState.FAIL:
        raise TrainingError(f"the recipe itself, the first trial, cannot be trained: {reason}")
    if trial.state not in ENDED:
        return
    is_lost = trial.state == TrialState.FAIL and trial.user_attrs.get(DEATHS, 0) >= MAX_DEATHS
    session.lost_in_a_row = session.lost_in_a_row + 1 if is_lost else 0
    if session.lost_in_a_row >= max(MAX_LOST_IN_A_ROW, session.jobs):
        raise TrainingError(
            f"{session.lost_in_a_row} trials in a row were lost {MAX_DEATHS} times each, the last "
            f"one because of: {reason}; lower --jobs or the largest values in the space, then "
            "repeat the command, which continues the tuning"
        )


def remove_worse_weights(session: Session) -> None:
    """Remove the weights of all but the best `keep_models` trials."""
    trials = best_first(session.study.get_trials(deepcopy=False))
    for trial in trials[session.keep_models :]:
        if trial.user_attrs.get(OWNER) == session.folder.number:
            remove_models(session.folder.trial(trial.number))


def lose_process(session: Session, lost: WorkerLostError) -> None:
    """Count the loss of a trial whose worker process was killed.

    Raises:
        TrainingError: as `check_can_go_on`.
    """
    task = lost.task
    assert isinstance(task, TrialTask)
    session.folder.release(task.number)
    if frozen(session.study, task.number).state not in ENDED:
        trial = handle(session.study, task.number)
        count_death(trial, session.folder.trial(task.number), str(lost))
        check_can_go_on(session, task, frozen(session.study, task.number))


class WatchingReporter(NullReporter):
    """A reporter that shows a tuning's progress while a trial trains in this process.

    It stops the trial when the time is over.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._next_at = 0.0
        self.is_stopped = False
        """Whether it has stopped the trial because the time was over."""

    def on_step(self, report: StepReport) -> None:
        """After every training step."""
        if self._session.is_over and not self.is_stopped:
            self.is_stopped = True
            signal.raise_signal(signal.SIGTERM)  # as a user would stop the run: it saves
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + POLL_SECONDS
            self._session.observe(self._session.status())

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """After every epoch."""
        self._session.observe(self._session.status())


def num_elsewhere(session: Session) -> int:
    """The number of this folder's trials that other processes are running."""
    folder, count = session.folder, 0
    for trial in session.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.user_attrs.get(OWNER) == folder.number:
            count += not folder.claim(trial.number)
    folder.release_all()
    return count
