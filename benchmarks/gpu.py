#!/usr/bin/env python3
"""Test and measure the package on one GPU: correctness first, then speed beside tuned PyTorch.

    python benchmarks/gpu.py [--out FILE.json] [--only tests,agreement,...]

Every section prints its lines and, with --out, is written to a JSON file as soon as it ends. About
8 minutes on one H100. --device cpu --tiny runs every section in a small form, to test this script.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

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
PAPER_IMAGES = 90 * 1_200_000
"""Images of the paper's training: 90 cycles through 1.2 million (section 5)."""


class Flags(argparse.Namespace):
    """Command line."""

    device: str
    tiny: bool
    out: str
    only: str


def run_tests(flags: Flags) -> dict[str, Any]:
    """`pytest -m gpu`, of the files that have such tests: others may need what is not installed."""
    tests = HERE.parent / "tests"
    files = [str(p) for p in sorted(tests.rglob("test_*.py")) if "mark.gpu" in p.read_text()]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True)
    print(done.stdout[-3000:] if done.returncode else "")
    return {"exit_code": done.returncode, "summary": done.stdout.strip().rpartition("\n")[2]}


def compare_with_cpu(flags: Flags) -> dict[str, Any]:
    """Ten training steps of two networks, float32 without TF32: losses on the device and CPU."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    result = {}
    for name in ("alexnet", "alexnet_bn"):
        cpu, gpu = (_ten_losses(name, device) for device in ("cpu", flags.device))
        result[name] = max(abs(g / c - 1) for c, g in zip(cpu, gpu, strict=True))
    torch.backends.cudnn.allow_tf32 = True
    return {"largest relative difference of a loss": result}


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


def check_resuming(flags: Flags) -> dict[str, Any]:
    """Whether a run that is stopped and resumed ends in the same bits as one that is not."""
    recipe = replace(alexnet.preset("quickstart"), epochs=2, device=flags.device)
    with tempfile.TemporaryDirectory() as folder:
        whole = alexnet.train(recipe, out=f"{folder}/whole")
        with contextlib.suppress(TrainingInterrupted):
            alexnet.train(recipe, out=f"{folder}/stopped", reporter=StopAt(9))
        resumed = alexnet.resume(f"{folder}/stopped")
        a, b = (run.folder.path / "model.safetensors" for run in (whole, resumed))
        same_losses = whole.history == resumed.history
        return {"same losses": same_losses, "same weights": a.read_bytes() == b.read_bytes()}


def train_to_accuracy(flags: Flags) -> dict[str, Any]:
    """The preset `quickstart`, whole: accuracy and seconds."""
    recipe = replace(alexnet.preset("quickstart"), device=flags.device)
    recipe = replace(recipe, epochs=1) if flags.tiny else recipe
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run = alexnet.train(recipe, out=f"{folder}/run")
        seconds = time.perf_counter() - start
    assert run.evaluation is not None
    return {
        "test accuracy": run.evaluation.accuracy,
        "seconds": seconds,
        "images per second": statistics.median(t.images_per_second for t in run.times),
    }


def measure_training(flags: Flags) -> list[dict[str, Any]]:
    """Training images per second by network, batch size and way of running."""
    sizes = {"alexnet": (128, 512, 1024), "alexnet_bn": (512,), "alexnet_notebook": (512,)}
    if flags.tiny:
        sizes = {"alexnet": (8,)}
    settings = [
        (name, batch_size, compile)
        for name, batch_sizes in sizes.items()
        for batch_size in batch_sizes
        for compile in ((False,) if flags.tiny else (False, True))
    ]
    return [_measure_setting(flags, *setting) for setting in settings]


def _measure_setting(flags: Flags, name: str, batch_size: int, compile: bool) -> dict[str, Any]:
    device = torch.device(flags.device)
    _free_memory(device)
    network = create_model(name, device=device)
    if compile:
        compile_network(network, device)
    step = make_train_step(network, random_images(network.architecture, batch_size, device), "auto")
    for _ in range(3):
        step()
    matmul, matmul_flops = make_matmul(device, compute_dtype(device, "auto"))
    times = time_interleaved({"step": step, "matmul": matmul}, 5, device, min_seconds=0.3)
    rate = spread([batch_size / t for t in times["step"]])
    flops = matmul_flops / statistics.median(times["matmul"])
    result = {
        "network": name,
        "batch size": batch_size,
        "compiled": compile,
        "images per second": to_dict(rate),
        "fraction of the matmul's FLOP/s": rate.median
        * training_flops(network.architecture)
        / flops,
        "matmul TFLOP/s": flops / 1e12,
        "peak memory GB": _peak_memory(device) / 1e9,
        "hours for the paper's 90 epochs": PAPER_IMAGES / rate.median / 3600,
    }
    print(json.dumps(result), flush=True)
    return result


VARIANTS: dict[str, tuple[str, object]] = {
    "ReLU, norm and pooling in one pass": ("alexnet.ops.relu_norm_pool.ON_GPUS", True),
    "convolutions in torch's shapes": ("alexnet.models.modules.should_rewrite", lambda *_: False),
}
"""What is changed for a step that computes the same by other operations."""


def measure_gains(flags: Flags) -> dict[str, Any]:
    """Seconds of a step of the paper's net, as it is and as each of the `VARIANTS`, in turn."""
    device = torch.device(flags.device)
    _free_memory(device)
    network = create_model("alexnet", device=device)
    images = random_images(network.architecture, 8 if flags.tiny else 512, device)
    step = make_train_step(network, images, "auto")

    def changed_step(place: str, value: object) -> None:
        with mock.patch(place, value):
            step()

    steps = {name: partial(changed_step, *change) for name, change in VARIANTS.items()}
    steps["as it is"] = step
    for one in (*steps.values(), *steps.values()):
        one()
    times = time_interleaved(steps, 2 if flags.tiny else 15, device, min_seconds=0.3)
    return {name: to_dict(spread(seconds)) for name, seconds in times.items()}


def _peak_memory(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def _free_memory(device: torch.device) -> None:
    torch.compiler.reset()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def compare_with_pytorch(flags: Flags) -> dict[str, Any]:
    """`peers.py train` at batch size 512."""
    command = [sys.executable, str(HERE / "peers.py"), "train", "--device", flags.device, "--json"]
    command += [
        "--batch-size",
        "8" if flags.tiny else "512",
        "--repeats",
        "2" if flags.tiny else "9",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stderr[-2000:] if done.returncode else "")
    result: dict[str, Any] = json.loads(done.stdout.strip().rpartition("\n")[2] or "{}")
    return result


SECTIONS: dict[str, Callable[[Flags], Any]] = {
    "tests": run_tests,
    "agreement": compare_with_cpu,
    "resuming": check_resuming,
    "gains": measure_gains,
    "training": measure_training,
    "accuracy": train_to_accuracy,
    "peers": compare_with_pytorch,
}


def main() -> None:
    """Run the sections; a section that fails does not stop the next."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to test this script")
    parser.add_argument("--out", default="", help="a JSON file for the results")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, separated by commas")
    flags = parser.parse_args(namespace=Flags())
    results: dict[str, Any] = {
        "environment": to_dict(describe_environment(torch.device(flags.device)))
    }
    print(json.dumps(results["environment"]))
    for name in flags.only.split(","):
        start = time.perf_counter()
        try:
            results[name] = SECTIONS[name](flags)
        except Exception as error:
            results[name] = {"failed": f"{type(error).__name__}: {error}"}
        results[f"{name} seconds"] = time.perf_counter() - start
        print(
            f"{name} ({results[f'{name} seconds']:.0f} s): {json.dumps(results[name])}", flush=True
        )
        if flags.out:
            write_text(Path(flags.out), json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
