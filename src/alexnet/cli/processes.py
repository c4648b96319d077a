"""Several processes that torchrun or --devices started: they speak with one voice."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from alexnet.errors import UsageError
from alexnet.parallel.watch import has_watch, leave, speaks_first
from alexnet.parallel.world import join_world, launched_size

SHARING = ("train", "evaluate", "predict")
"""Verbs whose work is shared among processes."""


@contextmanager
def one_voice(verb: str, exit_code: Callable[[BaseException], int]) -> Iterator[None]:
    """A context for a verb, in which only the process of rank 0 prints.

    An error is told once, by the process that has it first; the others exit silently.

    Raises:
        UsageError: several processes were started for a verb that is the work of one.
    """
    if launched_size() == 1:
        yield
        return
    try:
        if verb not in SHARING:
            raise UsageError(_alone_text(verb))
        with join_world() as world, ExitStack() as stack:
            if not world.is_main:
                nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
                stack.enter_context(redirect_stdout(nowhere))
                stack.enter_context(redirect_stderr(nowhere))
            yield
    except SystemExit:
        raise
    except BaseException as error:
        speaks = _speaks()
        leave()
        if not speaks:
            sys.exit(exit_code(error))
        raise


def _speaks() -> bool:
    """Whether this process tells of its error."""
    return speaks_first() if has_watch() else os.environ["RANK"] == "0"


def _alone_text(verb: str) -> str:
    """Why a verb is refused, and what to type."""
    return (
        f"alexnet {verb} is the work of one process: start it without torchrun "
        f"(those of several are {', '.join(SHARING)})"
    )


def is_to_be_launched(devices: int) -> bool:
    """Whether processes are wanted and this one was started alone."""
    return devices > 1 and launched_size() == 1


def launch_again(verb: str, arguments: Sequence[str], devices: int) -> int:
    """Run the same command in so many processes; returns its exit code."""
    from alexnet.parallel.launch import launch

    return launch([verb, *arguments], devices)
