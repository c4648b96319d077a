"""The command line in child processes, forked from a server that has already imported torch.

A child has its own memory and signals, as `python -m alexnet` has, but starts without the seconds
that the imports take.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

PRELOADED = [
    "alexnet.training.trainer",
    "alexnet.cli.train",
    "alexnet.cli.data",
    "matplotlib.backends.backend_agg",
]
SECONDS_ALLOWED = 120.0
"""A child that takes longer counts as hung."""
CHANGES = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree")
"""Python's audit events before a change of a file or folder."""
NEEDING_SPACE = ("open", "os.rename", "os.mkdir")
"""Those that fail on a full disk; removing is always possible."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

Setup = Callable[[], None]
"""Called in the child before the command; a module's function, or a `functools.partial` of one."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended."""

    code: int
    """Its exit code; below 0, the signal that ended it."""
    out: str
    err: str
    seconds: float

    @property
    def is_one_sentence(self) -> bool:
        """Whether it failed as it should: exit code 2 and one sentence of this program."""
        said = self.err.splitlines()
        return self.code == 2 and bool(said) and said[-1].startswith("alexnet: ")


class Child:
    """A command that runs in a process of its own."""

    def __init__(self, words: list[str], log: Path, process: BaseProcess) -> None:
        self.words, self.log, self.process = words, log, process
        self.began = time.monotonic()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal if the process still runs."""
        if self.process.is_alive() and self.process.pid:
            os.kill(self.process.pid, number)

    def wait(self, seconds: float = SECONDS_ALLOWED) -> Ended:
        """Wait for its end.

        Raises:
            TimeoutError: it took too long and was killed.
        """
        self.process.join(seconds)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
            raise TimeoutError(f"alexnet {' '.join(self.words)} hung for {seconds:g} s")
        code, taken = self.process.exitcode, time.monotonic() - self.began
        self.process.close()
        assert code is not None
        out, err = (_text(self.log.with_suffix(end)) for end in (".out", ".err"))
        return Ended(code, out, err, taken)


def start(words: list[Any], *, cache: Path, log: Path, setup: tuple[Setup, ...] = ()) -> Child:
    """Start `alexnet WORDS` with its own cache; stdout and stderr go to `log.out` and `log.err`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    texts = [str(word) for word in words]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=_run, args=(texts, cache, log, setup))
    process.start()
    return Child(texts, log, process)


def _run(words: list[str], cache: Path, log: Path, setup: tuple[Setup, ...]) -> None:
    for number, end in ((1, ".out"), (2, ".err")):
        handle = os.open(log.with_suffix(end), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, number)
    os.environ["ALEXNET_CACHE"] = str(cache)
    os.environ["COLUMNS"] = "200"
    sys.dont_write_bytecode = True  # only the command's own files may be written
    from alexnet.cli import main

    for step in setup:
        step()
    sys.exit(main(words))


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="replace") if path.exists() else ""


# setup of a child


def plain_plots() -> None:
    """Write plots as empty files, which takes no time."""
    from alexnet import plots
    from alexnet.io.files import write_text

    plots.save = lambda figure, path: write_text(path, "")
    plots.save_plot = lambda draw, path: write_text(path, "")


def wait_for_file(gate: Path) -> None:
    """Wait until a file exists, so that two processes start at the same moment."""
    while not gate.exists():
        time.sleep(0.0005)


def limit_file_size(size_bytes: int) -> None:
    """Limit the size of every file, as a full disk would."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


def note_changes(notes: Path) -> None:
    """Write one line before every change of a file or folder."""
    handle = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if is_change(event, arguments):
            names = " ".join(str(part) for part in arguments[:2] if isinstance(part, str | Path))
            os.write(handle, f"{event} {names}\n".encode())

    sys.addaudithook(note)


def die_at_change(number: int) -> None:
    """Die by SIGKILL just before the change of a file or folder with this number, from 1."""
    seen = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if is_change(event, arguments):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def full_from_change(number: int) -> None:
    """From a change on, fail every write and rename, as on a full disk."""
    seen = 0

    def fail(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        seen += is_change(event, arguments)
        if seen >= number and is_change(event, arguments) and event in NEEDING_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[0]))

    sys.addaudithook(fail)


def is_change(event: str, arguments: tuple[Any, ...]) -> bool:
    if event not in CHANGES:
        return False
    return event != "open" or (isinstance(arguments[2], int) and bool(arguments[2] & WRITING))
