"""A logger in a thread of its own, which neither stops nor slows a training."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from alexnet.io.text import error_text, printable
from alexnet.loggers.logger import Logger, LogResult, Row

MAX_WAITING_ROWS = 10_000
"""Waiting rows at which the log ends, to limit memory if a server does not respond."""
MAX_ROWS_AT_ONCE = 100
"""Most rows that a logger gets at once; without a limit a fast training would add rows forever."""
CLOSE_SECONDS = 60.0
"""Longest time that the end of a run waits for a logger to write the remaining rows."""
FAILED_SECONDS = 3.0
"""Longest time that it waits for a logger that has failed to close; its server may hang, too."""
Item: TypeAlias = "Row | LogResult | bool"
"""A row, the result, or a bool that closes the log and says whether the run has finished."""


class LogThread:
    """A thread that opens a logger and gives it rows; the first exception ends the log."""

    def __init__(self, name: str, opener: Callable[[], Logger]) -> None:
        self.name = name
        self.failure = ""
        """Why the log is not whole; "" if it is."""
        self._open = opener
        self._items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._is_written = threading.Event()  # all of it, or all that the logger took
        self._thread = threading.Thread(target=self._run, name=f"log-{name}", daemon=True)
        self._thread.start()

    def put(self, item: Row | LogResult) -> None:
        """Queue a row or the result for the logger, without waiting."""
        if self._items.qsize() >= MAX_WAITING_ROWS:
            self.failure = self.failure or "it is slower than the training"
            self._items.put(False)
        elif self._thread.is_alive():
            self._items.put(item)

    def close(self, is_finished: bool) -> None:
        """Write the queued items, for at most CLOSE_SECONDS, and close the log.

        A logger that has failed gets FAILED_SECONDS.
        """
        self._items.put(is_finished)
        if self._is_written.wait(CLOSE_SECONDS):
            self._thread.join(FAILED_SECONDS)
        else:
            self.failure = self.failure or f"it has not answered for {CLOSE_SECONDS:g} s"

    def _run(self) -> None:
        logger = None
        try:
            logger = self._open()
            self._write(logger)
            self._is_written.set()
        except Exception as error:
            self.failure = self.failure or printable(error_text(error))
            self._is_written.set()
            with suppress(Exception):  # the first error is the one to report
                if logger:
                    logger.close(is_finished=False)

    def _write(self, logger: Logger) -> None:
        """Write queued items until the log is closed; rows that wait together are one call."""
        while True:
            rows, other = self._next()
            if rows:
                logger.log_rows(rows)
            if isinstance(other, LogResult):
                logger.log_result(other)
            elif other is not None:
                logger.close(is_finished=other)
                return

    def _next(self) -> tuple[list[Row], LogResult | bool | None]:
        """The next rows, at most MAX_ROWS_AT_ONCE, and the item of another kind after them."""
        rows: list[Row] = []
        while True:
            item = self._items.get()
            if not isinstance(item, Row):
                return rows, item
            rows.append(item)
            if self._items.empty() or len(rows) == MAX_ROWS_AT_ONCE:
                return rows, None
