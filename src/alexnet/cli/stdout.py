"""Distinguish errors of standard output from those of other pipes and files."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from alexnet.io.text import IS_WINDOWS


class StdoutError(OSError):
    """Standard output cannot be written, such as a closed pipe or a file on a full disk."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.errno, error.strerror, "standard output")
        is_invalid = IS_WINDOWS and error.errno == errno.EINVAL  # what Windows calls a closed pipe
        self.is_closed_pipe = is_invalid or isinstance(error, BrokenPipeError)


class _NamedStream:
    """A stream that raises StdoutError where its own methods raise OSError."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text; StdoutError if it cannot be written."""
        try:
            return self._stream.write(text)
        except OSError as error:
            raise StdoutError(error) from error

    def flush(self) -> None:
        """Write the buffer; StdoutError if it cannot be written."""
        try:
            self._stream.flush()
        except OSError as error:
            raise StdoutError(error) from error


@contextmanager
def named_stdout() -> Iterator[None]:
    """A context in which printing raises StdoutError if standard output cannot be written.

    Characters that the encoding lacks are written as raw bytes in UTF-8, else escaped.
    """
    before = sys.stdout
    if before is None:  # a program without a console, or a closed stdout
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):  # noqa: PTH123
            yield
        return
    if isinstance(before, io.TextIOWrapper):
        is_utf8 = before.encoding.lower().replace("-", "") == "utf8"
        before.reconfigure(errors="surrogateescape" if is_utf8 else "backslashreplace")
    try:
        with redirect_stdout(_NamedStream(before)):
            yield
    finally:
        _empty(before)


def _empty(stream: TextIO) -> None:
    """Write the rest of a stream's buffer, or discard it, so that no error occurs at exit."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
