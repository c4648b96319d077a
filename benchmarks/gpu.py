#!/usr/bin/env python3
"""Test and measure the package on one GPU: correctness first, then speed beside tuned PyTorch.

    python benchmarks/gpu.py [--out gpu.json] [--only tests,agreement,...] [--seconds 470]

Every section runs in a process of its own, since after a fault of a kernel a process can use its
GPU no more. Its table is printed, and everything so far written to a JSON file, when it ends. It
is ended after its part of the time, at most 8 minutes for all, and keeps what it has by then; time
that it leaves goes to those after it. The exit code is 1 if a section failed, which one that was
cut short did not. It needs the package's dependencies and those of its tests, and no installation.
--device cpu --tiny runs the sections in a small form, to test this script.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import checkout  # noqa: F401 - before the package itself
import torch
from gpu_checks import Found, check_resuming, compare_with_cpu, run_tests, train_to_accuracy
from gpu_speed import compare_with_pytorch, measure_gains, measure_training
from parent_death import end_with_parent

from alexnet.config.serialization import to_dict
from alexnet.io.files import write_text
from alexnet.io.tables import Table
from alexnet.runtime.environment import describe_environment

SECTIONS: dict[str, tuple[Callable[[str, bool], Iterator[Found]], int]] = {
    "tests": (run_tests, 120),
    "agreement": (compare_with_cpu, 30),
    "resuming": (check_resuming, 60),
    "training": (measure_training, 120),
    "gains": (measure_gains, 30),
    "peers": (compare_with_pytorch, 60),
    "accuracy": (train_to_accuracy, 50),
}
"""The function that measures a section, and the seconds it may take of the 470 of all sections."""


class Flags(argparse.Namespace):
    """The flags of the command line."""

    device: str
    tiny: bool
    out: str
    only: str
    seconds: float
    section: str


def limit_seconds(names: list[str], seconds: float) -> float:
    """The share of the seconds left that the first of the sections `names` may take."""
    return seconds * SECTIONS[names[0]][1] / sum(SECTIONS[name][1] for name in names)


def run_section(
    name: str, device: str, tiny: bool, limit: float, keep: Callable[[Found], None]
) -> None:
    """Run a section in a process of its own, and keep what it has found, if need be in part.

    Args:
        name: of the section.
        device: where it computes.
        tiny: whether in the small form, which has no limit.
        limit: seconds, after which it is ended.
        keep: receives the result, also when this is interrupted.
    """
    with tempfile.TemporaryDirectory() as folder:
        part, start = Path(folder) / "part.json", time.perf_counter()
        command = [sys.executable, __file__, "--section", name, "--device", device]
        command += ["--out", str(part), *(["--tiny"] if tiny else [])]
        process, ending, why = subprocess.Popen(command, start_new_session=True), "interrupted", ""
        try:
            code = process.wait(None if tiny else limit)
            ending, why = ("failed", f"exit code {code}") if code else ("finished", "")
        except subprocess.TimeoutExpired:
            ending, why = "not finished", f"ended after {limit:.0f} s"
        finally:  # also of an interruption
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with the processes that it has started
                process.wait()
            found = json.loads(part.read_text()) if part.exists() else {}
            keep(section_result(found, ending, why) | {"seconds": time.perf_counter() - start})


def section_result(found: Found, ending: str, why: str = "") -> Found:
    """The verdict on a section, the reason, and its findings; a failed check stays failed."""
    if reason := found.get("left out"):
        ending, why = "left out", reason
    elif found.get("passed") is False:
        ending = "failed"
    elif ending == "finished":
        ending, why = "passed" if "passed" in found else "measured", found.get("why", "")
        failed = sum("failed" in row for row in found.get("rows", []))
        why = f"{failed} of {len(found['rows'])} rows failed" if failed else why
    return {"verdict": ending, "why": why, "found": found}


def section_text(name: str, result: Found) -> str:
    """A section's verdict and its table."""
    why = f": {result['why']}" if result["why"] else ""
    rows = result["found"].get("rows", [])
    return "\n".join([f"\n{name}: {result['verdict']}{why}", *([table(rows)] if rows else [])])


def summary(sections: dict[str, Found]) -> str:
    """A text with one line for each section."""
    keys = ("verdict", "why", "seconds")
    rows = [{"section": name} | {key: one[key] for key in keys} for name, one in sections.items()]
    return f"\n{table(rows, left=3)}"


def table(rows: list[Found], left: int = 1) -> str:
    """Rows as a table of all their columns, the first ones aligned left."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [[cell(row.get(column, "")) for column in columns] for row in rows]
    return Table(tuple(columns), cells, left).as_text()


def cell(value: Any) -> str:
    """A value as text; repeated measurements as median and range."""
    match value:
        case bool():
            return "yes" if value else "no"
        case {"median": median, "low": low, "high": high}:
            return f"{cell(median)} ({cell(low)} to {cell(high)})"
        case float():
            return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
        case int():
            return f"{value:,}"
    return str(value)


def parse_flags() -> Flags:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to test this script")
    parser.add_argument(
        "--out", default="gpu.json", help="JSON file, overwritten, for the results (gpu.json)"
    )
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, separated by commas")
    parser.add_argument("--seconds", type=float, default=470, help="for all sections (470)")
    parser.add_argument("--section", default="", help=argparse.SUPPRESS)
    flags = parser.parse_args(namespace=Flags())
    if unknown := set(flags.only.split(",")) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    return flags


def run_sections(flags: Flags) -> dict[str, Found]:
    """Run the sections; one that fails or hangs does not stop the next."""
    names, end = list(dict.fromkeys(flags.only.split(","))), time.perf_counter() + flags.seconds
    sections: dict[str, Found] = {}
    environment = to_dict(describe_environment(torch.device(flags.device)))
    print(table([{"environment": k, "": v} for k, v in environment.items()], left=2))

    def keep(name: str, result: Found) -> None:
        sections[name] = result
        print(section_text(name, result), flush=True)
        results = {"environment": environment, "sections": sections}
        write_text(Path(flags.out), json.dumps(results, indent=1))

    for i, name in enumerate(names):
        limit = limit_seconds(names[i:], end - time.perf_counter())
        if limit <= 0 and not flags.tiny:
            found = {"left out": "no time is left; see --seconds"}
            keep(name, section_result(found, "finished") | {"seconds": 0.0})
            continue
        print(f"\n{name} ..", flush=True)
        run_section(name, flags.device, flags.tiny, limit, partial(keep, name))
    return sections


def main() -> None:
    """Run all sections, or only the one that a child process was started for."""
    flags = parse_flags()
    if flags.section:
        end_with_parent()
        for found in SECTIONS[flags.section][0](flags.device, flags.tiny):
            write_text(Path(flags.out), json.dumps(found))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    sections = run_sections(flags)
    print(f"{summary(sections)}\n\nresults  {flags.out}")
    sys.exit(1 if any(one["verdict"] == "failed" for one in sections.values()) else 0)


if __name__ == "__main__":
    main()
