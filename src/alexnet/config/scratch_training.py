"""Options with which each network learns from random weights on few images, set by --arch.

The published networks were trained on 1.2 million images: by plain SGD, at pixels of 0 to 255 from
weights of standard deviation .01, they stay at chance for more steps than a small data set has.
Measured on toyflowers: docs/performance.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from alexnet.config.recipe import BaseRecipe, Recipe
from alexnet.models.variants import InitOption, NormOption
from alexnet.models.zoo import ABLATIONS

R = TypeVar("R", bound=BaseRecipe)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScratchTraining:
    """The options with which a network learns from random weights by AdamW."""

    lr: float
    init: InitOption = "published"
    bias: float | None = None
    norm: NormOption = "published"
    divides_by_std: bool = False
    """Divide the pixels by their standard deviation, which He initialization assumes."""


HE_AT_STD = ScratchTraining(lr=3e-4, init="he", bias=0.0, divides_by_std=True)
SCRATCH_TRAINING: dict[str, ScratchTraining] = {
    **dict.fromkeys(
        ("alexnet", "alexnet_2012", *ABLATIONS, "alexnet_caffe", "caffenet"), HE_AT_STD
    ),
    "alexnet_table": replace(HE_AT_STD, norm="batch"),
    "alexnet_owt": ScratchTraining(lr=3e-4, init="he"),
    "alexnet_notebook": ScratchTraining(lr=1e-3),
    "alexnet_bn": ScratchTraining(lr=1e-3),
    "lenet5": ScratchTraining(lr=2e-3),
    "cifar_quick": ScratchTraining(lr=1e-3),
}
"""The options of each published architecture.

The ReLU after the last layer of alexnet_table cuts logits below 0. With response norm all of them
are soon cut for all images (at 3e-5, 1e-4 and 3e-4), which ends the training.
"""


def with_scratch_training(recipe: R, arch: str) -> R:
    """Give a recipe the options with which a published network learns from random weights.

    A recipe with pretrained weights or another optimizer than AdamW is returned unchanged.
    """
    needs = SCRATCH_TRAINING.get(arch)
    if needs is None or not isinstance(recipe, Recipe):
        return recipe
    if not recipe.is_from_scratch or recipe.optimizer.optimizer != "adamw":
        return recipe
    data = recipe.data_options
    return replace(
        recipe,
        model=replace(recipe.model, init=needs.init, bias=needs.bias, norm=needs.norm),
        data_options=replace(data, scale="std") if needs.divides_by_std else data,
        optimizer=replace(recipe.optimizer, lr=needs.lr),
    )
