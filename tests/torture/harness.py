"""One harness: how many cases it is given, and how it is run."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from torture.tally import Tally


@dataclass(frozen=True, slots=True)
class Harness:
    """A module of this package, and how many cases it is given."""

    name: str
    """The module's."""
    full: int
    """Cases of `make torture`."""
    quick: int
    """Cases of --quick."""


def run(name: str, count: int, seed: int) -> Tally:
    """One harness in a folder of its own, timed."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=f"torture-{name}-") as folder:
        tally: Tally = import_module(f"torture.{name}").torture(count, seed, Path(folder))
    tally = replace(tally, seconds=time.perf_counter() - began)
    print(f"{name}: {tally.tried:,} in {tally.seconds:.0f} s", file=sys.stderr, flush=True)
    return tally
