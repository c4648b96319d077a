"""What a command gave."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import NamedTuple


class Told(NamedTuple):
    """What a command gave."""

    code: int
    out: str
    err: str


Command = Callable[..., Told]
Alexnet = Callable[..., "subprocess.Popen[str]"]
