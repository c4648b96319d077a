"""What is stressed: training of small nets on small images, and the preparation of a store."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from alexnet.config.augmentation import Augmentation
from alexnet.config.recipe import DataOptions, LRSchedule, OptimizerOptions, Recipe
from alexnet.config.serialization import to_json
from alexnet.data.datasets.toyflowers import dataset as toyflowers
from alexnet.models.variants import ModelOptions
from stress.children import Child, Ended, Setup, start

MEASURED = ("times.jsonl", "result.json", "environment.json", "run.log")
"""Files of a run that the recipe does not determine: times, the machine, and interruptions."""


class Subject(Protocol):
    """A command, and what it writes when it is undisturbed."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def seconds(self) -> float:
        """Time that it takes undisturbed."""

    def start(self, place: Path, log: Path, setup: tuple[Setup, ...] = ()) -> Child:
        """Start the command, or the command that resumes it, in a folder."""

    def difference(self, place: Path) -> str:
        """What in the folder differs from the undisturbed result; "" if nothing."""

    def num_bytes(self) -> tuple[int, int]:
        """Size of the largest file, and of all files together, when undisturbed."""


@dataclass(frozen=True, eq=False)
class Training:
    """A run."""

    name: str
    config: Path
    whole: Path
    """Its folder when undisturbed."""
    cache: Path
    """With the store of its images."""
    seconds: float = 0.0

    def words(self, out: Path) -> list[str]:
        """The command that starts the run, or resumes it if it exists."""
        if out.exists():
            return ["train", "--resume", str(out)]
        return ["train", "--config", str(self.config), "--out", str(out)]

    def start(self, place: Path, log: Path, setup: tuple[Setup, ...] = ()) -> Child:
        """Start or resume the run in `place/run`."""
        return start(self.words(place / "run"), cache=self.cache, log=log, setup=setup)

    def difference(self, place: Path) -> str:
        """What in `place/run` differs from the undisturbed run."""
        return folders_differ(self.whole, place / "run", MEASURED)

    def num_bytes(self) -> tuple[int, int]:
        """Size of the largest file, and of all together."""
        return folder_bytes(self.whole)


@dataclass(frozen=True, eq=False)
class Preparing:
    """A store."""

    words: list[str]
    whole: Path
    """Its folder when undisturbed."""
    seconds: float
    name: str = "preparing"

    def start(self, place: Path, log: Path, setup: tuple[Setup, ...] = ()) -> Child:
        """Start or resume the store in the cache `place/cache`."""
        return start(self.words, cache=place / "cache", log=log, setup=setup)

    def difference(self, place: Path) -> str:
        """What in the store differs from the undisturbed one, or a partial store beside it."""
        stores = place / "cache" / "stores"
        if partial := list(stores.glob("*.partial")):
            return f"{partial[0].name} is left"
        return folders_differ(self.whole, stores / self.whole.name)

    def num_bytes(self) -> tuple[int, int]:
        """Size of the largest file, and of all together."""
        return folder_bytes(self.whole)


def attempt(subject: Subject, place: Path, log: Path, setup: tuple[Setup, ...] = ()) -> Ended:
    """Run a subject's command to its end."""
    return subject.start(place, log, setup).wait()


def recipes(images: Path, epochs: int) -> tuple[Recipe, ...]:
    """Three runs that differ in architecture, optimizer, splits, and checkpoint interval."""
    every_step = Recipe(
        name="every_step",
        data=str(images / "with_val"),
        arch="alexnet_bn",
        model=ModelOptions(width=0.05, input_size=67),
        data_options=DataOptions(resize_size=72),
        augment=Augmentation(min_scale=0.5, max_aspect_ratio=1.2),
        optimizer=OptimizerOptions(optimizer="adamw", lr=2e-3),
        schedule=LRSchedule(schedule="cosine", warmup_steps=2),
        epochs=epochs,
        batch_size=8,
        precision="float32",
        save_every_minutes=0.0,
        keep_state=False,
    )
    some_steps = replace(
        every_step,
        name="some_steps",
        arch="lenet5",
        model=ModelOptions(width=0.5),
        data_options=DataOptions(resize_size=32),
        optimizer=OptimizerOptions(optimizer="paper", lr=0.01),
        schedule=LRSchedule(schedule="plateau", plateau_patience=1),
        save_every_minutes=1e6,
        save_every_steps=3,
        keep_checkpoints=1,
    )
    rarely = replace(
        some_steps,
        name="rarely",
        data=str(images / "no_val"),
        augment=Augmentation(cutmix=0.5),
        optimizer=OptimizerOptions(optimizer="keras_adam", lr=1e-3),
        save_every_steps=7,
        keep_checkpoints=3,
    )
    return every_step, some_steps, rarely


def paint_images(folder: Path) -> None:
    """Small flowers, once with and once without validation images."""
    for name, val in (("with_val", 1), ("no_val", 0)):
        toyflowers.write(
            folder / name, train_per_class=3, val_per_class=val, test_per_class=1, side=40
        )


def train_undisturbed(recipe: Recipe, folder: Path, setup: tuple[Setup, ...] = ()) -> Training:
    """An undisturbed run, made twice to check that the recipe determines it.

    Raises:
        RuntimeError: it failed, or the second run differs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config, place = folder / f"{recipe.name}.json", folder / recipe.name
    config.write_text(to_json(recipe))
    subject = Training(recipe.name, config, place / "run", folder / "cache")
    run_undisturbed(subject, place, setup)  # also prepares the images
    ended = run_undisturbed(subject, folder / f"{recipe.name}-again", setup)
    if difference := subject.difference(folder / f"{recipe.name}-again"):
        raise RuntimeError(f"{recipe.name} differs when it is run again: {difference}")
    return replace(subject, seconds=ended.seconds)


def prepare_undisturbed(folder: Path) -> Preparing:
    """The undisturbed store of larger images, of which one file is no image.

    Raises:
        RuntimeError: it failed.
    """
    images = folder / "large"
    toyflowers.write(images, train_per_class=8, val_per_class=1, test_per_class=1, side=200)
    (images / "train" / "rose" / "0003.jpg").write_bytes(b"no image")
    subject = Preparing(["data", "prepare", str(images), "--json"], folder, 0.0)
    ended = run_undisturbed(subject, folder)
    return replace(subject, whole=Path(json.loads(ended.out)["store"]), seconds=ended.seconds)


def run_undisturbed(subject: Subject, place: Path, setup: tuple[Setup, ...] = ()) -> Ended:
    """Run a subject's command, which must succeed.

    Raises:
        RuntimeError: it failed.
    """
    ended = attempt(subject, place, place / "undisturbed", setup)
    if ended.code:
        raise RuntimeError(f"{subject.name} ended with {ended.code}: {ended.err}")
    return ended


def folders_differ(expected: Path, found: Path, delete: tuple[str, ...] = ()) -> str:
    """The first file that two folders do not both have with the same bytes; "" if there is none."""
    one, two = _files(expected), _files(found)
    for name in sorted(one.keys() | two.keys()):
        if name not in two:
            return f"{name} is missing"
        if name not in one:
            return f"{name} is unexpected"
        if str(name) not in delete and one[name].read_bytes() != two[name].read_bytes():
            return f"{name} differs"
    return ""


def folder_bytes(folder: Path) -> tuple[int, int]:
    """Size of the largest file, and of all together."""
    sizes = [path.stat().st_size for path in _files(folder).values()]
    return max(sizes), sum(sizes)


def _files(folder: Path) -> dict[Path, Path]:
    """Without the report: it tells times, and `alexnet report` writes it after a kill."""
    files = {p.relative_to(folder): p for p in folder.rglob("*") if p.is_file()}
    return {name: p for name, p in files.items() if name.name != "report.html"}
