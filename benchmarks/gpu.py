#!/usr/bin/env python3
"""Test and measure the package on one GPU: correctness first, then speed beside tuned PyTorch.

    python benchmarks/gpu.py [--out FILE.json] [--only tests,agreement,...] [--seconds 480]

Every section runs in a process of its own, since after a fault of a kernel a process can use its
GPU no more. What a section has measured is printed and, with --out, written to a JSON file at once.
All take about 9 minutes on one H100; a section is ended after its own limit, or when the seconds of
all are over. It needs the package's dependencies and those of its tests, and no installation.
--device cpu --tiny runs the sections in a small form, to test this script.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import math
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import checkout  # noqa: F401 - before the package itself
import torch

import alexnet
from alexnet.benchmark.throughput import (
    make_matmul,
    make_train_step,
    random_images,
    training_flops,
)
from alexnet.benchmark.timing import spread, time_interleaved
from alexnet.config.recipe import OptimizerOptions, Recipe
from alexnet.config.serialization import to_dict
from alexnet.io.files import write_text
from alexnet.models.network import Network, channels_last, compile_network, create_model
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import architecture
from alexnet.reporter import NullReporter, StepReport
from alexnet.runtime.device import compute_dtype
from alexnet.runtime.environment import describe_environment
from alexnet.runtime.signals import TrainingInterrupted
from alexnet.training.optimizers import build_optimizer
from alexnet.training.step import update

HERE = Path(__file__).resolve().parent
PR_SET_PDEATHSIG = 1
PAPER_IMAGES = 90 * 1_200_000
"""Images of the paper's training: 90 cycles through 1.2 million (section 5)."""


class Flags(argparse.Namespace):
    """Command line."""

    device: str
    tiny: bool
    out: str
    only: str
    seconds: float
    section: str


def run_tests(flags: Flags) -> Iterator[dict[str, Any]]:
    """`pytest -m gpu`, of the files that have such tests: others may need what is not installed."""
    if flags.tiny:
        yield {"left out": "there is no small form of the tests"}
        return
    tests = HERE.parent / "tests"
    files = [str(p) for p in sorted(tests.rglob("test_*.py")) if "mark.gpu" in p.read_text()]
    command = [sys.executable, "-m", "pytest", "-v", "-m", "gpu", "-p", "no:cacheprovider", *files]
    process = subprocess.Popen(
        command, cwd=HERE.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    passed, others, last = 0, [], ""
    for line in process.stdout:
        print(line, end="", flush=True)
        last = line.strip() or last
        passed += " PASSED" in line
        others += [last] if re.search(r" (FAILED|ERROR)", line) else []
        if "::" in line:
            yield {"passed": passed, "others": others, "last": last}
    yield {"exit_code": process.wait(), "passed": passed, "others": others, "last": last}


def compare_with_cpu(flags: Flags) -> Iterator[dict[str, Any]]:
    """Ten training steps of two networks, float32 without TF32: losses on the device and CPU."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    result = {}
    for name in ("alexnet", "alexnet_bn"):
        cpu, gpu = (_ten_losses(name, device) for device in ("cpu", flags.device))
        result[name] = max(abs(g / c - 1) for c, g in zip(cpu, gpu, strict=True))
        yield {"largest relative difference of a loss": result}


def _ten_losses(name: str, device: str) -> list[float]:
    options = ModelOptions(width=0.25, dropout=0.0)
    torch.manual_seed(0)
    network = channels_last(Network(variant(architecture(name), options, num_classes=10)))
    images, labels = random_images(network.architecture, 16, torch.device("cpu")), torch.arange(16)
    network, images, labels = network.to(device), images.to(device), (labels % 10).to(device)
    recipe = Recipe(precision="float32", optimizer=OptimizerOptions(lr=1e-3))
    optimizer = build_optimizer(network, recipe.optimizer)
    return [update(network, optimizer, images, labels, recipe)[0].item() for _ in range(10)]


class StopAt(NullReporter):
    """Sends SIGINT after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, report: StepReport) -> None:
        """Press Ctrl+C."""
        if report.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def quickstart(flags: Flags) -> Recipe:
    """The preset of this name."""
    recipe = replace(alexnet.preset("quickstart"), device=flags.device)
    few = replace(recipe.data_options, train_per_class=40, test_per_class=5)
    return replace(recipe, data_options=few) if flags.tiny else recipe


def check_resuming(flags: Flags) -> Iterator[dict[str, Any]]:
    """Whether a run that is stopped and resumed ends in the same bits as one that is not."""
    recipe = replace(quickstart(flags), epochs=2)
    with tempfile.TemporaryDirectory() as folder:
        whole = alexnet.train(recipe, out=f"{folder}/whole")
        with contextlib.suppress(TrainingInterrupted):
            alexnet.train(recipe, out=f"{folder}/stopped", reporter=StopAt(9))
        resumed = alexnet.resume(f"{folder}/stopped")
        a, b = (run.folder.path / "model.safetensors" for run in (whole, resumed))
        same_losses = whole.history == resumed.history
        yield {"same losses": same_losses, "same weights": a.read_bytes() == b.read_bytes()}


def train_to_accuracy(flags: Flags) -> Iterator[dict[str, Any]]:
    """The preset `quickstart`, whole: accuracy, and seconds without those that prepare the data."""
    recipe = replace(quickstart(flags), epochs=1) if flags.tiny else quickstart(flags)
    with tempfile.TemporaryDirectory() as folder:
        run = alexnet.train(recipe, out=f"{folder}/run")
    assert run.evaluation is not None
    yield {
        "test accuracy": run.evaluation.accuracy,
        "seconds": sum(epoch.elapsed_seconds for epoch in run.times),
        "images per second": statistics.median(t.images_per_second for t in run.times),
    }


def measure_training(flags: Flags) -> Iterator[list[dict[str, Any]]]:
    """Training images per second by network, batch size and way of running; compiled ones last."""
    sizes = {"alexnet": (512, 128, 1024), "alexnet_bn": (512,), "alexnet_notebook": (512,)}
    if flags.tiny:
        sizes = {"alexnet": (2,)}
    settings = [
        (name, batch_size, compile)
        for compile in ((False,) if flags.tiny else (False, True))
        for name, batch_sizes in sizes.items()
        for batch_size in batch_sizes
    ]
    results = []
    for name, batch_size, compile in settings:
        result = {"network": name, "batch size": batch_size, "compiled": compile}
        try:
            result |= _measure_setting(flags, name, batch_size, compile)
        except Exception as error:
            result["failed"] = failure(error)
        print(json.dumps(result), flush=True)
        results.append(result)
        yield results


def failure(error: Exception) -> str:
    """An error as a line."""
    return f"{type(error).__name__}: {error}"


def _measure_setting(flags: Flags, name: str, batch_size: int, compile: bool) -> dict[str, Any]:
    device = torch.device(flags.device)
    _free_memory(device)
    network = create_model(name, device=device)
    if compile:
        compile_network(network, device)
    step = make_train_step(network, random_images(network.architecture, batch_size, device), "auto")
    for _ in range(3):
        step()
    peak = _peak_memory(device)
    matmul, matmul_flops = make_matmul(device, compute_dtype(device, "auto"))
    repeats, seconds = (2, 0.0) if flags.tiny else (5, 0.3)
    times = time_interleaved({"step": step, "matmul": matmul}, repeats, device, min_seconds=seconds)
    rate = spread([batch_size / t for t in times["step"]])
    flops = matmul_flops / statistics.median(times["matmul"])
    return {
        "images per second": to_dict(rate),
        "fraction of the matmul's FLOP/s": rate.median
        * training_flops(network.architecture)
        / flops,
        "matmul TFLOP/s": flops / 1e12,
        "peak memory GB": peak / 1e9,
        "hours for the paper's 90 epochs": PAPER_IMAGES / rate.median / 3600,
    }


ONE_PASS = "alexnet.ops.relu_norm_pool.ON_GPUS"
VARIANTS: dict[str, dict[str, object]] = {
    "ReLU, norm and pooling one after the other": {ONE_PASS: False},
    "the same, convolutions in torch's shapes": {
        ONE_PASS: False,
        "alexnet.models.modules.should_rewrite": lambda *_: False,
    },
    "ReLU, norm and pooling in one pass": {ONE_PASS: True},
}
"""Steps that compute the same by other operations: what they change. A fault of the last one, which
has not run on a GPU yet, leaves the others."""


def measure_gains(flags: Flags) -> Iterator[dict[str, Any]]:
    """Seconds of a step of the paper's net as each of the `VARIANTS`, in turn."""
    device = torch.device(flags.device)
    _free_memory(device)
    network = create_model("alexnet", device=device)
    images = random_images(network.architecture, 2 if flags.tiny else 512, device)
    step = make_train_step(network, images, "auto")

    def changed_step(changes: dict[str, object]) -> None:
        with contextlib.ExitStack() as stack:
            for place, value in changes.items():
                stack.enter_context(mock.patch(place, value))
            step()

    steps: dict[str, Callable[[], object]] = {}
    failed = {}
    for name, changes in VARIANTS.items():
        try:
            changed_step(changes)
            changed_step(changes)
            steps[name] = partial(changed_step, changes)
        except Exception as error:
            failed[name] = {"failed": failure(error)}
            yield failed
    repeats, seconds = (2, 0.0) if flags.tiny else (15, 0.3)
    times = time_interleaved(steps, repeats, device, min_seconds=seconds)
    yield failed | {name: to_dict(spread(seconds)) for name, seconds in times.items()}


def _peak_memory(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def _free_memory(device: torch.device) -> None:
    torch.compiler.reset()
    gc.collect()  # a compiled network refers to itself
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def compare_with_pytorch(flags: Flags) -> Iterator[dict[str, Any]]:
    """`peers.py train` at batch size 512."""
    command = [sys.executable, str(HERE / "peers.py"), "train", "--device", flags.device, "--json"]
    batch_size, repeats = ("8", "2") if flags.tiny else ("512", "9")
    command += ["--batch-size", batch_size, "--repeats", repeats]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        yield {"exit_code": done.returncode, "failed": done.stderr[-2000:]}
        return
    yield json.loads(done.stdout.strip().rpartition("\n")[2])


SECTIONS: dict[str, tuple[Callable[[Flags], Iterator[Any]], int]] = {
    "tests": (run_tests, 240),
    "training": (measure_training, 200),
    "gains": (measure_gains, 60),
    "peers": (compare_with_pytorch, 150),
    "agreement": (compare_with_cpu, 60),
    "resuming": (check_resuming, 90),
    "accuracy": (train_to_accuracy, 60),
}
"""What measures a section, and how many seconds it may take; the most important ones first."""


def run_section(
    name: str, flags: Flags, keep: Callable[[Any], None], seconds: float = math.inf
) -> None:
    """Run a section in a process of its own, and keep what it has yielded, if need be in part.

    Args:
        name: of the section.
        flags: of the command line.
        keep: receives the result.
        seconds: that are left for all sections.
    """
    limit = min(SECTIONS[name][1], seconds)
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "part.json"
        command = [sys.executable, __file__, "--section", name, "--device", flags.device]
        command += ["--out", str(part), *(["--tiny"] if flags.tiny else [])]
        process, failed = subprocess.Popen(command, start_new_session=True), "interrupted"
        try:
            code = process.wait(None if flags.tiny else limit)
            failed = f"exit code {code}" if code else ""
        except subprocess.TimeoutExpired:
            failed = f"not finished after {limit:.0f} s"
        finally:  # also of an interruption
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with the processes that it has started
                process.wait()
            found = json.loads(part.read_text()) if part.exists() else None
            keep({"failed": failed, "until then": found} if failed else found)


def end_with_parent() -> None:
    """End this process when the one that started it is killed, so that the GPU is free again."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Run the sections; one that fails or hangs does not stop the next."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to test this script")
    parser.add_argument("--out", default="", help="a JSON file for the results")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, separated by commas")
    parser.add_argument("--seconds", type=float, default=480, help="for all sections together")
    parser.add_argument("--section", default="", help=argparse.SUPPRESS)
    flags = parser.parse_args(namespace=Flags())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    if flags.section:
        end_with_parent()
        for found in SECTIONS[flags.section][0](flags):
            write_text(Path(flags.out), json.dumps(found))
        return
    if unknown := set(flags.only.split(",")) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    results: dict[str, Any] = {
        "environment": to_dict(describe_environment(torch.device(flags.device)))
    }
    print(json.dumps(results["environment"]))
    begin = time.perf_counter()
    for name in flags.only.split(","):
        start = time.perf_counter()
        left = begin + flags.seconds - start
        if left <= 0 and not flags.tiny:
            results[name] = {"left out": "no time is left; see --seconds"}
        try:
            if name not in results:
                run_section(name, flags, partial(results.__setitem__, name), left)
        finally:
            seconds = results[f"{name} seconds"] = time.perf_counter() - start
            print(f"{name} ({seconds:.0f} s): {json.dumps(results.get(name))}", flush=True)
            if flags.out:
                write_text(Path(flags.out), json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
