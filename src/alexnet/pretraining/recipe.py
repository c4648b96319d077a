"""Everything that decides a pretraining, as one frozen value that JSON can hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, Self

from alexnet.config.recipe import BaseRecipe, DataOptions, Recipe
from alexnet.config.serialization import from_dict, to_dict
from alexnet.errors import ConfigError, UsageError, require

VAL_FRACTION = 0.1
"""Fraction of the training images held out for validation, unless the training has its own."""
HOLD_OUT = DataOptions(val_fraction=VAL_FRACTION)


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainRecipe(BaseRecipe):
    """What both kinds of pretraining share; use `AutoencoderRecipe` or `RbmRecipe`."""

    kind: ClassVar[str] = ""
    name: str = "custom"
    """Name of the run folder: runs/NAME-KIND-001 and so on."""
    data: str = "toyflowers"
    """Name of a data set, a folder or CSV file as for training, or a folder of images without
    classes. Labels are not used, and test images are never seen."""
    up_to: str = ""
    """Last conv layer to pretrain, such as conv3; all conv layers unless given."""
    data_options: DataOptions = HOLD_OUT
    epochs: int = 10
    """Number of passes over the training images, for each layer."""
    batch_size: int = 32
    """Images per step."""
    watched_pictures: int = 256
    """Maximum number of training images, and of held-out images, that are evaluated after every
    epoch."""

    def __post_init__(self) -> None:
        super(PretrainRecipe, self).__post_init__()
        require(
            self.watched_pictures >= 1,
            f"--watched-pictures {self.watched_pictures} must be at least 1",
        )
        require(
            self.augment.cutmix == 0,
            f"--cutmix {self.augment.cutmix} mixes labels, and pretraining has none; leave it 0",
        )

    @classmethod
    def before(cls, recipe: Recipe) -> Self:
        """The pretraining for a training: the same data, split, table, preprocessing and views.

        Where the training holds no pictures out, a tenth is held out to watch.
        """
        val_fraction = recipe.data_options.val_fraction or VAL_FRACTION
        return cls(
            name=recipe.name,
            data=recipe.data,
            arch=recipe.arch,
            model=recipe.model,
            data_options=replace(recipe.data_options, val_fraction=val_fraction),
            augment=replace(recipe.augment, cutmix=0.0),
            data_root=recipe.data_root,
            device=recipe.device,
            seed=recipe.seed,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoencoderRecipe(PretrainRecipe):
    """A stack of convolutional auto-encoders.

    Source: Masci et al. 2011, "Stacked convolutional auto-encoders for hierarchical feature
    extraction"; the noise: Vincent et al. 2008.
    """

    kind: ClassVar[str] = "autoencoder"
    lr: float = 3e-3
    """Learning rate (Adam) at the beginning of a layer; it falls to 0 along half a cosine."""
    noise: float = 0.3
    """Share of the input values that are set to zero before encoding (masking noise); 0: none."""

    def __post_init__(self) -> None:
        super(AutoencoderRecipe, self).__post_init__()
        require(self.lr >= 0, f"--lr {self.lr} must not be negative")
        require(0 <= self.noise < 1, f"--noise {self.noise} must be from 0 to below 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class RbmRecipe(PretrainRecipe):
    """A stack of convolutional restricted Boltzmann machines.

    Source: Lee et al. 2009, "Convolutional deep belief networks for scalable unsupervised learning
    of hierarchical representations"; Hinton 2010, "A practical guide to training restricted
    Boltzmann machines".
    """

    kind: ClassVar[str] = "rbm"
    gaussian_rate: float = 0.03
    """Learning rate of the first layer, whose visible units are Gaussian, at its beginning; it
    falls to 0 along half a cosine."""
    binary_rate: float = 0.05
    """The same of the layers above, whose visible units are binary."""
    momentum: float = 0.9
    """Share of a step that goes on in the next one."""
    weight_decay: float = 2e-4
    """Decay of the weights; biases do not decay."""
    cd_steps: int = 1
    """Gibbs steps of contrastive divergence (the k of CD-k)."""
    hidden_pooling: Literal["probabilistic", "none"] = "probabilistic"
    """probabilistic: under a max pooling at most one unit of a block is on, a block as wide as the
    pooling's stride; none: all units are free, and the table pools their probabilities."""
    visible_sd: float = 0.5
    """Noise of a Gaussian visible unit, as a share of the input's own deviation."""
    sample_visible: bool = False
    """Draw the visible units in the chain too; without it they are their expected values."""
    sparsity_target: float = 0.05
    """Share of the time that a hidden unit should be on."""
    sparsity_cost: float = 5.0
    """Pull of the hidden biases towards the target; 0: none."""

    def __post_init__(self) -> None:
        super(RbmRecipe, self).__post_init__()
        for name in ("gaussian_rate", "binary_rate", "weight_decay", "sparsity_cost"):
            flag, value = name.replace("_", "-"), getattr(self, name)
            require(value >= 0, f"--{flag} {value} must not be negative")
        require(0 <= self.momentum < 1, f"--momentum {self.momentum} must be from 0 to below 1")
        require(self.cd_steps >= 1, f"--cd-steps {self.cd_steps} must be at least 1")
        require(
            0 < self.visible_sd <= 10, f"--visible-sd {self.visible_sd} must be above 0, at most 10"
        )
        require(
            0 < self.sparsity_target < 1,
            f"--sparsity-target {self.sparsity_target} must be between 0 and 1",
        )


KINDS: dict[str, type[PretrainRecipe]] = {
    recipe.kind: recipe for recipe in (AutoencoderRecipe, RbmRecipe)
}


def recipe_text(recipe: PretrainRecipe) -> str:
    """The recipe as JSON, with its kind."""
    plain = {"kind": recipe.kind, **to_dict(recipe)}
    return json.dumps(plain, indent=2, ensure_ascii=False) + "\n"


def read_pretrain_recipe(path: Path) -> PretrainRecipe:
    """A recipe from a JSON file, or a run folder's; keys it does not have keep their defaults.

    Raises:
        UsageError: no such file.
        ConfigError: not JSON, not a pretraining, an unknown key, or a value out of range.
    """
    path = path / "config.json" if path.is_dir() else path
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    kind = plain.pop("kind", None) if isinstance(plain, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ConfigError(
            f"{path} is not a pretraining: its kind is {kind!r}, not {' or '.join(KINDS)}"
        )
    return from_dict(KINDS[kind], plain, "recipe")
