"""Commands that tests run, and their results."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import NamedTuple


class CommandResult(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


Command = Callable[..., CommandResult]
Alexnet = Callable[..., "subprocess.Popen[str]"]
