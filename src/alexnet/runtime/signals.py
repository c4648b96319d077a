"""Stopping by a signal: the first one asks, and the run ends where nothing is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class TrainingInterrupted(KeyboardInterrupt):
    """A run ended early because it was asked to; the message says how to go on.

    It is no `AlexNetError`: nothing went wrong, and who catches errors must not catch it.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number
        """Of the signal."""


class StopRequest:
    """Whether a signal has asked to stop."""

    def __init__(self) -> None:
        self.number = 0
        """Of the signal; 0 while there was none."""
        self._handlers: dict[int, Any] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within, the first SIGINT or SIGTERM only asks, and later ones act as without this.

        What this process was told to ignore stays ignored. Only the main thread can listen; in
        another this does nothing.
        """
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._listen(number)
        try:
            yield
        finally:
            self._restore()

    def _listen(self, number: int) -> None:
        before = signal.getsignal(number)
        if before not in (signal.SIG_IGN, None):
            self._handlers[number] = before
            signal.signal(number, self._asked)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
