"""Training speeds of networks on this machine: measured once, and kept in the cache folder.

There is a file for each CPU, GPU, version of torch, number of threads and device. It is read
without torch; `calibration.py` measures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from alexnet.config.recipe import DataOptions, OptimizerOptions, Recipe
from alexnet.config.serialization import to_dict
from alexnet.experiments.cost import runs_of
from alexnet.experiments.plan import DATASET_SIZES, Plan
from alexnet.io.files import write_text
from alexnet.io.paths import cache_folder
from alexnet.ops.cores import num_threads
from alexnet.reporter import ProgressCallback, ignore_progress
from alexnet.runtime.cpu import cpu_name, gpu_names, may_have_gpu

SPEEDS = "speeds"
"""Name of the folder in the cache."""
DIGITS = 16
"""Number of hexadecimal digits of a name."""


@dataclass(frozen=True, slots=True)
class Speeds:
    """The training speeds that are known of this machine, in images per second."""

    path: Path
    """The file in which they are kept."""
    device: str
    threads: int
    """Threads of every run."""
    by_network: dict[str, float]

    def __call__(self, recipe: Recipe) -> float | None:
        """Images per second of the recipe's network; None if it has not been measured."""
        return self.by_network.get(network_key(recipe))

    def measure(
        self, plans: Iterable[Plan], on_progress: ProgressCallback = ignore_progress
    ) -> None:
        """Measure the networks of plans that are not known yet, a second or two each."""
        recipes = [recipe for plan in plans for _, recipe, _ in runs_of(plan)]
        counted = [recipe for recipe in recipes if recipe.data in DATASET_SIZES]
        missing = {network_key(recipe): recipe for recipe in counted if self(recipe) is None}
        if not missing:
            return
        from alexnet.experiments.calibration import measure_speed  # imports torch

        for i, (key, recipe) in enumerate(missing.items()):
            on_progress(i, len(missing))
            speed = measure_speed(timed_recipe(recipe), self.device, self.threads)
            self.by_network[key] = round(speed, 1)
            write_text(self.path, json.dumps(self.by_network, indent=1) + "\n")
        on_progress(len(missing), len(missing))


def known_speeds(device: str = "auto", jobs: int = 1) -> Speeds:
    """The speeds that were measured on this machine before.

    Args:
        device: auto, cpu or cuda.
        jobs: runs at once, which share the threads.
    """
    threads = max(1, num_threads() // jobs)
    gpus = gpu_names() if device != "cpu" and may_have_gpu() else ()
    machine = (cpu_name(), version("torch"), str(threads), device, *gpus)
    path = cache_folder() / SPEEDS / f"{_short_hash(machine)}.json"
    return Speeds(path, device, threads, _read(path))


def network_key(recipe: Recipe) -> str:
    """A hash of all that the speed depends on."""
    return _short_hash(to_dict(timed_recipe(recipe)))


def timed_recipe(recipe: Recipe) -> Recipe:
    """The recipe without what hardly changes the speed, so that fewer are measured."""
    options = recipe.data_options
    sizes = ("resize_size", "crop_size", "padding")
    return Recipe(
        data=recipe.data,
        arch=recipe.arch,
        model=replace(recipe.model, init="published", bias=None),
        data_options=DataOptions(**{name: getattr(options, name) for name in sizes}),
        augment=recipe.augment,
        optimizer=OptimizerOptions(optimizer=recipe.optimizer.optimizer),
        batch_size=recipe.batch_size,
        precision=recipe.precision,
        freeze_up_to=recipe.freeze_up_to,
    )


def _short_hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _read(path: Path) -> dict[str, float]:
    """The speeds in a file; none if it is missing or damaged, since they can be measured again."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    pairs = plain.items() if isinstance(plain, dict) else ()
    return {key: speed for key, speed in pairs if isinstance(speed, float) and speed > 0}
