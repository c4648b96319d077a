#!/usr/bin/env python3
"""Time whole commands, from their start to their end, alternately.

    python benchmarks/start.py RUN IMAGE [--small RUN] [--repeats 7] [--json]

In docs/performance.md RUN is one of `alexnet train flowers17_finetune`, with 57 million weights,
and the small one is of `alexnet train`. Prints the seconds with their range, the CPU seconds and
the peak memory, medians. For Linux and macOS.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import checkout  # noqa: F401 - before the package itself

ALEXNET = (sys.executable, "-m", "alexnet")
FIRST_STEP = """
import os, sys
from alexnet.cli import main
from alexnet.progress import ProgressReporter
ProgressReporter.on_step = lambda *_: os._exit(0)
sys.exit(main(["train", "quickstart", "--out", sys.argv[1]]))
"""
"""`alexnet train quickstart`, which ends after its first step."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one command took: wall-clock time, CPU time and memory."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def commands(model: str, image: str, small: str) -> dict[str, tuple[str, ...]]:
    """The measured commands by name; "{new}" stands for an empty folder."""
    predict = (*ALEXNET, "predict", model, image)
    python = (sys.executable, "-c")
    found = {
        "alexnet predict": predict,
        "the same, the first time": ("env", "ALEXNET_CACHE={new}", *predict),
        "alexnet predict --exact": (*predict, "--exact"),
        "import torch": (*python, "import torch"),
        "import numpy and Pillow": (*python, "import numpy, PIL.Image"),
        "python without imports": (*python, ""),
        "import alexnet": (*python, "import alexnet"),
        "alexnet --help": (*ALEXNET, "--help"),
        "alexnet train quickstart, to its first step": (*python, FIRST_STEP, "{new}/run"),
    }
    if small:
        found["alexnet predict, the small one"] = (*ALEXNET, "predict", small, image)
    return found


def measure(command: tuple[str, ...]) -> Measured:
    """Run a command and wait for its end."""
    with tempfile.TemporaryDirectory() as new:
        words = [word.replace("{new}", new) for word in command]
        begin = time.perf_counter()
        silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
        process = os.posix_spawnp(words[0], words, os.environ, file_actions=silent)
        _, status, used = os.wait4(process, 0)
        seconds = time.perf_counter() - begin
    if status:
        sys.exit(f"{' '.join(words)!r} has failed: run it by itself")
    unit = 1 if sys.platform == "darwin" else 1024
    return Measured(
        seconds=seconds,
        cpu_seconds=used.ru_utime + used.ru_stime,
        peak_mb=used.ru_maxrss * unit / 1e6,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", metavar="RUN")
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument("--small", default="", help="a run of quickstart")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args()
    for path in filter(None, (flags.model, flags.image, flags.small)):
        if not Path(path).exists():
            parser.error(f"{path} does not exist")
    programs = commands(flags.model, flags.image, flags.small)
    found: dict[str, list[Measured]] = {name: [] for name in programs}
    measure(programs["alexnet predict"])  # fills the cache
    for _ in range(flags.repeats):
        for name, command in programs.items():
            found[name].append(measure(command))
    rows = {
        name: {
            "seconds": statistics.median(one.seconds for one in runs),
            "low": min(one.seconds for one in runs),
            "high": max(one.seconds for one in runs),
            "cpu_seconds": statistics.median(one.cpu_seconds for one in runs),
            "peak_mb": statistics.median(one.peak_mb for one in runs),
        }
        for name, runs in found.items()
    }
    if flags.json:
        print(json.dumps({"n": flags.repeats, "commands": rows}))
        return
    print(f"n = {flags.repeats}, in turn")
    for name, row in rows.items():
        print(
            f"{name:<46}{row['seconds']:7.3f} s  ({row['low']:.3f} to {row['high']:.3f})"
            f"{row['cpu_seconds']:8.3f} CPU s {row['peak_mb']:8.0f} MB"
        )


if __name__ == "__main__":
    main()
