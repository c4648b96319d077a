"""Which runs an experiment needs, each as a recipe of the ordinary trainer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from alexnet.config.recipe import Recipe
from alexnet.config.serialization import from_dict, to_dict
from alexnet.errors import UnknownNameError, UsageError
from alexnet.experiments.experiment import (
    SPEED_MEASURES,
    Arm,
    Comparison,
    Experiment,
    Protocol,
    ProtocolName,
)

TUNING_SEED = 1000
"""Added to the seed of a measured run, it gives the seed of the runs that tune its learning rate.
No measured run has a seed as high."""

DATASET_SIZES: dict[str, tuple[int, int, int]] = {
    "cifar10": (10, 5000, 1000),
    "flowers17": (17, 60, 20),
    "imagenet": (1000, 1281, 50),
}
"""Number of classes, and training and test images per class."""


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """One way to train in an experiment, and all arms that are measured on its networks."""

    arm: Arm
    """The first arm that trains this way; its recipe is run."""
    lr_source: Arm
    """The arm whose tuned learning rate it uses; `arm` unless `Arm.lr_from` names another."""
    serves: tuple[Arm, ...]
    """The arms that are evaluated on its networks, `arm` among them."""

    @property
    def tunes_itself(self) -> bool:
        """Whether it uses its own arm's learning rate."""
        return self.lr_source == self.arm


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """An experiment at one size, with the user's choices."""

    experiment: Experiment
    protocol_name: ProtocolName = "quick"
    num_seeds: int | None = None
    """Measured runs per arm; None: as the protocol says."""
    exclude: tuple[str, ...] = ()
    """Arms that do not run, by name or by series."""
    data_root: str = ""
    """Folder searched for data sets first."""
    device: str = "auto"
    """auto: the first GPU, else the CPU."""

    def __post_init__(self) -> None:
        if self.protocol_name not in self.experiment.protocols:
            known = ", ".join(self.experiment.protocols)
            raise UsageError(
                f"{self.experiment.name} has no {self.protocol_name} protocol; it has {known}"
            )
        if self.num_seeds is not None and self.num_seeds < 1:
            raise UsageError(f"--seeds {self.num_seeds} must be at least 1")
        if self.seeds.stop > TUNING_SEED:
            most = TUNING_SEED - self.seeds.start
            raise UsageError(f"--seeds {len(self.seeds)} must be at most {most}")
        names = {name for arm in self.experiment.arms for name in (arm.name, arm.series) if name}
        for name in self.exclude:
            if name not in names:
                raise UnknownNameError(f"arm of {self.experiment.name}", name, names)
        if not self.comparisons:
            raise UsageError(f"without {', '.join(self.exclude)} nothing is left to compare")

    @property
    def protocol(self) -> Protocol:
        """The size of the runs."""
        return self.experiment.protocols[self.protocol_name]

    @property
    def seeds(self) -> range:
        """The seeds of the measured runs."""
        first = self.protocol.first_seed
        return range(first, first + (self.num_seeds or self.protocol.num_seeds))

    def seeds_of(self, arm: Arm) -> range:
        """The seeds of an arm's measured runs: all of them, or the first ones."""
        return self.seeds[: self.protocol.arm_seeds.get(arm.name)]

    def seeds_of_training(self, spec: TrainingSpec) -> range:
        """The seeds of the measured runs of all arms that a training serves."""
        return max((self.seeds_of(arm) for arm in spec.serves), key=len)

    def seeds_of_tuning(self, source: Arm) -> range:
        """The seeds of all trainings that use an arm's learning rate."""
        specs = (spec for spec in self.trainings if spec.lr_source == source)
        return max((self.seeds_of_training(spec) for spec in specs), key=len)

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arms that are measured."""
        chosen, excluded = self.protocol.arms, set(self.exclude)
        return tuple(
            arm
            for arm in self.experiment.arms
            if (not chosen or arm.name in chosen) and not {arm.name, arm.series} & excluded
        )

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """What can be compared with these arms; pairs that lack an arm are dropped."""
        present = {arm.name for arm in self.arms}
        found = (_within(comparison, present) for comparison in self.experiment.comparisons)
        return tuple(comparison for comparison in found if comparison)

    @property
    def trainings(self) -> tuple[TrainingSpec, ...]:
        """The different ways to train, in the order of their first arms."""
        arms = self.arms
        by_name = {arm.name: arm for arm in arms}

        def training_arm(arm: Arm) -> Arm:
            return next(other for other in arms if other.trains_as(arm))

        return tuple(
            TrainingSpec(
                arm=arm,
                lr_source=training_arm(by_name.get(arm.lr_from, arm)),
                serves=tuple(other for other in arms if other.trains_as(arm)),
            )
            for arm in arms
            if training_arm(arm) == arm
        )

    @property
    def lr_sources(self) -> tuple[Arm, ...]:
        """The arms that have a learning rate of their own."""
        return tuple(spec.arm for spec in self.trainings if spec.tunes_itself)

    @property
    def tuned_arms(self) -> tuple[Arm, ...]:
        """The arms whose learning rate is tuned."""
        return tuple(arm for arm in self.lr_sources if len(self.lr_grid(arm)) > 1)

    @property
    def num_runs(self) -> int:
        """The number of tuning and measured runs; an estimate, as a search may need more."""
        num_tuning = sum(self.num_tuning_runs(arm) for arm in self.tuned_arms)
        return num_tuning + sum(len(self.seeds_of_training(spec)) for spec in self.trainings)

    def num_tuning_runs(self, arm: Arm) -> int:
        """Tuning runs of a tuned arm for all seeds, if the best of the grid is not at its edge.

        In a grid of two the best one always is at an edge.
        """
        return (max(len(self.lr_grid(arm)), 3) + 2) * len(self.seeds_of_tuning(arm))

    def lr_grid(self, arm: Arm) -> tuple[float, ...]:
        """The learning rates that the tuning of an arm starts with."""
        grids, series = self.protocol.arm_lr_grids, arm.series
        return grids.get(arm.name, grids.get(series, self.protocol.lr_grid))

    def training_of(self, arm: Arm) -> TrainingSpec:
        """The training that serves an arm."""
        return next(spec for spec in self.trainings if arm in spec.serves)

    def epochs(self, arm: Arm) -> int:
        """Epochs of a measured run."""
        return self.protocol.arm_epochs.get(arm.name, self.protocol.base.epochs)

    def recipe(self, arm: Arm, lr: float, seed: int) -> Recipe:
        """The recipe of a measured run, without the file of its initial weights."""
        recipe = with_changes(self.protocol.base, arm)
        return replace(
            recipe,
            name=f"{self.experiment.name}-{arm.name}",
            optimizer=replace(recipe.optimizer, lr=lr),
            epochs=self.epochs(arm),
            seed=seed,
            data_root=self.data_root,
            device=self.device,
        )

    def tuning_recipe(
        self, arm: Arm, lr: float, seed: int, max_epochs: int | None = None
    ) -> Recipe:
        """The recipe of a tuning run.

        It is validated on a part of the training images; a measure of training speed is taken on
        the images of the measured runs instead.

        Args:
            arm: the arm that is tuned.
            lr: the learning rate to try.
            seed: seed of the measured run that the learning rate is for.
            max_epochs: epochs after which the run is much slower than the best; None: unknown.
        """
        recipe, protocol = self.recipe(arm, lr, TUNING_SEED + seed), self.protocol
        # The trainer needs a test split; tuning does not look at it.
        options = replace(recipe.data_options, test_per_class=1)
        if self.experiment.measure == "epochs_to_error":
            epochs = min(max_epochs or recipe.epochs, recipe.epochs)
            return replace(recipe, data_options=options, epochs=epochs)
        epochs = min(protocol.tuning_epochs or recipe.epochs, recipe.epochs)
        if self.experiment.measure in SPEED_MEASURES:
            return replace(recipe, data_options=options, epochs=epochs)
        options = replace(
            options,
            val_fraction=protocol.tuning_val_fraction,
            train_per_class=protocol.tuning_train_per_class or options.train_per_class,
        )
        stopping = replace(recipe.stopping, target_train_error=None)
        return replace(recipe, data_options=options, epochs=epochs, stopping=stopping)


def with_changes(base: Recipe, arm: Arm) -> Recipe:
    """The recipe with an arm's changes.

    Raises:
        ConfigError: recipes have no such field, or the value is not allowed.
    """
    plain = to_dict(base)
    for path, value in arm.changes.items():
        *groups, key = path.split(".")
        target = plain
        for group in groups:
            target = target[group]
        target[key] = value
    return from_dict(Recipe, plain, arm.name)


def _within(comparison: Comparison, present: Iterable[str]) -> Comparison | None:
    """The comparison with the pairs whose arms are all present; None if there are none."""
    pairs = zip(comparison.better, comparison.worse, strict=True)
    kept = [pair for pair in pairs if set(pair) <= set(present)]
    better, worse = (tuple(pair[i] for pair in kept) for i in (0, 1))
    return replace(comparison, better=better, worse=worse) if kept else None


def split_sizes(recipe: Recipe) -> tuple[int, int]:
    """Training and test images per class before the recipe limits them."""
    _, train, test = DATASET_SIZES[recipe.data]
    fraction = recipe.data_options.test_fraction
    if fraction is None:
        return train, test
    held_out = round(fraction * (train + test))
    return train + test - held_out, held_out


def images_per_class(recipe: Recipe) -> tuple[float, int]:
    """Training and test images per class."""
    train, test = split_sizes(recipe)
    options = recipe.data_options
    remaining = train * (1 - options.val_fraction)
    num_train = min(remaining, options.train_per_class or remaining)
    return num_train, min(test, options.test_per_class or test)


def count_images(recipe: Recipe) -> tuple[int, int]:
    """Training images of a run on one of DATASET_SIZES, and the test images that it is measured on.

    ImageNet's training images are rounded.
    """
    num_classes = DATASET_SIZES[recipe.data][0]
    num_train, _ = images_per_class(recipe)
    return round(num_classes * num_train), num_classes * split_sizes(recipe)[1]
