"""What an experiment is: a claim, arms that differ in one thing, and how they are compared.

Plain values, without torch. An error is a share from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from alexnet.config.recipe import Recipe
from alexnet.errors import ConfigError

Measure: TypeAlias = Literal["test_error", "train_error", "early_train_error", "epochs_to_error"]
"""What is read from a finished run; lower is better.

test_error: top-1, of the last epoch's network, on pictures that were never trained on.
train_error: top-1 on the training pictures as evaluation sees them: no dropout, no augmentation.
early_train_error: mean over the epochs of the top-1 error while the pictures were learnt.
epochs_to_error: epochs until the training error is `Recipe.target_train_error`.
"""
Scale: TypeAlias = Literal["difference", "ratio"]
ProtocolName: TypeAlias = Literal["quick", "full", "imagenet"]
Change: TypeAlias = str | int | float | bool
"""A value of a recipe's field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One way to train, or to judge what another arm trained."""

    name: str
    """As it is called in results; part of folder names."""
    changes: Mapping[str, Change] = field(default_factory=dict)
    """What differs from the shared recipe: {"model.activation": "tanh"}."""
    crops: Literal[1, 10] = 1
    """Views of a picture when the network is judged."""
    begins_from: Literal["nothing", "alexnet_owt", "autoencoder", "rbm"] = "nothing"
    """Where its first weights come from: drawn, torchvision's, or learnt without labels."""
    rate_of: str = ""
    """The arm whose tuned rate it takes; its own unless given."""
    series: str = ""
    """The line it is a point of, where the picture shows values over numbers of pictures."""
    at: int = 0
    """Its place on that line: training pictures a class."""

    def trains_as(self, other: Arm) -> bool:
        """Whether both train alike, so that one run serves both."""
        return (self.changes, self.begins_from) == (other.changes, other.begins_from)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two arms, or two lists of arms taken pair by pair, and what the claim says of them."""

    name: str
    """What is compared, in a few words."""
    better: tuple[str, ...]
    """Arms that have the lower value if the claim is true."""
    worse: tuple[str, ...]
    """As many arms."""
    scale: Scale = "difference"
    """The effect is worse minus better, or worse divided by better."""
    at_least: float
    """The smallest effect that counts as the claimed one."""
    expected: float = 0.0
    """The published effect; 0 where none was printed."""
    is_claim: bool = True
    """False: shown beside the claim, without a say in the verdict."""

    def __post_init__(self) -> None:
        if len(self.better) != len(self.worse) or not self.better:
            raise ConfigError(f"{self.name}: {self.better} and {self.worse} are not pairs")
        if self.at_least <= self.no_effect:
            raise ConfigError(f"{self.name}: at_least {self.at_least} is no effect")

    @property
    def no_effect(self) -> float:
        """The effect where both are alike."""
        return 0.0 if self.scale == "difference" else 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """How large the runs are; one experiment has a quick one and a full one."""

    base: Recipe
    """What all arms share."""
    seeds: int = 3
    """Runs an arm."""
    rates: tuple[float, ...]
    """The grid that every arm's rate is chosen from; a single one is not tuned."""
    tuning_epochs: int = 0
    """Epochs of a run that tries a rate."""
    tuning_per_class: int = 0
    """Training pictures a class of such a run; 0: as the other runs."""
    tuning_share: float = 0.1
    """Share of the training pictures that are taken out to validate the rates."""
    arm_epochs: Mapping[str, int] = field(default_factory=dict)
    """Epochs of arms that are stopped earlier or later than the rest."""
    arms: tuple[str, ...] = ()
    """The arms that run; all of them unless given."""
    pictures_per_second: int = 0
    """Training speed on two cores, for the cost; 0: not known."""
    arm_speeds: Mapping[str, int] = field(default_factory=dict)
    """The same of arms with another network, or series of arms."""

    def __post_init__(self) -> None:
        if self.seeds < 3:
            raise ConfigError(f"{self.seeds} seeds give no verdict; use at least 3")
        if len(self.rates) > 1 and not self.tuning_epochs:
            raise ConfigError("a grid of rates needs tuning_epochs")


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """A claim and the runs that can tell."""

    name: str
    """What people type."""
    claim: str
    """In our own words."""
    source: str
    """Who says so, and where."""
    expected: str
    """What the source measured."""
    limits: str
    """What the runs here can say, and what they cannot."""
    measure: Measure
    """What is read from every run."""
    arms: tuple[Arm, ...]
    """Their order is that of the tables."""
    comparisons: tuple[Comparison, ...]
    """The claims among them decide the verdict."""
    protocols: Mapping[ProtocolName, Protocol]
    """By name: quick, full, and imagenet where the paper's own size is that."""

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        for comparison in self.comparisons:
            if strange := {*comparison.better, *comparison.worse} - set(names):
                raise ConfigError(f"{self.name} compares {sorted(strange)}, which are no arms")
        if len(set(names)) != len(names):
            raise ConfigError(f"{self.name} has two arms of one name: {names}")

    def arm(self, name: str) -> Arm:
        """The arm called `name`."""
        return next(arm for arm in self.arms if arm.name == name)
