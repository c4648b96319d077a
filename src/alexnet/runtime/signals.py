"""Stopping by a signal without losing work."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, ClassVar

STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)
"""SIGINT (Ctrl-C), SIGTERM, and Windows' SIGBREAK (Ctrl-Break)."""


class TrainingInterrupted(KeyboardInterrupt):
    """The exception for a run that a signal has ended early; the message says how to resume it.

    It is not an `AlexNetError`: nothing went wrong, and code that handles errors must not catch it.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number


class StopRequest:
    """A record of whether a signal has asked this process to stop."""

    _outer: ClassVar[list[StopRequest]] = []
    """Objects that are listening now, the outermost first."""

    def __init__(self) -> None:
        self.signal_number = 0
        """The signal that came first; 0 if none came."""
        self._handlers: dict[int, Any] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """A context in which the first signal to stop is only recorded.

        A second signal acts as it would outside of the context. Signals that this process ignores
        stay ignored. Python lets only the main thread handle signals; in other threads the context
        does nothing. A context inside one that has been asked to stop is asked, too.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        inherited = next((one.signal_number for one in self._outer if one.signal_number), 0)
        self.signal_number = self.signal_number or inherited
        if not inherited:
            for number in STOP_SIGNALS:
                self._install_handler(number)
        self._outer.append(self)
        try:
            yield
        finally:
            self._outer.remove(self)
            self._restore_handlers()

    def _install_handler(self, number: int) -> None:
        previous = signal.getsignal(number)
        if previous not in (signal.SIG_IGN, None):
            self._handlers[number] = previous
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = self.signal_number or number
        self._restore_handlers()

    def _restore_handlers(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
