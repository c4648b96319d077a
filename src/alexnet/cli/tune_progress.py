"""Show the progress of a tuning: one line on a terminal, nothing elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.status import Status as Line
from rich.text import Text

if TYPE_CHECKING:
    from alexnet.tune.tuner import Status


class TuneProgress:
    """A context manager with a line of progress that is updated in place and removed at the end."""

    def __init__(self, console: Console | None = None) -> None:
        """Show progress on `console`, or stderr."""
        console = console or Console(stderr=True)
        self._line = Line("", console=console) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._line:
            self._line.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._line:
            self._line.stop()

    def show(self, status: Status) -> None:
        """Show the progress of the trials."""
        self._show(status_text(status))

    def show_confirming(self, done: int, total: int) -> None:
        """Show the progress of the confirmation."""
        self._show(f"confirming the winner: {done} of {total} trainings")

    def _show(self, text: str) -> None:
        if self._line:
            self._line.update(Text(text))


def status_text(status: Status) -> str:
    """A text on the number of trials, the lowest validation error and the time left."""
    best = "none finished"
    if status.best_error is not None:
        best = f"best {100 * status.best_error:.1f} % (trial {status.best_trial})"
    return (
        f"{status.ended} of {status.trials} trials, {status.pruned} pruned, "
        f"{status.running} running  {best}  {status.seconds_left / 60:.0f} min left"
    )
