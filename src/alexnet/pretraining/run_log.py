"""`run.log` of a pretraining: as that of a training, with a line for every epoch of a layer."""

from __future__ import annotations

from alexnet.parallel.world import current_world
from alexnet.pretraining.records import (
    LayerRecord,
    LayerStep,
    NullPretrainReporter,
    PretrainReporter,
    layer_epoch_text,
)
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import ForwardsDataProgress, StepReport
from alexnet.training.run_log import LoggingReporter


class LoggingPretrainReporter(ForwardsDataProgress):
    """Forwards everything to a reporter, and writes notes and epochs to `run.log`.

    In a world of several processes only that of rank 0 does.
    """

    _reporter: PretrainReporter

    def __init__(self, reporter: PretrainReporter) -> None:
        self._reporter = reporter if current_world().is_main else NullPretrainReporter()
        self.log = LoggingReporter(reporter)

    def note(self, text: str) -> None:
        """Show and log a sentence for the user, such as a warning."""
        self.log.note(text)

    def on_prepare(self, done: int, total: int) -> None:
        """Called while the image store is built, with the number of images decoded so far."""
        self._reporter.on_prepare(done, total)

    def on_step(self, report: StepReport) -> None:
        """Called after every training step, which a pretraining does not have."""
        self._reporter.on_step(report)

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """Called after every epoch of a training, which a pretraining does not have."""
        self._reporter.on_epoch(record, times)

    def on_layer_step(self, report: LayerStep) -> None:
        """Called after every step."""
        self._reporter.on_layer_step(report)

    def on_layer_epoch(self, record: LayerRecord) -> None:
        """Called after every epoch of a layer, which is logged."""
        self._reporter.on_layer_epoch(record)
        self.log.keep(layer_epoch_text(record))
