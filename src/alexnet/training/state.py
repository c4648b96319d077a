"""The state that changes during a run, and the header of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field

from alexnet.config.recipe import Recipe
from alexnet.records import EpochRecord, EpochTimes, LastStep
from alexnet.training.loss_scaling import LossScaler
from alexnet.training.step_figures import RunningMetrics, StepFigures
from alexnet.training.timer import Elapsed, EpochTimer


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointInfo:
    """The header of a checkpoint."""

    fingerprint: str
    """Fingerprint of the image store."""
    recipe: Recipe
    """The recipe as it was when the checkpoint was written."""
    step: int
    """Finished steps."""
    metrics: RunningMetrics
    """Metrics of the unfinished epoch; the next two fields are of it, too."""
    last_step: LastStep
    elapsed: Elapsed
    history: tuple[EpochRecord, ...]
    times: tuple[EpochTimes, ...]
    loss_scaler: LossScaler | None = None
    """The loss scaling of fp16; None in other types."""
    last_epoch: int = 0
    """The epoch, counted from 1, after which a reporter ends the run; 0: it does not."""


@dataclass
class TrainState:
    """Everything that changes during a run, except what is in `TrainingSetup`."""

    step: int = 0
    """Finished steps."""
    newest: StepFigures | None = None
    """Figures of the newest step of this session; None once they are reported."""
    metrics: RunningMetrics = field(default_factory=RunningMetrics)
    """Metrics of the unfinished epoch; the next two fields are of it, too."""
    last_step: LastStep = field(default_factory=LastStep)
    timer: EpochTimer = field(default_factory=EpochTimer)
    history: list[EpochRecord] = field(default_factory=list)
    times: list[EpochTimes] = field(default_factory=list)
    last_epoch: int = 0
    """The epoch, counted from 1, after which a reporter ends the run; 0: it does not."""

    @property
    def is_stopped(self) -> bool:
        """Whether a reporter has ended the run."""
        return 0 < self.last_epoch <= self.epoch

    @property
    def epoch(self) -> int:
        """The unfinished epoch, counted from 0."""
        return len(self.history)

    def end_step(self, figures: StepFigures) -> None:
        """Count a finished step, whose figures may still be on their way from a GPU."""
        self.step += 1
        self.newest = figures

    def has_trained_epoch(self, steps_per_epoch: int) -> bool:
        """Whether all steps of the unfinished epoch are done, and only its evaluation is left."""
        return self.step == (self.epoch + 1) * steps_per_epoch

    def end_epoch(self, record: EpochRecord) -> EpochTimes:
        """Add an epoch to the finished ones; return its times."""
        times = self.timer.times(record.epoch)
        self.history.append(record)
        self.times.append(times)
        self.metrics, self.last_step, self.timer = RunningMetrics(), LastStep(), EpochTimer()
        return times

    def errors(self) -> list[float]:
        """Validation error of every finished epoch; training error if there is no val split.

        Test images never decide anything.
        """
        return [
            r.train_top1_error if r.val_top1_error is None else r.val_top1_error
            for r in self.history
        ]
