"""The recipes that the arms of an experiment share, and sizes that several experiments have."""

from __future__ import annotations

from dataclasses import replace

from alexnet.config.augmentation import Augmentation
from alexnet.config.presets import CIFAR_RELU, IMAGENET_2012
from alexnet.config.recipe import DataOptions, LRSchedule, OptimizerOptions, Recipe
from alexnet.experiments.experiment import Protocol
from alexnet.models.variants import ModelOptions

COSINE = LRSchedule(schedule="cosine", warmup_epochs=0.5)
PAPER_LRS = (0.01, 0.003, 0.03)
"""The grid for the paper's optimizer, around the paper's rate."""
FOUR_LAYER_LRS = (0.003, 0.001, 0.01)
"""The grid for the four-layer net."""
ADAMW_LRS = (0.001, 0.0003, 0.003)
"""The grid for AdamW."""

# The 2012 code's layers-19pct, like the preset, but with smaller batches, so that a small training
# set gives enough steps, and a learning rate that decays to 0.
FOUR_LAYERS = replace(CIFAR_RELU, name="four_layers", schedule=COSINE, batch_size=64)
NARROW_FOUR_LAYERS = replace(FOUR_LAYERS, model=ModelOptions(width=0.5))

# Net 145 at a quarter of its width on CIFAR-10: crops of 28 pixels scaled to 67, the smallest input
# that five convolutions and three poolings leave something of. Pixels are scaled as in the 2012
# code, since the constants of the response norm are made for that scale. The initial weights are
# scaled with the inputs of a layer: at the published std the signal dies out in so narrow a net,
# and training stays at chance level. Everything else is as published, biases of 1 and dropout too.
SMALL_ALEXNET = Recipe(
    name="small_alexnet",
    data="cifar10",
    arch="alexnet_2012",
    model=ModelOptions(width=0.25, input_size=67, init="scaled"),
    data_options=DataOptions(resize_size=32, crop_size=28, mean="image", scale="code2012"),
    augment=Augmentation(color_std=0.0),
    optimizer=OptimizerOptions(optimizer="paper", bias_lr_multiplier=2.0, decay_biases=False),
    schedule=COSINE,
    epochs=10,
    batch_size=64,
)

# The batch-norm net on the same data. It learns from few images.
SMALL_BN = replace(
    SMALL_ALEXNET,
    name="small_bn",
    arch="alexnet_bn",
    model=ModelOptions(width=0.5, input_size=67),
    data_options=DataOptions(resize_size=32, crop_size=28),
    optimizer=OptimizerOptions(optimizer="adamw", weight_decay=0.05, decay_biases=False),
)
NARROW_BN = replace(SMALL_BN, model=ModelOptions(width=0.25, input_size=67))

IMAGENET = Protocol(base=IMAGENET_2012, lr_grid=(0.01,))
"""The paper's own size, as the 2012 code ran it, at the published learning rate."""


def limit_per_class(recipe: Recipe, train: int | None, test: int | None = None) -> Recipe:
    """The recipe with at most `train` and `test` images per class; None: all of them.

    `test` limits the images of the learning curve; the outcome is measured on all test images.
    """
    options = replace(recipe.data_options, train_per_class=train, test_per_class=test)
    return replace(recipe, data_options=options)


NET_145_QUICK = Protocol(
    base=replace(limit_per_class(SMALL_ALEXNET, 400, 30), epochs=8),
    lr_grid=PAPER_LRS,
    tuning_epochs=4,
    tuning_val_fraction=0.04,
)
"""The quick protocol that the claims about net 145 share; each takes minutes."""
NET_145_FULL = Protocol(
    base=replace(limit_per_class(SMALL_ALEXNET, 1000, 100), epochs=15),
    num_seeds=4,
    lr_grid=PAPER_LRS,
    tuning_epochs=4,
    tuning_train_per_class=800,
    tuning_val_fraction=0.04,
)
"""The full protocol that the claims about net 145 share; each takes an hour."""
