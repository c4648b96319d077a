"""The options of a pretraining, as one frozen value that can be stored as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from alexnet.config.options import into_groups
from alexnet.config.recipe import BaseRecipe, DataOptions, Recipe
from alexnet.config.serialization import from_dict, to_dict
from alexnet.errors import (
    ConfigError,
    require,
    require_at_least,
    require_below_1,
    require_learning_rate,
    require_not_negative,
)
from alexnet.training.config_file import read_config

DEFAULT_VAL_FRACTION = 0.1
"""Fraction of the training images used for validation unless the recipe gives one."""
DEFAULT_DATA_OPTIONS = DataOptions(val_fraction=DEFAULT_VAL_FRACTION)


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainRecipe(BaseRecipe):
    """The options that both kinds of pretraining share; use `AutoencoderRecipe` or `RbmRecipe`."""

    kind: ClassVar[str] = ""
    name: str = "custom"
    """Name of the run folder: runs/NAME-KIND-001 and so on."""
    data: str = "toyflowers"
    """Name of a data set, a folder or CSV file as for training, or a folder of images without
    classes. Labels are not used, and test images are never read."""
    up_to: str = ""
    """Last conv layer to pretrain, such as conv3; all conv layers unless given."""
    data_options: DataOptions = DEFAULT_DATA_OPTIONS
    epochs: int = 10
    """Number of passes over the training images, for each layer."""
    batch_size: int = 32
    """Images per step."""
    probe_images: int = 256
    """Maximum number of training images, and of validation images, that are measured after every
    epoch."""
    devices: int = 1
    """Number of processes that pretrain together, each with a GPU of its own, or on the CPU with a
    part of its cores; --batch-size is that of all of them."""

    def __post_init__(self) -> None:
        super(PretrainRecipe, self).__post_init__()
        require_at_least(self, 1, "devices", "probe_images")
        for name in ("cutmix", "mixup"):
            value = getattr(self.augment, name)
            require(
                value == 0, f"--{name} {value} mixes labels, and pretraining has none; leave it 0"
            )

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> Self:
        """A pretraining with the data, split, network, preprocessing and augmentation of a recipe.

        Where the recipe has no validation images, a tenth of the training images is used.
        """
        val_fraction = recipe.data_options.val_fraction or DEFAULT_VAL_FRACTION
        return cls(
            name=recipe.name,
            data=recipe.data,
            arch=recipe.arch,
            model=recipe.model,
            data_options=replace(recipe.data_options, val_fraction=val_fraction),
            augment=replace(recipe.augment, cutmix=0.0, mixup=0.0),
            data_root=recipe.data_root,
            device=recipe.device,
            seed=recipe.seed,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoencoderRecipe(PretrainRecipe):
    """A stack of convolutional denoising auto-encoders.

    Source: Masci et al. 2011, "Stacked convolutional auto-encoders for hierarchical feature
    extraction"; masking noise: Vincent et al. 2008.
    """

    kind: ClassVar[str] = "autoencoder"
    lr: float = 3e-3
    """Initial learning rate of every layer (Adam); it falls to 0 by cosine annealing."""
    masking_fraction: float = 0.3
    """Fraction of the input values that are set to zero before encoding (masking noise); 0: no
    noise."""

    def __post_init__(self) -> None:
        super(AutoencoderRecipe, self).__post_init__()
        require_learning_rate(self, "lr")
        require_below_1(self, "masking_fraction")


@dataclass(frozen=True, kw_only=True, slots=True)
class RbmRecipe(PretrainRecipe):
    """A stack of convolutional restricted Boltzmann machines (RBMs).

    Source: Lee, Grosse, Ranganath and Ng, ICML 2009 (convolutional RBMs with probabilistic max
    pooling); Hinton 2010, "A practical guide to training restricted Boltzmann machines".
    """

    kind: ClassVar[str] = "rbm"
    gaussian_lr: float = 0.03
    """Initial learning rate of the first layer, which has Gaussian visible units; it falls to 0 by
    cosine annealing."""
    binary_lr: float = 0.05
    """Initial learning rate of the higher layers, which have binary visible units; it falls to 0 by
    cosine annealing."""
    momentum: float = 0.9
    """Momentum of SGD."""
    weight_decay: float = 2e-4
    """Weight decay of the filters; biases do not decay."""
    cd_steps: int = 1
    """Gibbs steps of contrastive divergence (the k of CD-k)."""
    hidden_pooling: Literal["probabilistic", "none"] = "probabilistic"
    """probabilistic: below a max pooling, at most one hidden unit of each block is on; a block is
    as wide as the pooling's stride (Lee et al. 2009). none: the hidden units are independent, and
    their probabilities are pooled."""
    visible_std: float = 0.5
    """Standard deviation of a Gaussian visible unit, as a fraction of the input's."""
    sample_visible: bool = False
    """Sample the visible units in the Gibbs chain, too; otherwise use their expected values."""
    sparsity_target: float = 0.05
    """Wanted mean probability of the hidden units."""
    sparsity_cost: float = 5.0
    """Strength of the hidden biases' change towards the sparsity target; 0: none."""

    def __post_init__(self) -> None:
        super(RbmRecipe, self).__post_init__()
        require_learning_rate(self, "gaussian_lr")
        require_learning_rate(self, "binary_lr")
        require_not_negative(self, "weight_decay", "sparsity_cost")
        require_below_1(self, "momentum")
        require_at_least(self, 1, "cd_steps")
        require(
            0 < self.visible_std <= 10,
            f"--visible-std {self.visible_std} must be above 0 and at most 10",
        )
        require(
            0 < self.sparsity_target < 1,
            f"--sparsity-target {self.sparsity_target} must be between 0 and 1",
        )


KINDS: dict[str, type[PretrainRecipe]] = {
    recipe.kind: recipe for recipe in (AutoencoderRecipe, RbmRecipe)
}


def recipe_to_dict(recipe: PretrainRecipe) -> dict[str, Any]:
    """The fields of the recipe by name, and its kind."""
    return {"kind": recipe.kind, **to_dict(recipe)}


def recipe_to_json(recipe: PretrainRecipe) -> str:
    """The recipe as JSON, with its kind."""
    return json.dumps(recipe_to_dict(recipe), indent=2, ensure_ascii=False) + "\n"


def read_pretrain_recipe(path: Path) -> PretrainRecipe:
    """The recipe in a JSON, TOML or YAML file or a run folder; missing keys get their defaults.

    Raises:
        UsageError: no such file.
        ConfigError: not JSON, TOML or YAML, not a pretraining's recipe, an unknown key, or a value
            out of range.
    """
    return recipe_from_dict(read_config(path / "config.json" if path.is_dir() else path), path)


def recipe_from_dict(plain: Any, path: Path) -> PretrainRecipe:
    """The recipe from its kind and its fields by name; missing ones get their defaults.

    Args:
        plain: from the file `path`.
        path: for messages.

    Raises:
        ConfigError: not a pretraining's recipe, an unknown key, or a value out of range.
    """
    kind = plain.pop("kind", None) if isinstance(plain, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ConfigError(
            f"{path} is not the recipe of a pretraining: "
            f"its kind is {kind!r}, not {' or '.join(KINDS)}"
        )
    return from_dict(KINDS[kind], into_groups(KINDS[kind], plain), "recipe")
