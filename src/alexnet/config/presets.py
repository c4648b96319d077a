"""The presets. The README lists the results to expect and the training times."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from alexnet.config.augmentation import NO_AUGMENTATION, Augmentation
from alexnet.config.options import with_options
from alexnet.config.published_inputs import with_architecture
from alexnet.config.recipe import DataOptions, LRSchedule, OptimizerOptions, Recipe
from alexnet.errors import UnknownNameError
from alexnet.models.variants import ModelOptions

ADAMW = OptimizerOptions(optimizer="adamw", lr=1e-3, weight_decay=0.05, decay_biases=False)
RESIZED_CROPS = Augmentation(min_scale=0.3, max_aspect_ratio=1.33)
CUTMIX = replace(RESIZED_CROPS, cutmix=0.5)

FLOWERS17 = Recipe(
    name="flowers17",
    data="flowers17",
    arch="alexnet_bn",
    model=ModelOptions(input_size=128),
    data_options=DataOptions(resize_size=256, crop_size=224),
    augment=CUTMIX,
    optimizer=ADAMW,
    schedule=LRSchedule(schedule="cosine", warmup_epochs=3),
    epochs=100,
    batch_size=64,
    label_smoothing=0.1,
)

QUICKSTART = replace(
    FLOWERS17,
    name="quickstart",
    data="toyflowers",
    data_options=DataOptions(resize_size=160, crop_size=140),
    augment=replace(RESIZED_CROPS, min_scale=0.5),
    epochs=45,
)

# conv1 to conv3 need no training: the error is the same, and a step is a fifth cheaper. The batch
# size is a compromise: every step updates 57 million weights, and a folder of 60 images must
# still get steps enough.
FLOWERS17_FINETUNE = Recipe(
    name="flowers17_finetune",
    data="flowers17",
    arch="alexnet_owt",
    data_options=DataOptions(resize_size=256, mean="imagenet", scale="imagenet"),
    augment=Augmentation(min_scale=0.5, max_aspect_ratio=1.33, color_std=0.0),
    optimizer=OptimizerOptions(optimizer="adamw", lr=2e-4, weight_decay=0.05, decay_biases=False),
    schedule=LRSchedule(schedule="cosine", warmup_epochs=1),
    epochs=20,
    batch_size=32,
    label_smoothing=0.1,
    freeze_up_to="conv3",
    init_from="torchvision",
)

FINETUNE = replace(FLOWERS17_FINETUNE, name="finetune", data="toyflowers", init_from="auto")
"""The preset for fine-tuning on the user's own images."""

# The Tutorial: images stretched to 224 x 224 and divided by 255, the last 20 % of one shuffle held
# out, Keras's Adam, 17 steps of 64 images, one epoch, no augmentation.
NOTEBOOK = Recipe(
    name="notebook",
    data="flowers17",
    arch="alexnet_notebook",
    data_options=DataOptions(
        resize="stretch",
        resize_size=224,
        mean="none",
        scale="unit",
        split="random",
        test_fraction=0.2,
    ),
    augment=NO_AUGMENTATION,
    optimizer=OptimizerOptions(optimizer="keras_adam", lr=1e-3, eps=1e-7, weight_decay=0.0),
    epochs=1,
    batch_size=64,
)

# The training run of 2012 (Code2012, net 145): late in training the color jitter ends, and conv1
# first gets a low learning rate and is then frozen.
IMAGENET_2012 = Recipe(
    name="imagenet_2012",
    data="imagenet",
    arch="alexnet_2012",
    data_options=DataOptions(resize_size=256, mean="image", scale="code2012"),
    augment=Augmentation(last_color_epoch=67),
    optimizer=OptimizerOptions(
        optimizer="paper", lr=0.01, bias_lr_multiplier=2.0, decay_biases=False
    ),
    schedule=LRSchedule(schedule="step", milestones=(25, 51, 79)),
    epochs=91,
    batch_size=128,
    freeze_up_to="conv1",
    freeze_after_epoch=72,
    low_lr_after_epoch=67,
)

# Code2012's layer-params-19pct. Its weight decay is 0.004, and 1 for the last layer;
# here it is 0.004 for all layers.
CIFAR_RELU = Recipe(
    name="cifar_relu",
    data="cifar10",
    arch="cifar_quick",
    data_options=DataOptions(resize_size=32, mean="image", scale="pixels"),
    augment=NO_AUGMENTATION,
    optimizer=OptimizerOptions(
        optimizer="paper", lr=0.001, bias_lr_multiplier=2.0, weight_decay=0.004, decay_biases=False
    ),
    schedule=LRSchedule(schedule="constant"),
    epochs=30,
    batch_size=128,
)

CIFAR_TANH = replace(CIFAR_RELU, name="cifar_tanh", model=ModelOptions(activation="tanh"))

MNIST_LENET = Recipe(
    name="mnist_lenet",
    data="mnist",
    arch="lenet5",
    data_options=DataOptions(resize_size=28, padding=4),
    augment=Augmentation(flip=False, color_std=0.0),
    optimizer=OptimizerOptions(optimizer="adamw", lr=2e-3, weight_decay=0.01, decay_biases=False),
    schedule=LRSchedule(schedule="cosine", warmup_steps=100),
    epochs=10,
    batch_size=128,
)

PRESETS: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        QUICKSTART,
        FLOWERS17,
        FLOWERS17_FINETUNE,
        NOTEBOOK,
        IMAGENET_2012,
        CIFAR_RELU,
        CIFAR_TANH,
        MNIST_LENET,
    )
}


def preset(name: str, /, **options: Any) -> Recipe:
    """Return a preset, with changed options if given: `preset("flowers17", epochs=5)`.

    Args:
        name: the name of the preset.
        options: values by the names of the flags, with underscores.

    Raises:
        UnknownNameError: there is no such preset or option; the message suggests similar names.
        ConfigError: a value is out of range.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise UnknownNameError("preset", str(name), PRESETS)
    start = with_architecture(PRESETS[name], options.get("arch", PRESETS[name].arch))
    return with_options(start, options)
