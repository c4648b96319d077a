"""Files whose reader is a C library that damage can crash, read in a process of their own.

scipy's reader of .mat files dies of about one damaged file in three hundred. There, a crash, a hang
or a flood of memory ends in a sentence here. It is no jail: what the reader runs, runs as the user.

`python -m alexnet.io.isolated MODULE:FUNCTION PATH MEMORY_BYTES` is the other process: it calls the
function with the path and writes the arrays that it gives as .npz to stdout.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np

SECONDS_ALLOWED = 120.0
MEMORY_BYTES = 3 << 30
"""Beyond what the process has when its libraries are loaded."""
REFUSED = 3
"""Exit code of a reader that raises; its reason is the last line of stderr."""


def read_in_subprocess(
    reader: str,
    path: Path,
    *,
    seconds: float = SECONDS_ALLOWED,
    memory_bytes: int = MEMORY_BYTES,
) -> dict[str, np.ndarray]:
    """The arrays that a reader gives for a file, by their names.

    Args:
        reader: "module:function", from a path to a dict of arrays of numbers or text.
        path: the file.
        seconds: after which the reader is stopped.
        memory_bytes: that it may take beyond its libraries.

    Raises:
        ValueError: the reader raised, crashed, or took too long; the message is its reason.
    """
    words = [sys.executable, "-m", __name__, reader, str(path), str(memory_bytes)]
    places = os.pathsep.join(place for place in sys.path if place)
    environment = {**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            words, capture_output=True, env=environment, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"its reader did not end within {seconds:g} seconds") from error
    if done.returncode == REFUSED:
        raise ValueError(done.stderr.decode("utf-8", "replace").rstrip().rpartition("\n")[2])
    if done.returncode:
        raise ValueError(f"its reader crashed (exit {done.returncode})")
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as arrays:
        return {name.removeprefix("_"): array for name, array in arrays.items()}


def _limit_memory(memory_bytes: int) -> None:
    """Let the process take so much more than it has, where the system can say and hold that."""
    sizes = Path("/proc/self/statm")
    if sizes.exists():
        import resource

        has_bytes = int(sizes.read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = has_bytes + memory_bytes
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(reader: str, path: str, memory_bytes: str) -> int:
    """Read a file and write what is in it; REFUSED when the reader raises."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no array
    module, _, function = reader.partition(":")
    read = getattr(import_module(module), function)
    _limit_memory(int(memory_bytes))
    try:
        arrays = read(Path(path))
        file = io.BytesIO()
        np.savez(file, **{f"_{name}": array for name, array in arrays.items()})
    except Exception as error:  # whatever a damaged file makes a library raise
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        print(reason.encode("ascii", "backslashreplace").decode(), file=sys.stderr)
        return REFUSED
    with out:
        out.write(file.getbuffer())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
