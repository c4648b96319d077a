"""What is tortured: small nets on small pictures, and a store; each was made once in peace."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from alexnet.config.recipe import Augmentation, DataOptions, LRSchedule, OptimizerOptions, Recipe
from alexnet.config.serialization import to_json
from alexnet.data.datasets.toyflowers import dataset as toyflowers
from alexnet.models.variants import ModelOptions
from torture.children import Before, Child, Ended, start

MEASURED = ("times.jsonl", "result.json", "environment.json")
"""What of a run's folder is no function of the recipe: times, and the machine."""


class Subject(Protocol):
    """A command, and what it makes when nobody disturbs it."""

    @property
    def name(self) -> str:
        """As failures say it."""

    @property
    def seconds(self) -> float:
        """What it takes in peace."""

    def start(self, place: Path, log: Path, before: tuple[Before, ...] = ()) -> Child:
        """Give the command, or what goes on with it, working in a folder."""

    def difference(self, place: Path) -> str:
        """What in the folder is not to the byte what was made in peace; "" where all is."""

    def num_bytes(self) -> tuple[int, int]:
        """Of the largest file, and of all files together, that were made in peace."""


@dataclass(frozen=True, eq=False)
class Training:
    """A run."""

    name: str
    config: Path
    whole: Path
    """Its folder, made in peace."""
    cache: Path
    """With the prepared store of its pictures."""
    seconds: float = 0.0

    def words(self, out: Path) -> list[str]:
        """The command that begins the run, or goes on with it where it has begun."""
        if out.exists():
            return ["train", "--resume", str(out)]
        return ["train", "--config", str(self.config), "--out", str(out)]

    def start(self, place: Path, log: Path, before: tuple[Before, ...] = ()) -> Child:
        """Begin, or go on with, the run in `place/run`."""
        return start(self.words(place / "run"), cache=self.cache, log=log, before=before)

    def difference(self, place: Path) -> str:
        """What of `place/run` is not to the byte as made in peace."""
        return folders_differ(self.whole, place / "run", MEASURED)

    def num_bytes(self) -> tuple[int, int]:
        """Of the largest file, and of all together."""
        return folder_bytes(self.whole)


@dataclass(frozen=True, eq=False)
class Preparing:
    """A store."""

    words: list[str]
    whole: Path
    """Its folder, made in peace."""
    seconds: float
    name: str = "preparing"

    def start(self, place: Path, log: Path, before: tuple[Before, ...] = ()) -> Child:
        """Begin, or go on with, the store in the cache `place/cache`."""
        return start(self.words, cache=place / "cache", log=log, before=before)

    def difference(self, place: Path) -> str:
        """What of the store is not to the byte as made in peace, or half a one beside it."""
        stores = place / "cache" / "stores"
        if halves := list(stores.glob("*.partial")):
            return f"{halves[0].name} is left"
        return folders_differ(self.whole, stores / self.whole.name)

    def num_bytes(self) -> tuple[int, int]:
        """Of the largest file, and of all together."""
        return folder_bytes(self.whole)


def attempt(subject: Subject, place: Path, log: Path, before: tuple[Before, ...] = ()) -> Ended:
    """A subject's command, to its end."""
    return subject.start(place, log, before).wait()


def recipes(pictures: Path, epochs: int) -> tuple[Recipe, ...]:
    """Three runs that differ in net, update rule, splits, and in how often they save."""
    every_step = Recipe(
        name="every_step",
        data=str(pictures / "with_val"),
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
    )
    some_steps = replace(
        every_step,
        name="some_steps",
        arch="lenet5",
        model=ModelOptions(width=0.5),
        data_options=DataOptions(resize_size=32),
        optimizer=OptimizerOptions(optimizer="paper", lr=0.01),
        schedule=LRSchedule(schedule="plateau", patience=1),
        save_every_minutes=1e6,
        save_every_steps=3,
        keep_checkpoints=1,
    )
    rarely = replace(
        some_steps,
        name="rarely",
        data=str(pictures / "no_val"),
        augment=Augmentation(cutmix=0.5),
        optimizer=OptimizerOptions(optimizer="keras_adam", lr=1e-3),
        save_every_steps=7,
        keep_checkpoints=3,
    )
    return every_step, some_steps, rarely


def draw_pictures(folder: Path) -> None:
    """Small flowers, once with and once without pictures to choose by."""
    for name, val in (("with_val", 1), ("no_val", 0)):
        toyflowers.write(
            folder / name, train_per_class=3, val_per_class=val, test_per_class=1, pixels=40
        )


def trained_in_peace(recipe: Recipe, folder: Path, before: tuple[Before, ...] = ()) -> Training:
    """A run that nobody disturbed, made twice to see that it is a function of its recipe.

    Raises:
        RuntimeError: it did not end well, or the second time otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config, place = folder / f"{recipe.name}.json", folder / recipe.name
    config.write_text(to_json(recipe))
    subject = Training(recipe.name, config, place / "run", folder / "cache")
    in_peace(subject, place, before)  # prepares the pictures too
    ended = in_peace(subject, folder / f"{recipe.name}-again", before)
    if difference := subject.difference(folder / f"{recipe.name}-again"):
        raise RuntimeError(f"{recipe.name} is another when it is run again: {difference}")
    return replace(subject, seconds=ended.seconds)


def prepared_in_peace(folder: Path) -> Preparing:
    """The store of larger pictures, one of them no picture; nobody disturbed it.

    Raises:
        RuntimeError: it did not end well.
    """
    pictures = folder / "large"
    toyflowers.write(pictures, train_per_class=8, val_per_class=1, test_per_class=1, pixels=200)
    (pictures / "train" / "rose" / "0003.jpg").write_bytes(b"no picture")
    subject = Preparing(["data", "prepare", str(pictures), "--json"], folder, 0.0)
    ended = in_peace(subject, folder)
    return replace(subject, whole=Path(json.loads(ended.out)["store"]), seconds=ended.seconds)


def in_peace(subject: Subject, place: Path, before: tuple[Before, ...] = ()) -> Ended:
    """A subject's command to its good end.

    Raises:
        RuntimeError: it ended otherwise.
    """
    ended = attempt(subject, place, place / "peace", before)
    if ended.code:
        raise RuntimeError(f"{subject.name} ended with {ended.code}: {ended.err}")
    return ended


def folders_differ(expected: Path, found: Path, leave_out: tuple[str, ...] = ()) -> str:
    """The first file of two folders that is not in both with the same bytes; "" where all are."""
    one, two = _files(expected), _files(found)
    for name in sorted(one.keys() | two.keys()):
        if name not in two:
            return f"{name} is missing"
        if name not in one:
            return f"{name} is too much"
        if str(name) not in leave_out and one[name].read_bytes() != two[name].read_bytes():
            return f"{name} differs"
    return ""


def folder_bytes(folder: Path) -> tuple[int, int]:
    """Size of the largest file, and of all together."""
    sizes = [path.stat().st_size for path in _files(folder).values()]
    return max(sizes), sum(sizes)


def _files(folder: Path) -> dict[Path, Path]:
    return {p.relative_to(folder): p for p in folder.rglob("*") if p.is_file()}
