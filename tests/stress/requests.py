"""Requests that schemathesis makes of the server's own description, right and wrong ones.

None may get a status of 500 or above but 503, and every answer must be as the description says.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from urllib.request import urlopen

from stress.tally import Tally, counted
from support.narrow_nets import narrow_classifier
from support.server_process import Server, running_server

PROGRAM = "schemathesis"
EXAMPLES = 100
"""Of each operation and phase, in one run of the program: some 1,000 requests to each path."""
UNDESCRIBED = "positive_data_acceptance"
"""The check that what the description allows is accepted: of names of models, layers and classes
only the server knows which there are."""
PATHS = "^/v1/"
"""Of the API; the others have neither body nor options."""
MAX_SECONDS = 900
"""Of one run."""
SHOWN_CHARS = 3000


def stress(count: int, seed: int, folder: Path) -> Tally:
    """Send at least `count` requests to one server.

    Raises:
        RuntimeError: schemathesis is not installed.
    """
    if not shutil.which(PROGRAM):
        raise RuntimeError(f"{PROGRAM} is not on the PATH; install it: pip install {PROGRAM}")
    model = folder / "model.safetensors"
    narrow_classifier("lenet5").save(model)
    failures: list[str] = []
    statuses = dict[str, int]()
    with running_server(model, "--receive-seconds", 5) as server:
        while sum(statuses.values()) < count and not failures:
            failures += run_once(server, min(EXAMPLES, max(1, count // 50)), seed, folder)
            statuses, seed = answered(server), seed + 1
        if server.process.poll() is not None:
            failures.append("the server has ended")
    bad = [status for status in statuses if status >= "500" and status != "503"]
    failures += [f"{statuses[status]} answers of status {status}" for status in bad]
    outcomes = [status for status, number in statuses.items() for _ in range(number)]
    return counted("requests of schemathesis", outcomes, failures)


def run_once(server: Server, examples: int, seed: int, folder: Path) -> list[str]:
    """What one run of schemathesis finds wrong."""
    words = [
        PROGRAM, "run", f"{server.url}/openapi.json", "--max-examples", str(examples),
        "--seed", str(seed), "--max-time", str(MAX_SECONDS), "--no-color", "--no-shrink",
        "--include-path-regex", PATHS, "--exclude-checks", UNDESCRIBED,
        "--phases", "coverage,fuzzing",
    ]  # fmt: skip
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    return [f"seed {seed}: {done.stdout[-SHOWN_CHARS:]}{done.stderr}"] if done.returncode else []


def answered(server: Server) -> dict[str, int]:
    """From each status to the number of answers, as the server has counted."""
    with urlopen(f"{server.url}/metrics") as answer:
        text = answer.read().decode()
    found = re.findall(r'^alexnet_requests_total\{.*status="(\d+)"\} ([\d.e+]+)$', text, re.M)
    totals = dict[str, int]()
    for status, number in found:
        totals[status] = totals.get(status, 0) + int(float(number))
    return totals
