"""Readers that behave as C libraries do on damaged files."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np


def length(path: Path) -> dict[str, np.ndarray]:
    """A good one that prints."""
    print("noise on stdout")
    print("noise on stderr", file=sys.stderr)
    os.write(1, b"more noise\n")
    content = path.read_bytes()
    return {"file": np.array(len(content)), "a/b": np.frombuffer(content, np.uint8)}


def raises(path: Path) -> dict[str, np.ndarray]:
    raise KeyError("no\nsuch \udcff thing")


def crashes(path: Path) -> dict[str, np.ndarray]:
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def hangs(path: Path) -> dict[str, np.ndarray]:
    time.sleep(100)
    return {}


def takes_too_much_memory(path: Path) -> dict[str, np.ndarray]:
    return {"large": np.ones(1 << 33, np.uint8)}


def gives_objects(path: Path) -> dict[str, np.ndarray]:
    return {"any": np.array([{}, print], dtype=object)}
