"""Run a command in several processes of torchrun or --devices, of which only one prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from alexnet.errors import ProcessLostError, UsageError
from alexnet.parallel.watch import has_watch, leave, speaks_first
from alexnet.parallel.world import join_world, launched_size

SHARING = (
    ("train",), ("pretrain",), ("evaluate",), ("predict",),
    ("explain", "--neighbors"), ("explain", "--map"), ("benchmark", "train"),
)  # fmt: skip
"""Commands whose work processes can share: a verb, and a word that must follow, if any."""


@contextmanager
def one_voice(words: Sequence[str], exit_code: Callable[[BaseException], int]) -> Iterator[None]:
    """A context for a command in which only the process of rank 0 prints.

    An error is printed once, by the process that has it first; the others exit silently.

    Args:
        words: the words of the command, the verb first.
        exit_code: gives the exit code for an error.

    Raises:
        UsageError: several processes were started for a command that only one can run.
    """
    if launched_size() == 1:
        yield
        return
    try:
        if not is_shared(words):
            raise UsageError(_alone_text(words))
        with join_world() as world, ExitStack() as stack:
            if not world.is_main:
                nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
                stack.enter_context(redirect_stdout(nowhere))
                stack.enter_context(redirect_stderr(nowhere))
            yield
    except SystemExit:
        raise
    except BaseException as error:
        speaks = _speaks(error)
        leave()
        if not speaks:
            sys.exit(exit_code(error))
        raise


def _speaks(error: BaseException) -> bool:
    """Whether this process is the one that prints the error."""
    if has_watch():
        return speaks_first()
    if isinstance(error, ProcessLostError):  # not all are connected, and rank 0 may be missing
        return not error.is_told
    return os.environ["RANK"] == "0"


def is_shared(words: Sequence[str]) -> bool:
    """Whether several processes share the work of a command."""
    verb, *others = (word.partition("=")[0] for word in words)
    return any(verb == one[0] and set(others).issuperset(one[1:]) for one in SHARING)


def _quiet_torch() -> None:
    """Make torch log errors alone; call it before the import, since torch logs stack traces."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def _alone_text(words: Sequence[str]) -> str:
    """The message for a command that several processes cannot share."""
    kind = words[1] if words[0] in ("benchmark", "data", "experiment") and words[1:] else ""
    return (
        f"alexnet {f'{words[0]} {kind}'.strip()} is the work of one process: start it without "
        f"torchrun (those of several are {', '.join(' '.join(one) for one in SHARING)})"
    )


def is_to_be_launched(devices: int) -> bool:
    """Whether several processes are wanted and this one was started alone."""
    return devices > 1 and launched_size() == 1


def launch_again(verb: str, arguments: Sequence[str], devices: int) -> int:
    """Run the same command in `devices` processes and return the exit code."""
    from alexnet.parallel.launch import launch

    _quiet_torch()
    return launch([verb, *arguments], devices)
