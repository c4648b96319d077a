"""The measurements of gpu.py: training steps, gains of single operations, and PyTorch's speed.

Each measurement yields the rows of its table so far; the most telling ones come first.
"""

from __future__ import annotations

import contextlib
import gc
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from itertools import count, product
from pathlib import Path
from typing import Any
from unittest import mock

import checkout  # noqa: F401 - before the package itself
import numpy as np
import torch
from gpu_checks import Found
from parent_death import end_with_parent

from alexnet.benchmark.throughput import (
    make_matmul,
    make_train_step,
    random_images,
    training_flops,
)
from alexnet.benchmark.timing import Function, spread, time_interleaved
from alexnet.config.published_inputs import with_architecture
from alexnet.config.recipe import DataOptions, OptimizerOptions, Recipe
from alexnet.config.serialization import to_dict
from alexnet.data.source import ImageArray, Source
from alexnet.data.splits import Splits
from alexnet.data.store.build import prepare
from alexnet.data.store.store import Store
from alexnet.models.network import create_model
from alexnet.models.zoo import architecture
from alexnet.reporter import NullReporter
from alexnet.runtime.device import compute_dtype
from alexnet.training.late_check import build_late_check, count_figures
from alexnet.training.loop import take_step
from alexnet.training.setup import TrainingSetup, set_up_training
from alexnet.training.state import TrainState
from alexnet.training.step import UpdateSetup, network_inputs, update

PEERS = Path(__file__).resolve().with_name("peers.py")
PAPER_IMAGES = 90 * 1_200_000
"""Images of the paper's training: 90 cycles through 1.2 million (section 5)."""
NETWORKS = ("alexnet", "alexnet_bn", "alexnet_notebook")
BATCH_SIZES = (512, 128, 1024)
NUM_IMAGES = 2048
"""Number of images in the store: at least two batches of the largest size."""


def settings(tiny: bool) -> list[tuple[bool, int, str]]:
    """(compiled, batch size, network) of each setting: the paper's network at 512 first."""
    if tiny:
        return [(False, 2, "alexnet")]
    first = [(compile, 512, "alexnet") for compile in (False, True)]
    return list(dict.fromkeys(first + list(product((False, True), BATCH_SIZES, NETWORKS))))


def measure_training(device: str, tiny: bool) -> Iterator[Found]:
    """Measure training images per second by network, batch size and way of running.

    Of the update alone, whose images are augmented already, and of the whole step of a training.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for compile, batch_size, name in settings(tiny):
            row: Found = {"network": name, "batch size": batch_size, "compiled": compile}
            recipe = replace(
                with_architecture(Recipe(), name),
                optimizer=OptimizerOptions(lr=1e-3),
                batch_size=batch_size,
                device=device,
                compile=compile,
            )
            try:
                row |= _measure_setting(recipe, Path(folder), tiny)
            except Exception as error:
                row["failed"] = failure(error)
            rows.append(row)
            yield {"rows": rows}


def failure(error: Exception) -> str:
    """An error as a line."""
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]


def _measure_setting(recipe: Recipe, folder: Path, tiny: bool) -> Found:
    device = torch.device(recipe.device)
    _free_memory(device)
    setup = set_up(recipe, folder, 4 if tiny else NUM_IMAGES)
    steps = {"update": bare_update(setup), "whole step": whole_step(setup)}
    for step in 3 * list(steps.values()):
        step()
    peak = _peak_memory(device)
    steps["matmul"], matmul_flops = make_matmul(device, compute_dtype(device, recipe.precision))
    repeats, seconds = (2, 0.0) if tiny else (5, 0.2)
    times = time_interleaved(steps, repeats, device, min_seconds=seconds)
    rates = {name: spread([recipe.batch_size / t for t in times[name]]) for name in steps}
    flops = matmul_flops / statistics.median(times["matmul"])
    used = rates["update"].median * training_flops(setup.network.architecture)
    return {
        "update, images/s": to_dict(rates["update"]),
        "whole step, images/s": to_dict(rates["whole step"]),
        "resident": setup.loader.images is not None,
        "matmul TFLOP/s": flops / 1e12,
        "update / matmul": used / flops,
        "peak GB": peak / 1e9,
        "hours for 90 epochs": PAPER_IMAGES / rates["whole step"].median / 3600,
    }


def set_up(recipe: Recipe, folder: Path, num_images: int) -> TrainingSetup:
    """Set up what `alexnet train` sets up for a recipe, on images of noise."""
    num_classes = min(architecture(recipe.arch).num_classes, num_images)
    store = noise_store(recipe.data_options, num_images, num_classes, folder)
    nothing = np.zeros(0, np.int64)
    splits = Splits(train=np.arange(num_images), val=nothing, test=nothing)
    return set_up_training(recipe, NullReporter(), data=(store, splits))


@cache
def noise_store(options: DataOptions, num_images: int, num_classes: int, folder: Path) -> Store:
    """Build a store of noise images in a folder."""
    side = options.resize_size
    shape = (num_images, side, side, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    source = Source(
        name="noise",
        class_names=tuple(map(str, range(num_classes))),
        names=tuple(map(str, range(num_images))),
        labels=np.arange(num_images) % num_classes,
        splits=("",) * num_images,
        images=ImageArray(pixels),
    )
    return prepare(source, options.stored_form, cache=folder)


def bare_update(setup: TrainingSetup) -> Function:
    """An update by forward and backward pass, always with the same augmented images."""
    setup.learner.train()
    pixels, labels = next(setup.loader.epoch(0))
    images, targets, _ = network_inputs(setup, pixels, labels, 0)
    update_setup = UpdateSetup.of(setup)
    return lambda: update(update_setup, images, targets)


def whole_step(setup: TrainingSetup) -> Function:
    """A step as in `train_epoch`: next batch, augmentation, update, and the epoch's metrics."""
    state, late = TrainState(), build_late_check(setup)
    batches = (batch for epoch in count() for batch in setup.loader.epoch(epoch))

    def step() -> None:
        pixels, labels = next(batches)
        if before := take_step(setup, state, pixels, labels, setup.scheduler.lr(state.step), late):
            count_figures(setup, state, before)

    return step


def _peak_memory(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def _free_memory(device: torch.device) -> None:
    torch.compiler.reset()
    gc.collect()  # a compiled network refers to itself
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


ONE_PASS = "alexnet.ops.relu_norm_pool.ON_GPUS"
VARIANTS: dict[str, dict[str, object]] = {
    "ReLU, norm and pooling one after the other": {ONE_PASS: False},
    "the same, convolutions in torch's shapes": {
        ONE_PASS: False,
        "alexnet.models.modules.should_rewrite": lambda *_: False,
    },
    "ReLU, norm and pooling in one pass": {ONE_PASS: True},
}
"""Training steps that compute the same by other operations, as the attributes that each one
replaces. A failure of the last one, which has not run on a GPU yet, leaves the others."""


def measure_gains(device_name: str, tiny: bool) -> Iterator[Found]:
    """Measure milliseconds of an update of the paper's network with each of the `VARIANTS`."""
    device = torch.device(device_name)
    network = create_model("alexnet", device=device)
    images = random_images(network.architecture, 2 if tiny else 512, device)
    step = make_train_step(network, images, "auto")

    def changed_step(changes: dict[str, object]) -> None:
        with contextlib.ExitStack() as stack:
            for place, value in changes.items():
                stack.enter_context(mock.patch(place, value))
            step()

    steps, failed = dict[str, Callable[[], object]](), list[Found]()
    for name, changes in VARIANTS.items():
        try:
            changed_step(changes)
            changed_step(changes)
            steps[name] = partial(changed_step, changes)
        except Exception as error:
            failed.append({"update": name, "failed": failure(error)})
            yield {"rows": failed}
    repeats, seconds = (2, 0.0) if tiny else (15, 0.3)
    times = time_interleaved(steps, repeats, device, min_seconds=seconds)
    milliseconds = {name: to_dict(spread([1e3 * t for t in times[name]])) for name in steps}
    yield {"rows": [*({"update": name, "ms": ms} for name, ms in milliseconds.items()), *failed]}


WITH_NORM = ("ours", "tuned_pytorch", "plain_pytorch")
WITHOUT_NORM = ("ours_without_norm", "tuned_pytorch_without_norm")


def compare_with_pytorch(device: str, tiny: bool) -> Iterator[Found]:
    """Compare with PyTorch by `peers.py train` at batch size 512, with and without the norm."""
    rows = list[Found]()
    for programs in [("ours", "plain_pytorch")] if tiny else [WITH_NORM, WITHOUT_NORM]:
        batch_size, repeats = ("2", "2") if tiny else ("512", "9")
        command = [sys.executable, str(PEERS), "train", "--device", device, "--json"]
        command += ["--batch-size", batch_size, "--repeats", repeats, "--only", *programs]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, preexec_fn=end_with_parent
        )
        rows += _peers_rows(json.loads(done.stdout.strip().rpartition("\n")[2]))
        yield {"rows": rows}


def _peers_rows(result: dict[str, Any]) -> Iterator[Found]:
    """The rows of the table for a result of `peers.py`."""
    for name, ms in result["milliseconds"].items():
        (ratio,) = (value for key, value in ms.items() if key.startswith("times_"))
        yield {
            "program": name,
            "ms a step": {"n": result["n"]} | {k: ms[k] for k in ("median", "low", "high")},
            "images/s": 1e3 * result["batch_size"] / ms["median"],
            "times ours": ratio,
        }
    for name, why in result["missing"].items():
        yield {"program": name, "missing": why}
