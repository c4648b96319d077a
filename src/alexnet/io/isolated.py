"""Run a reader of untrusted files in a process of its own.

C libraries crash on some damaged files: scipy's reader of .mat files on about one in three hundred.
In a process of its own, a crash, a hang or too much memory becomes an error message. This is not a
sandbox: the reader runs with the rights of the user.

`python -m alexnet.io.isolated MODULE:FUNCTION PATH MEMORY_BYTES` is the command of that process: it
calls the function with the path and writes the returned arrays as .npz to stdout.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np

from alexnet.io.text import error_text

TIMEOUT_SECONDS = 120.0
MEMORY_BYTES = 3 << 30
"""Memory that a reader may allocate, beyond what importing its module takes."""
READER_RAISED = 3
"""Exit code when the reader raises; the reason is the last line of stderr."""


def read_in_subprocess(
    reader: str,
    path: Path,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    memory_bytes: int = MEMORY_BYTES,
) -> dict[str, np.ndarray]:
    """Run a reader in a subprocess, and return its arrays by name.

    Args:
        reader: "module:function", from a path to a dict of arrays of numbers or text.
        path: the file.
        timeout_seconds: time after which the reader is stopped.
        memory_bytes: memory that the reader may allocate.

    Raises:
        ValueError: the reader raised, crashed, or took too long; the message is its reason.
    """
    command = [sys.executable, "-m", __name__, reader, str(path), str(memory_bytes)]
    environment = {**own_environment(), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, env=environment, timeout=timeout_seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"its reader did not end within {timeout_seconds:g} seconds") from error
    if done.returncode == READER_RAISED:
        raise ValueError(done.stderr.decode("utf-8", "replace").rstrip().rpartition("\n")[2])
    if done.returncode:
        raise ValueError(f"its reader crashed (exit {done.returncode})")
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as arrays:
        return {name.removeprefix("_"): array for name, array in arrays.items()}


def own_environment() -> dict[str, str]:
    """Environment variables for a subprocess that imports modules from where this process does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def limit_memory(memory_bytes: int) -> None:
    """Limit the memory that this process may allocate from now on, if the system supports it."""
    sizes = Path("/proc/self/statm")
    if sizes.exists():
        import resource

        used_bytes = int(sizes.read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = used_bytes + memory_bytes
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(reader: str, path: str, memory_bytes: str) -> int:
    """Read a file and write its arrays; returns the exit code."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not mix with the arrays
    module, _, function = reader.partition(":")
    read = getattr(import_module(module), function)
    limit_memory(int(memory_bytes))
    try:
        arrays = read(Path(path))
        file = io.BytesIO()
        np.savez(file, **{f"_{name}": array for name, array in arrays.items()})
    except Exception as error:  # whatever a damaged file makes a library raise
        print(error_text(error).encode("ascii", "backslashreplace").decode(), file=sys.stderr)
        return READER_RAISED
    with out:
        out.write(file.getbuffer())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
