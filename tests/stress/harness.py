"""One harness: its number of cases, and how it is run."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from stress.tally import Tally


@dataclass(frozen=True, slots=True)
class Harness:
    """A module of this package, and its number of cases."""

    name: str
    """The module's."""
    full: int
    """Cases of `make stress`."""
    quick: int
    """Cases of --quick."""


def run(name: str, count: int, seed: int) -> Tally:
    """Run one harness in its own folder, with its time."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=f"stress-{name}-") as folder:
        tally: Tally = import_module(f"stress.{name}").stress(count, seed, Path(folder))
    tally = replace(tally, seconds=time.perf_counter() - began)
    print(f"{name}: {tally.tried:,} in {tally.seconds:.0f} s", file=sys.stderr, flush=True)
    return tally
