"""The checks of gpu.py: the tests, agreement with the CPU, resuming, and accuracy.

Each check yields what it has found so far: whether it has passed, and the rows of its table.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import checkout  # noqa: F401 - before the package itself
import torch
from parent_death import end_with_parent

import alexnet
from alexnet.benchmark.throughput import random_images
from alexnet.config.recipe import OptimizerOptions, Recipe
from alexnet.data.datasets import flowers17
from alexnet.io.paths import find
from alexnet.models.network import Network, channels_last
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import architecture
from alexnet.reporter import NullReporter, StepReport
from alexnet.runtime.signals import TrainingInterrupted
from alexnet.training.step import set_up_update, update

Found: TypeAlias = dict[str, Any]
TESTS = Path(__file__).resolve().parents[1] / "tests"
OUTCOME = re.compile(r"(\S+::.*) (PASSED|FAILED|ERROR|SKIPPED|XFAIL)\b")
MAX_DIFFERENCE = 1e-4
"""Maximum difference of a loss on the device from the CPU's, relative to that."""
MIN_ACCURACY = {"quickstart": 0.90, "flowers17": 0.75}
"""Minimum accuracy on the test images, by preset. README has 92.5 to 94.2 and 86.8 to 88.8 %; the
published splits of flowers17 have a third fewer training images."""


def run_tests(device: str, tiny: bool) -> Iterator[Found]:
    """Run `pytest -m gpu` on the files with such tests; others may need packages not installed."""
    if tiny:
        yield {"left out": "there is no small form of the tests"}
        return
    files = [str(p) for p in sorted(TESTS.rglob("test_*.py")) if "mark.gpu" in p.read_text("utf-8")]
    command = [sys.executable, "-m", "pytest", "-v", "-m", "gpu", "-p", "no:cacheprovider", *files]
    counts, failed, last = Counter[str](), list[str](), ""
    with subprocess.Popen(
        command,
        cwd=TESTS.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=end_with_parent,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
            if outcome := OUTCOME.search(line):
                counts[outcome[2].lower()] += 1
                failed += [outcome[1]] if outcome[2] in ("FAILED", "ERROR") else []
                yield {"passed": not failed, "rows": [dict(counts)], "failed tests": failed}
    passed = process.returncode == 0 and counts["passed"] > 0
    yield {"passed": passed, "rows": [dict(counts)], "failed tests": failed, "last line": last}


def compare_with_cpu(device: str, tiny: bool) -> Iterator[Found]:
    """Compare the losses of ten float32 training steps (no TF32) on the device and on the CPU."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    rows, passed = [], True
    for name in ("alexnet", "alexnet_bn"):
        cpu, gpu = _ten_losses(name, "cpu"), _ten_losses(name, device)
        difference = max(abs(g / c - 1) for c, g in zip(cpu, gpu, strict=True))
        passed &= difference <= MAX_DIFFERENCE
        rows.append({"network": name, "largest difference": difference, "bound": MAX_DIFFERENCE})
        yield {"passed": passed, "rows": rows}


def _ten_losses(name: str, device: str) -> list[float]:
    options = ModelOptions(width=0.25, dropout=0.0)
    torch.manual_seed(0)
    network = channels_last(Network(variant(architecture(name), options, num_classes=10)))
    images, labels = random_images(network.architecture, 16, torch.device("cpu")), torch.arange(16)
    network, images, labels = network.to(device), images.to(device), (labels % 10).to(device)
    recipe = Recipe(precision="float32", optimizer=OptimizerOptions(lr=1e-3))
    setup = set_up_update(network, recipe)
    return [update(setup, images, labels)[0].item() for _ in range(10)]


class StopAt(NullReporter):
    """Sends SIGINT after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, report: StepReport) -> None:
        """Send SIGINT to this process, as Ctrl+C does."""
        if report.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def small_preset(name: str, device: str, tiny: bool) -> Recipe:
    """The preset of this name; in the small form a narrow network on few images."""
    recipe = replace(alexnet.preset(name), device=device)
    if not tiny:
        return recipe
    few = replace(recipe.data_options, train_per_class=20, test_per_class=5)
    narrow = replace(recipe.model, width=0.25)
    return replace(recipe, data_options=few, model=narrow, batch_size=32, epochs=1)


def check_resuming(device: str, tiny: bool) -> Iterator[Found]:
    """Check that a stopped and resumed run ends in the same bits as an uninterrupted one.

    It fails only where two runs that are not stopped have the same bits, which no GPU guarantees.
    """
    recipe = replace(small_preset("quickstart", device, tiny), epochs=2)
    with tempfile.TemporaryDirectory() as folder:
        whole, twin = (
            alexnet.train(recipe, out=f"{folder}/{name}", reporter=None) for name in ("a", "b")
        )
        with contextlib.suppress(TrainingInterrupted):
            alexnet.train(recipe, out=f"{folder}/stopped", reporter=StopAt(9))
        resumed = alexnet.resume(f"{folder}/stopped", reporter=None)
        same, same_twin = same_bits(whole, resumed), same_bits(whole, twin)
    rows = [
        {"compared": what, "same bits": same[what], "of two equal runs": same_twin[what]}
        for what in same
    ]
    if all(same.values()) or all(same_twin.values()):
        yield {"passed": all(same.values()), "rows": rows}
    else:
        yield {"why": "two equal runs differ, too", "rows": rows}


def same_bits(one: alexnet.Run, other: alexnet.Run) -> dict[str, bool]:
    """Whether two runs have the same losses and the same weights, bit for bit."""
    a, b = (run.folder.model.read_bytes() for run in (one, other))
    return {"losses": one.history == other.history, "weights": a == b}


def train_to_accuracy(device: str, tiny: bool) -> Iterator[Found]:
    """Train the presets `quickstart` and, if its images are here, `flowers17` to their end."""
    rows, passed = list[Found](), True
    for name in ("quickstart",) if tiny else MIN_ACCURACY:
        row = {"left out": why} if (why := missing(name)) else train_preset(name, device, tiny)
        passed &= "left out" in row or row["test accuracy"] >= row["at least"]
        rows.append({"preset": name} | row)
        yield {"passed": passed, "rows": rows}


def train_preset(name: str, device: str, tiny: bool) -> Found:
    """Train a preset; return its accuracy, and its seconds without preparing the data."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = small_preset(name, device, tiny)
        run = alexnet.train(recipe, out=f"{folder}/run", reporter=None)
    assert run.evaluation is not None
    return {
        "test accuracy": run.evaluation.accuracy,
        "at least": 0.0 if tiny else MIN_ACCURACY[name],
        "seconds": sum(epoch.elapsed_seconds for epoch in run.times),
        "images/s": statistics.median(epoch.images_per_second for epoch in run.times),
    }


def missing(name: str) -> str:
    """The reason why a preset's data is missing; "" if it is not. Nothing is downloaded."""
    first = flowers17.NAMES[0]
    places = (f"17flowers/jpg/{first}", f"jpg/{first}", flowers17.ARCHIVE)
    if name != "flowers17" or find("", places):
        return ""
    return f"{flowers17.ARCHIVE} is not in $ALEXNET_DATA"
