"""The progress of long work, on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from alexnet.io.text import count_text, printable
from alexnet.pretraining.records import LayerRecord, LayerStep, layer_epoch_text
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import StepReport, epoch_text, epoch_title

MEGABYTE = 1_000_000
SECONDS_PER_COUNT = 10.0
"""Seconds between two lines with a number of images, where there is no terminal."""
SECONDS_PER_STEP = 30.0
"""Seconds between two lines with a training step, where there is no terminal."""


def print_line(text: str, stream: TextIO) -> None:
    """Print a line of text; a closed pipe does not stop a run."""
    with suppress(BrokenPipeError):
        print(printable(text), file=stream, flush=True)


def shell_reporter() -> ProgressReporter:
    """The reporter for this shell: in a notebook it prints lines to stdout, which are kept."""
    return ProgressReporter(lines=sys.stdout) if is_notebook() else ProgressReporter()


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook (Jupyter, Colab and others)."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


class ProgressReporter:
    """A reporter that shows notes, a bar for counts and steps, and a line per epoch on stderr."""

    def __init__(
        self,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
        lines: TextIO | None = None,
    ) -> None:
        """Show progress on `console` (stderr unless given), or print lines to `lines` if given."""
        self._console = console or Console(stderr=True)
        self._clock = clock
        self._lines = lines
        self._is_terminal = self._console.is_terminal and lines is None
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._started_at = self._clock()
        self._first_step = 0
        self._total_epochs = 0
        self._last_line_at = self._clock()

    def __enter__(self) -> ProgressReporter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()

    def note(self, text: str) -> None:
        """Print a sentence for the user."""
        self._print(text)

    def write(self, text: str) -> None:
        """Write lines to stdout at once; a bar on the same terminal makes room for them."""
        # While a bar is shown, sys.stdout is rich's, which breaks lines at the terminal's width.
        stdout = getattr(sys.stdout, "rich_proxied_file", sys.stdout)
        bar = self._bar if _is_terminal(stdout) else None
        if bar:
            bar.stop()
        stdout.write(text)
        stdout.flush()
        if bar:
            bar.start()

    def on_prepare(self, done: int, total: int) -> None:
        """While the image store is built: images decoded so far."""
        self._show_count("prepared", done, total)
        if done == total and not self._is_terminal:
            self._print(f"prepared {done:,} of {count_text(total, 'image')}")

    def on_evaluate(self, done: int, total: int) -> None:
        """After every batch of an evaluation: images evaluated so far."""
        self._show_count("evaluated", done, total)

    def on_predict(self, done: int, total: int) -> None:
        """After every batch of predictions: images classified so far."""
        self._show_count("classified", done, total)

    def on_features(self, done: int, total: int) -> None:
        """While a feature index is built: images whose features are computed."""
        self._show_count("features of", done, total)

    def on_search(self, done: int, total: int) -> None:
        """While the strongest patches are searched: images that were searched."""
        self._show_count("searched", done, total)

    def on_synthesize(self, done: int, total: int) -> None:
        """While images that maximize channels are made: channels that are finished."""
        self._show_count("synthesized", done, total, "channels")

    def on_explain(self, done: int, total: int) -> None:
        """After every map of an explanation: maps computed so far."""
        self._show_count("explained", done, total, "maps")

    def on_folds(self, done: int, total: int) -> None:
        """While heads are trained for label errors: folds finished so far."""
        self._show_count("trained", done, total, "heads")

    def on_download(self, done: int, total: int) -> None:
        """While a file is downloaded: bytes received so far, and in all where that is known."""
        self._show_count("downloaded", done // MEGABYTE, max(done, total) // MEGABYTE, "MB")

    def on_paint(self, done: int, total: int) -> None:
        """While the built-in data set is painted: images painted so far."""
        self._show_count("painted", done, total)

    def on_unpack(self, done: int, total: int) -> None:
        """While an archive is unpacked: bytes of it read so far."""
        self._show_count("unpacked", done // MEGABYTE, total // MEGABYTE, "MB")

    def on_index(self, done: int, total: int) -> None:
        """While shards are read the first time: shards read so far."""
        self._show_count("indexed", done, total, "shards")

    def on_measure(self, done: int, total: int) -> None:
        """While training speeds are measured: networks measured so far."""
        self._show_count("measured", done, total, "networks")

    def on_start(self, done: int, total: int) -> None:
        """Before the first step of a session: finished epochs, and the number of all."""
        self._total_epochs = total

    def on_hash(self, done: int, total: int) -> None:
        """While images are read for a split by hash: images hashed so far."""
        self._show_count("hashed", done, total)

    def on_step(self, report: StepReport) -> None:
        """After every step."""
        text = f"loss {report.loss:.3f}  error {report.top1_error:6.1%}"
        title = epoch_title(report.epoch, report.total_epochs)
        self._show_step(title, report.step, report.total_steps, report.num_images, text)

    def on_layer_step(self, report: LayerStep) -> None:
        """After every step of a pretraining."""
        text = f"reconstruction error {report.error:.3f}"
        self._show_step(report.layer, report.step, report.total_steps, report.num_images, text)

    def on_layer_epoch(self, record: LayerRecord) -> None:
        """After every epoch of a layer."""
        self._last_line_at = self._clock()
        self._print(layer_epoch_text(record))

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """After every epoch."""
        self._last_line_at = self._clock()
        self._print(epoch_text(record, times, self._total_epochs))

    def _show_count(self, verb: str, done: int, total: int, unit: str = "images") -> None:
        """Show a bar, or print a line every ten seconds, until `done` is `total`."""
        if done == total:
            self._close()
        elif self._is_terminal:
            self._update_bar(verb, done, total, unit)
        elif self._clock() - self._last_line_at > SECONDS_PER_COUNT:
            self._last_line_at = self._clock()
            self._print(f"{verb} {done:,} of {total:,} {unit}")

    def _show_step(self, title: str, step: int, total_steps: int, images: int, text: str) -> None:
        """Show a step with the speed and the time left, which are known from the second step on."""
        if not self._first_step:
            self._first_step, self._started_at = step, self._clock()
            return
        per_step = (self._clock() - self._started_at) / (step - self._first_step)
        text = f"{text}  {images / per_step:.0f} images/s"
        if self._is_terminal:
            self._update_bar(title, step, total_steps, text)
        elif self._clock() - self._last_line_at > SECONDS_PER_STEP:
            self._last_line_at = self._clock()
            minutes_left = per_step * (total_steps - step) / 60
            self._print(f"step {step} of {total_steps}  {text}  {minutes_left:.1f} min left")

    def _update_bar(self, title: str, done: int, total: int, text: str) -> None:
        if self._bar is None:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}"),
                TextColumn("{task.fields[text]}"),
                TimeRemainingColumn(compact=True),
            )
            self._bar = Progress(
                *columns,
                console=self._console,
                transient=True,
                # Rich writes what is printed to stderr, where the bar is.
                redirect_stdout=_is_terminal(sys.stdout),
            )
            self._task = self._bar.add_task(title, total=total, text=text)
            self._bar.start()
        assert self._task is not None
        self._bar.update(self._task, completed=done, total=total, description=title, text=text)

    def _print(self, text: str) -> None:
        if self._is_terminal:
            self._console.print(printable(text), markup=False, highlight=False)
        else:
            print_line(text, self._lines or sys.stderr)

    def _close(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = self._task = None
