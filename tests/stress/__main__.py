"""Run the harnesses; print the number of cases, how they ended and what failed.

The exit code is 1 if anything failed.

PYTHONPATH=src:tests python -m stress [--quick] [--only NAME ...] [--seed 0] [--out FILE]

One harness runs per CPU core at a time, each in its own process and folder.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

from stress.harness import Harness, run
from stress.tally import Tally, table

HARNESSES = (
    Harness("kills", full=80, quick=8),
    Harness("kill_points", full=1000, quick=8),
    Harness("ranks", full=30, quick=4),
    Harness("races", full=50, quick=4),
    Harness("full_disk", full=120, quick=4),
    Harness("images", full=5500, quick=60),
    Harness("files", full=2200, quick=40),
    Harness("uploads", full=2000, quick=40),
)
WITH_SCHEMATHESIS = Harness("requests", full=10_000, quick=100)
"""Run where it is asked for by name, as it needs a program that is not a dependency."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the chosen harnesses; 1 if something failed."""
    flags = _flags(words)
    known = (*HARNESSES, WITH_SCHEMATHESIS)
    chosen = [h for h in known if h.name in flags.only] if flags.only else HARNESSES
    with ProcessPoolExecutor(flags.jobs, get_context("spawn")) as pool:
        futures = [
            pool.submit(
                run, harness.name, harness.quick if flags.quick else harness.full, flags.seed
            )
            for harness in chosen
        ]
        tallies = [future.result() for future in futures]
    print(table(tallies))
    if flags.out:
        _write(tallies, flags.out)
    return int(not all(tally.is_clean for tally in tallies))


def _flags(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="stress", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = [harness.name for harness in (*HARNESSES, WITH_SCHEMATHESIS)]
    parser.add_argument("--quick", action="store_true", help="a few cases of each")
    parser.add_argument("--only", nargs="+", choices=names, default=[], help="these harnesses")
    parser.add_argument("--seed", type=int, default=0, help="decides every case")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="harnesses at once")
    parser.add_argument("--out", type=Path, help="also write the table there: .json or .md")
    return parser.parse_args(words)


def _write(tallies: Sequence[Tally], out: Path) -> None:
    """The tallies as JSON, or as Markdown where the name does not end in .json."""
    is_json = out.suffix == ".json"
    text = json.dumps([asdict(t) for t in tallies], indent=2) if is_json else table(tallies)
    out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
