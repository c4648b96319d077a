"""Which runs an experiment takes, each as a recipe of the ordinary trainer, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from alexnet.config.recipe import Recipe
from alexnet.config.serialization import from_dict, to_dict
from alexnet.errors import UnknownNameError, UsageError
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol, ProtocolName

TUNING_SEED = 1000
"""Rates are tuned with a seed that no measured run has."""

SIZES: dict[str, tuple[int, int, int]] = {
    "cifar10": (10, 5000, 1000),
    "flowers17": (17, 60, 20),
    "imagenet": (1000, 1281, 50),
}
"""Classes, and training and test pictures a class."""

SECONDS_A_RUN = 2.0
"""To get ready, draw and save."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """An experiment at one size, with what the user chose."""

    experiment: Experiment
    protocol_name: ProtocolName = "quick"
    num_seeds: int = 0
    """Runs an arm; 0: as the protocol says."""
    without: tuple[str, ...] = ()
    """Arms left out, by name or by the line they belong to."""
    data_root: str = ""
    """Folder searched for data sets first."""
    device: str = "auto"
    """auto: the first GPU, else the processor."""

    def __post_init__(self) -> None:
        if self.protocol_name not in self.experiment.protocols:
            known = ", ".join(self.experiment.protocols)
            raise UsageError(
                f"{self.experiment.name} has no {self.protocol_name} protocol; it has {known}"
            )
        if self.num_seeds < 0:
            raise UsageError(f"--seeds {self.num_seeds} must not be negative")
        names = {name for arm in self.experiment.arms for name in (arm.name, arm.series) if name}
        for name in self.without:
            if name not in names:
                raise UnknownNameError(f"arm of {self.experiment.name}", name, names)
        if not self.comparisons:
            raise UsageError(f"without {', '.join(self.without)} nothing is left to compare")

    @property
    def protocol(self) -> Protocol:
        """How large the runs are."""
        return self.experiment.protocols[self.protocol_name]

    @property
    def seeds(self) -> range:
        """The seeds of the measured runs."""
        return range(self.num_seeds or self.protocol.seeds)

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arms that run."""
        chosen = self.protocol.arms
        return tuple(
            arm
            for arm in self.experiment.arms
            if (not chosen or arm.name in chosen) and not {arm.name, arm.series} & set(self.without)
        )

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """What can be compared with these arms, pairs that lack an arm left out."""
        present = {arm.name for arm in self.arms}
        found = (_within(comparison, present) for comparison in self.experiment.comparisons)
        return tuple(comparison for comparison in found if comparison)

    @property
    def trained_arms(self) -> tuple[Arm, ...]:
        """The first arm of every way to train; arms that only judge otherwise are left out."""
        return tuple(arm for arm in self.arms if self.trained_by(arm) == arm)

    @property
    def tuned_arms(self) -> tuple[Arm, ...]:
        """Arms whose rate is looked for in the grid."""
        is_tuned = len(self.protocol.rates) > 1
        return tuple(arm for arm in self.trained_arms if is_tuned and self.tunes(arm) == arm)

    @property
    def num_runs(self) -> int:
        """Trainings in all."""
        tuning = len(self.tuned_arms) * len(self.protocol.rates)
        return tuning + len(self.trained_arms) * len(self.seeds)

    def trained_by(self, arm: Arm) -> Arm:
        """The first arm that trains as this one does."""
        return next(other for other in self.arms if other.trains_as(arm))

    def tunes(self, arm: Arm) -> Arm:
        """The arm whose tuned rate this one takes; itself where that one does not run."""
        return next((other for other in self.arms if other.name == arm.rate_of), arm)

    def epochs(self, arm: Arm) -> int:
        """Passes over the training pictures of a measured run."""
        return self.protocol.arm_epochs.get(arm.name, self.protocol.base.epochs)

    def recipe(self, arm: Arm, rate: float, seed: int) -> Recipe:
        """A measured run; where its first weights are is not said yet."""
        recipe = with_changes(self.protocol.base, arm)
        return replace(
            recipe,
            name=f"{self.experiment.name}-{arm.name}",
            optimizer=replace(recipe.optimizer, lr=rate),
            epochs=self.epochs(arm),
            seed=seed,
            data_root=self.data_root,
            device=self.device,
        )

    def tuning_recipe(self, arm: Arm, rate: float) -> Recipe:
        """A run that tries a rate: it is judged by pictures that are taken out of the training."""
        recipe, protocol = self.recipe(arm, rate, TUNING_SEED), self.protocol
        pictures = replace(
            recipe.data_options,
            val_fraction=protocol.tuning_share,
            train_per_class=protocol.tuning_per_class or recipe.data_options.train_per_class,
            test_per_class=1,  # the test has no say; the trainer asks for one
        )
        epochs = min(protocol.tuning_epochs, recipe.epochs)
        return replace(recipe, data_options=pictures, epochs=epochs, target_train_error=None)


def with_changes(base: Recipe, arm: Arm) -> Recipe:
    """The recipe with an arm's changes.

    Raises:
        ConfigError: a field that recipes do not have, or a value that it cannot take.
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
    pairs = zip(comparison.better, comparison.worse, strict=True)
    kept = [pair for pair in pairs if set(pair) <= set(present)]
    better, worse = (tuple(pair[i] for pair in kept) for i in (0, 1))
    return replace(comparison, better=better, worse=worse) if kept else None


def minutes(plan: Plan) -> float:
    """What a plan takes at most on two cores; 0 where the speed is not known.

    A picture costs three times as much in training as in evaluation.
    """
    if not plan.protocol.pictures_per_second:
        return 0.0
    measured = [(arm, plan.recipe(arm, 0.0, 0), len(plan.seeds)) for arm in plan.trained_arms]
    tuning = [
        (arm, plan.tuning_recipe(arm, 0.0), len(plan.protocol.rates)) for arm in plan.tuned_arms
    ]
    seconds = sum(
        count * (SECONDS_A_RUN + _passes(plan, arm, recipe) / _speed(plan, arm))
        for arm, recipe, count in [*measured, *tuning]
    )
    return seconds / 60


def _speed(plan: Plan, arm: Arm) -> int:
    speeds = plan.protocol.arm_speeds
    return speeds.get(arm.name, speeds.get(arm.series, plan.protocol.pictures_per_second))


def _passes(plan: Plan, arm: Arm, recipe: Recipe) -> float:
    """Pictures that one run trains on, and a third of those that it evaluates."""
    classes, train, test = SIZES[recipe.data]
    options = recipe.data_options
    held = train * options.val_fraction or min(test, options.test_per_class or test)
    kept = train * (1 - options.val_fraction)
    learnt = min(kept, options.train_per_class or kept)
    crops = sum({other.crops for other in plan.arms if other.trains_as(arm)})
    judged = min(test, options.test_per_class or test) * crops
    last = learnt if plan.experiment.measure == "train_error" else judged
    return classes * (recipe.epochs * (learnt + held / 3) + last / 3)
