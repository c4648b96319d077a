"""Run the harnesses and print what was tried, how it ended and what failed; exit 1 for a failure.

PYTHONPATH=src:tests python -m torture [--quick] [--only NAME ...] [--seed 0] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

from torture.tally import Tally, table


@dataclass(frozen=True, slots=True)
class Harness:
    """A module of this package, and how many cases it is given."""

    name: str
    full: int
    quick: int


HARNESSES = (
    Harness("kills", full=80, quick=8),
    Harness("kill_points", full=1000, quick=8),
    Harness("races", full=50, quick=4),
    Harness("full_disk", full=120, quick=4),
)


def main(words: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 when something failed."""
    flags = _flags(words)
    chosen = [harness for harness in HARNESSES if not flags.only or harness.name in flags.only]
    with ProcessPoolExecutor(flags.jobs, get_context("spawn")) as pool:
        begun = [
            pool.submit(
                run, harness.name, harness.quick if flags.quick else harness.full, flags.seed
            )
            for harness in chosen
        ]
        tallies = [future.result() for future in begun]
    print(table(tallies))
    if flags.out:
        _write(tallies, flags.out)
    return int(not all(tally.is_clean for tally in tallies))


def _flags(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="torture", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = [harness.name for harness in HARNESSES]
    parser.add_argument("--quick", action="store_true", help="a few cases of each")
    parser.add_argument("--only", nargs="+", choices=names, default=[], help="these harnesses")
    parser.add_argument("--seed", type=int, default=0, help="decides every case")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="harnesses at once")
    parser.add_argument("--out", type=Path, help="also write the table there: .json or .md")
    return parser.parse_args(words)


def run(name: str, count: int, seed: int) -> Tally:
    """One harness in a folder of its own, timed."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=f"torture-{name}-") as folder:
        tally: Tally = import_module(f"torture.{name}").torture(count, seed, Path(folder))
    tally = replace(tally, seconds=time.perf_counter() - began)
    print(f"{name}: {tally.tried:,} in {tally.seconds:.0f} s", file=sys.stderr, flush=True)
    return tally


def _write(tallies: Sequence[Tally], out: Path) -> None:
    """The tallies as JSON, or as Markdown where the name does not end in .json."""
    is_json = out.suffix == ".json"
    text = json.dumps([asdict(t) for t in tallies], indent=2) if is_json else table(tallies)
    out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
