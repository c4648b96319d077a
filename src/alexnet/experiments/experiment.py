"""What an experiment is: a claim, arms that differ in one thing, and how they are compared.

Plain values, without torch. An error is a fraction from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from alexnet.config.recipe import Recipe
from alexnet.errors import ConfigError

Measure: TypeAlias = Literal["test_error", "train_error", "early_train_error", "epochs_to_error"]
"""What is measured on a finished run; lower is better.

test_error: top-1 error of the last epoch's network on all images of the test split.
train_error: top-1 error on the training images in evaluation mode: no dropout, no augmentation.
early_train_error: running top-1 error during training, averaged over the epochs.
epochs_to_error: epochs until the training error is `StoppingOptions.target_train_error`.
"""
Scale: TypeAlias = Literal["difference", "ratio"]
ProtocolName: TypeAlias = Literal["quick", "full", "imagenet"]
InitFrom: TypeAlias = Literal["random", "alexnet_owt", "autoencoder", "rbm"]
Change: TypeAlias = str | int | float | bool
"""A value of a recipe's field."""

MIN_SEEDS = 3
"""The fewest seeds that give a verdict."""
SPEED_MEASURES: tuple[Measure, ...] = ("early_train_error", "epochs_to_error")
"""Measures of how fast a net is trained. Learning rates are chosen by them, too: to make training
as fast as possible (paper, caption of figure 1)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One way to train, or another way to evaluate the networks of an arm that trains."""

    name: str
    """The arm's name in results and in the names of run folders."""
    changes: Mapping[str, Change] = field(default_factory=dict)
    """What differs from the shared recipe: {"model.activation": "tanh"}."""
    crops: Literal[1, 10] = 1
    """Crops per image when the network is evaluated."""
    init_from: InitFrom = "random"
    """Initial weights: random, torchvision's AlexNet, or pretrained without labels."""
    lr_from: str = ""
    """The arm whose tuned learning rate is used; empty: this arm is tuned itself."""
    series: str = ""
    """The line of the plot that the arm is a point of, where errors are plotted over
    `images_per_class`."""
    images_per_class: int = 0
    """The arm's position on that line: training images per class."""

    def trains_as(self, other: Arm) -> bool:
        """Whether both arms train the same networks, so that one run serves both."""
        return (self.changes, self.init_from) == (other.changes, other.init_from)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two arms, or two lists of arms compared pair by pair, and the effect that is claimed."""

    name: str
    """What is compared, in a few words."""
    better: tuple[str, ...]
    """Arms that have the lower value if the claim is true."""
    worse: tuple[str, ...]
    """The arms they are compared with, as many."""
    scale: Scale = "difference"
    """The effect is worse minus better, or worse divided by better."""
    min_effect: float
    """The smallest effect that counts as the claimed one."""
    expected: float | None = None
    """The published effect; None where none is published."""
    is_primary: bool = True
    """Whether it decides the verdict; a secondary comparison is only reported."""

    def __post_init__(self) -> None:
        if len(self.better) != len(self.worse) or not self.better:
            raise ConfigError(f"{self.name}: {self.better} and {self.worse} are not pairs")
        if self.min_effect <= self.no_effect:
            raise ConfigError(f"{self.name}: min_effect {self.min_effect} is no effect")

    @property
    def no_effect(self) -> float:
        """The effect when both arms are equal."""
        return 0.0 if self.scale == "difference" else 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """The size of an experiment's runs; an experiment has a quick and a full one."""

    base: Recipe
    """The recipe that all arms share."""
    num_seeds: int = MIN_SEEDS
    """Measured runs per arm."""
    first_seed: int = 0
    """First seed of the measured runs. An experiment that is repeated with more seeds, since
    earlier ones left it undecided, has none of those: to stop at a verdict would bias it."""
    arm_seeds: Mapping[str, int] = field(default_factory=dict)
    """Measured runs, at most, of the arms whose comparisons need fewer than the rest. They have the
    first seeds, and a comparison has those that all of its arms have."""
    lr_grid: tuple[float, ...]
    """The learning rates that the tuning of an arm starts with, in the order in which they are
    tried; see `tuning.next_lrs`. A single one is used without tuning."""
    arm_lr_grids: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """The grids of arms, or series of arms, whose best learning rate is far from the others'."""
    tuning_epochs: int = 0
    """Epochs of a tuning run. 0, for measures of training speed alone, means as many as in the
    measured runs. Tuning runs for `epochs_to_error` always have at most as many as these."""
    tuning_train_per_class: int | None = None
    """Training images per class of a tuning run; None: as in the measured runs. Not for measures of
    training speed, which are tuned on the measured runs' images."""
    tuning_val_fraction: float = 0.1
    """Fraction of the training images that tuning runs are validated on. Not for measures of
    training speed, which are tuned by the training error."""
    arm_epochs: Mapping[str, int] = field(default_factory=dict)
    """Epochs of the arms that are trained for longer or shorter than the rest."""
    arms: tuple[str, ...] = ()
    """The arms that run; empty: all of them."""

    def __post_init__(self) -> None:
        fewest = min((self.num_seeds, *self.arm_seeds.values()))
        if fewest < MIN_SEEDS:
            raise ConfigError(f"{fewest} seeds give no verdict; use at least {MIN_SEEDS}")
        for grid in (self.lr_grid, *self.arm_lr_grids.values()):
            if not grid or len(set(grid)) < len(grid) or min(grid) <= 0:
                raise ConfigError(f"{grid} is no grid of learning rates: different ones above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """A claim and the runs that test it."""

    name: str
    """The experiment's name on the command line."""
    claim: str
    """The claim, in our own words."""
    source: str
    """Who claims it, and where."""
    expected: str
    """What the source measured."""
    limits: str
    """What the runs here can show and what they cannot."""
    measure: Measure
    """What is measured on every run."""
    arms: tuple[Arm, ...]
    """The arms, in the order of the tables."""
    comparisons: tuple[Comparison, ...]
    """The primary ones decide the verdict."""
    protocols: Mapping[ProtocolName, Protocol]
    """quick, full, and imagenet where the paper measured on ImageNet."""

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        for comparison in self.comparisons:
            if unknown := {*comparison.better, *comparison.worse} - set(names):
                raise ConfigError(f"{self.name} compares {sorted(unknown)}, which are no arms")
        if len(set(names)) != len(names):
            raise ConfigError(f"{self.name} has two arms of one name: {names}")
        for name, protocol in self.protocols.items():
            self._check_names(name, protocol)
            self._check_tuning(name, protocol)

    def _check_names(self, name: ProtocolName, protocol: Protocol) -> None:
        """Check that all arms a protocol names exist: settings of others would be ignored."""
        named = {*protocol.arms, *protocol.arm_seeds, *protocol.arm_epochs, *protocol.arm_lr_grids}
        known = {text for arm in self.arms for text in (arm.name, arm.series)}
        if unknown := named - known:
            raise ConfigError(f"{self.name}, {name}: {sorted(unknown)} are no arms")

    def _check_tuning(self, name: ProtocolName, protocol: Protocol) -> None:
        is_tuned = any(
            len(grid) > 1 for grid in (protocol.lr_grid, *protocol.arm_lr_grids.values())
        )
        if is_tuned and not protocol.tuning_epochs and self.measure not in SPEED_MEASURES:
            raise ConfigError(f"{self.name}, {name}: a grid of learning rates needs tuning_epochs")
        schedule = protocol.base.schedule.schedule
        if self.measure == "epochs_to_error" and schedule == "cosine":
            raise ConfigError(
                f"{self.name}, {name}: with a cosine schedule, the epochs to an error depend on "
                "the epochs that are planned; use a constant learning rate"
            )

    def arm(self, name: str) -> Arm:
        """The arm called `name`."""
        return next(arm for arm in self.arms if arm.name == name)
