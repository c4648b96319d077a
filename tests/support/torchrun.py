"""Trainings that the real torchrun starts: a small run on drawn images, and its progress."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_json
from alexnet.training.run_folder import read_recipe

SOURCE = Path(__file__).parents[2] / "src"
TRAIN = ("-m", "alexnet", "train", "--config", "config.json", "--out", "run")
MANY_EPOCHS = 100_000
TIMEOUT_SECONDS = 150.0
"""Of anything; a busy machine may take a minute to import torch."""


@dataclass(frozen=True)
class Job:
    """A command that torchrun starts, in a folder of its own."""

    place: Path

    @property
    def out(self) -> Path:
        """The run folder."""
        return self.place / "run"

    def words(self, *flags: str) -> list[str]:
        """The command, with flags of torchrun."""
        return [sys.executable, "-m", "torch.distributed.run", *flags, *TRAIN]

    def words_of_rank(self, rank: int, address: str) -> list[str]:
        """The command as one of two processes, each on a host of its own, without torchrun.

        The process of rank 0, whose host has this address, keeps the store.
        """
        own = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1}
        environment = {**own, "MASTER_ADDR": address, "MASTER_PORT": 29500}
        return ["env", *(f"{k}={v}" for k, v in environment.items()), sys.executable, *TRAIN]

    def recipe(self) -> Recipe:
        """What it trains."""
        return read_recipe(self.place / "config.json")

    def epochs(self) -> int:
        """The number of finished epochs."""
        path = self.out / "metrics.jsonl"
        return len(path.read_bytes().splitlines()) if path.exists() else 0

    def has_resumed(self) -> bool:
        """Whether the run was resumed from a checkpoint."""
        path = self.out / "run.log"
        return path.exists() and "resuming after step" in path.read_text()

    @contextmanager
    def start(self, words: Sequence[str], log: str) -> Iterator[subprocess.Popen[bytes]]:
        """A context in which a command runs; it is killed at the end."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(SOURCE),
            "ALEXNET_CACHE": str(self.place / "cache"),
            "OMP_NUM_THREADS": "1",
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        }
        with (self.place / log).open("wb") as file:
            process = subprocess.Popen(
                words, cwd=self.place, env=environment, stdout=file, stderr=file
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait()


def write_job(recipe: Recipe, place: Path, epochs: int) -> Job:
    """A job that trains a recipe, saved every third step."""
    place.mkdir(exist_ok=True)
    recipe = replace(recipe, epochs=epochs, save_every_minutes=1e6, save_every_steps=3)
    (place / "config.json").write_text(to_json(recipe))
    return Job(place)


def wait_for_epochs(job: Job, count: int) -> None:
    """Wait until a run has finished so many epochs."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while job.epochs() < count:
        assert time.monotonic() < end, f"{job.epochs()} of {count} epochs"
        time.sleep(0.05)


def wait_until_resumed(job: Job) -> None:
    """Wait until a run has been resumed, and has trained an epoch more."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while not job.has_resumed():
        assert time.monotonic() < end, "not resumed"
        time.sleep(0.05)
    wait_for_epochs(job, job.epochs() + 1)


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
