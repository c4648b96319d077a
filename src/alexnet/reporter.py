"""What the library reports while it works. The library itself never prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from alexnet.records import EpochRecord, EpochTimes

ProgressCallback: TypeAlias = Callable[[int, int], None]
"""Called with (images done, images in all)."""


def ignore_progress(done: int, total: int) -> None:
    """A `ProgressCallback` that does nothing."""


NoteCallback: TypeAlias = Callable[[str], None]
"""Called with a sentence for the user."""


def ignore_note(text: str) -> None:
    """A `NoteCallback` that does nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """One finished step."""

    step: int
    """Number, counted from 1."""
    total_steps: int
    epoch: int
    """Number, counted from 1."""
    total_epochs: int
    loss: float
    """Mean loss of the epoch so far."""
    top1_error: float
    """Mean top-1 error of the epoch so far, 0 to 1."""
    num_images: int
    """Number of images in this step."""
    step_loss: float
    """Loss of this step alone."""
    lr: float
    """The learning rate of this step."""


class StopTraining(Exception):  # noqa: N818 - not an error
    """A reporter raises it in `on_step` or `on_epoch` to end the run after the epoch.

    The run is then finished, as by `patience`: it has its model, its result and its page.
    """


class Reporter(Protocol):
    """The methods that the library calls while it works.

    `on_step` and `on_epoch` may raise `StopTraining` to end a run after the epoch. Any other
    exception ends it at once; a checkpoint is saved, from which it can be resumed.
    """

    def note(self, text: str) -> None:
        """Receive a sentence for the user, such as a warning."""

    def on_prepare(self, done: int, total: int) -> None:
        """While the image store is built: images decoded so far."""

    def on_step(self, report: StepReport) -> None:
        """After every training step; on one GPU when the next step is queued."""

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """After every epoch."""


def progress_callback(reporter: Reporter, name: str) -> ProgressCallback:
    """A reporter's method such as `on_unpack`; `ignore_progress` if the reporter lacks it."""
    callback: ProgressCallback = getattr(reporter, name, ignore_progress)
    return callback


class ForwardsDataProgress:
    """A mixin that passes on the progress of opening a data set, as far as `_reporter` takes it."""

    _reporter: Reporter

    def on_download(self, done: int, total: int) -> None:
        """While a file is downloaded: bytes received so far, and in all where that is known."""
        progress_callback(self._reporter, "on_download")(done, total)

    def on_paint(self, done: int, total: int) -> None:
        """While the built-in data set is painted: images painted so far."""
        progress_callback(self._reporter, "on_paint")(done, total)

    def on_unpack(self, done: int, total: int) -> None:
        """While an archive is unpacked: bytes of it read so far."""
        progress_callback(self._reporter, "on_unpack")(done, total)

    def on_index(self, done: int, total: int) -> None:
        """While shards are read the first time: shards read so far."""
        progress_callback(self._reporter, "on_index")(done, total)

    def on_hash(self, done: int, total: int) -> None:
        """While images are read for a split by hash: images hashed so far."""
        progress_callback(self._reporter, "on_hash")(done, total)


def epoch_title(epoch: int, total_epochs: int = 0) -> str:
    """The number of an epoch, of all if they are known: "epoch  3/45"."""
    width = len(str(total_epochs))
    return f"epoch {epoch:>{width}}/{total_epochs}" if total_epochs else f"epoch {epoch:>3}"


def epoch_text(record: EpochRecord, times: EpochTimes, total_epochs: int = 0) -> str:
    """A line on a finished epoch that fits into 80 columns."""
    split, error = record.eval_split, record.eval_top1_error
    return (
        f"{epoch_title(record.epoch, total_epochs)}  loss {record.train_loss:.3f}  "
        f"error {record.train_top1_error:5.1%}{f'  {split} {error:5.1%}' if split else ''}  "
        f"lr {record.lr:.2g}  {times.images_per_second:.0f} img/s"
    )


class NullReporter:
    """A reporter that does nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def on_prepare(self, done: int, total: int) -> None:
        """Do nothing."""

    def on_step(self, report: StepReport) -> None:
        """Do nothing."""

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """Do nothing."""


SILENT = NullReporter()
"""The default reporter, where progress is not shown."""
