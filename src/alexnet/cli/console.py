"""Tables, and progress on long work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from alexnet.io.text import printable
from alexnet.pretraining.records import LayerRecord, LayerStep
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import StepReport


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows under a head as text; the first `left` columns are aligned left, the others right."""
    cells = [list(head), *[[printable(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [
        "  ".join(_cell(cell, widths[i], i < left) for i, cell in enumerate(row)).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _cell(text: str, width: int, is_left: bool) -> str:
    return text.ljust(width) if is_left else text.rjust(width)


def percent(share: float) -> str:
    """A share from 0 to 1 as percent."""
    return f"{100 * share:.2f} %"


def note(text: str) -> None:
    """A sentence on stderr; a run goes on where nobody reads that any more."""
    with suppress(BrokenPipeError):
        print(printable(text), file=sys.stderr, flush=True)


class ProgressReporter:
    """Shows a run on stderr: notes, a bar for pictures or steps, a line for every epoch."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._is_terminal = self._console.is_terminal
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._began = time.monotonic()
        self._first_step = 0
        self._said_at = time.monotonic()

    def __enter__(self) -> ProgressReporter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()

    def note(self, text: str) -> None:
        """A sentence for the user."""
        self._say(text)

    def on_prepare(self, done: int, total: int) -> None:
        """Pictures decoded so far."""
        if self._is_terminal:
            self._show("preparing pictures", done, total, "")
        elif done == total or time.monotonic() - self._said_at > 10:
            self._said_at = time.monotonic()
            self._say(f"prepared {done:,} of {total:,} pictures")
        if done == total:
            self._close()

    def on_step(self, report: StepReport) -> None:
        """After every step."""
        text = f"loss {report.loss:.3f}  error {report.top1_error:6.1%}"
        title = f"epoch {report.epoch}"
        self._stepped(title, report.step, report.total_steps, report.images, text)

    def layer_step(self, report: LayerStep) -> None:
        """After every step of a pretraining."""
        text = f"reconstruction error {report.error:.3f}"
        self._stepped(report.layer, report.step, report.total_steps, report.images, text)

    def layer_epoch(self, record: LayerRecord) -> None:
        """After every epoch of a layer."""
        self._said_at = time.monotonic()
        held = f"  held out {record.held_out_error:.4f}" if record.held_out_error >= 0 else ""
        self._say(
            f"{record.layer}  epoch {record.epoch:>3}  reconstruction error "
            f"{record.train_error:.4f}{held}  active {record.activity:.1%}  "
            f"{record.images_per_second:.0f} images/s"
        )

    def _stepped(self, title: str, step: int, total_steps: int, images: int, text: str) -> None:
        """Show a step with speed and time left, which are known from the second one on."""
        if not self._first_step:
            self._first_step, self._began = step, time.monotonic()
            return
        per_step = (time.monotonic() - self._began) / (step - self._first_step)
        text = f"{text}  {images / per_step:.0f} images/s"
        if self._is_terminal:
            self._show(title, step, total_steps, text)
        elif time.monotonic() - self._said_at > 30:
            self._said_at = time.monotonic()
            left = per_step * (total_steps - step)
            self._say(f"step {step} of {total_steps}  {text}  {left / 60:.1f} min left")

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """After every epoch."""
        self._said_at = time.monotonic()
        held = (
            f"  {record.eval_split} error {record.eval_top1_error:6.1%}"
            if record.eval_split
            else ""
        )
        self._say(
            f"epoch {record.epoch:>3}  loss {record.train_loss:.3f}  "
            f"error {record.train_top1_error:6.1%}{held}  rate {record.lr:.2g}  "
            f"{times.images_per_second:.0f} images/s  waiting {times.data_wait_fraction:.1%}"
        )

    def _show(self, title: str, done: int, total: int, text: str) -> None:
        if self._bar is None:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}"),
                TextColumn("{task.fields[text]}"),
                TimeRemainingColumn(compact=True),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task(title, total=total, text=text)
            self._bar.start()
        assert self._task is not None
        self._bar.update(self._task, completed=done, total=total, description=title, text=text)

    def _say(self, text: str) -> None:
        if self._is_terminal:
            self._console.print(printable(text), markup=False, highlight=False)
        else:
            note(text)

    def _close(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = self._task = None
