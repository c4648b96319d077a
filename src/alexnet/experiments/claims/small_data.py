"""Four remedies for small training sets, and fine-tuning, with 10 to 40 images per class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from alexnet.config.augmentation import NO_AUGMENTATION
from alexnet.config.recipe import DataOptions
from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Change, Comparison, Experiment, Protocol
from alexnet.models.variants import ModelOptions

SIZES = (5, 10, 20, 40, 60)
"""Training images per class of the arms."""
FULL_SIZES = (10, 20, 40)
"""Sizes of the full protocol: few enough that there is time for more seeds."""
TUNING_SIZE = 20
"""Learning rates are tuned with this many images per class and used for all sizes."""

AUGMENTATION: Mapping[str, Change] = {
    "augment.crop": "random",
    "augment.flip": True,
    "augment.min_scale": 0.4,
    "augment.max_aspect_ratio": 1.33,
    "augment.color_std": 0.1,
}
WEIGHT_DECAY: Mapping[str, Change] = {"optimizer.weight_decay": 0.5}
DROPOUT: Mapping[str, Change] = {"model.dropout": 0.5}
TORCHVISION: Mapping[str, Change] = {
    "arch": "alexnet_owt",
    "model.width": 1.0,
    "model.input_size": 160,
    "data_options.resize_size": 256,
    "data_options.crop_size": 224,
    "data_options.mean": "imagenet",
    "data_options.scale": "imagenet",
    "freeze_up_to": "pool5",
}
REMEDIES = (
    Arm(name="baseline"),
    Arm(name="augmentation", changes=AUGMENTATION),
    Arm(name="weight-decay", changes=WEIGHT_DECAY),
    Arm(name="dropout", changes=DROPOUT),
    Arm(name="autoencoder", init_from="autoencoder"),
    Arm(name="rbm", init_from="rbm"),
    Arm(
        name="all-four",
        changes={**AUGMENTATION, **WEIGHT_DECAY, **DROPOUT},
        init_from="autoencoder",
    ),
    Arm(name="fine-tuning", changes=TORCHVISION, init_from="alexnet_owt"),
)

# The image store has 80 pixels. Inputs are center crops of 67, or random crops with augmentation.
# Half of the images are for testing: with a quarter, the choice of the test images would make the
# intervals wider than the choice of the training images does.
FLOWERS = replace(
    bases.SMALL_BN,
    name="small_data",
    data="flowers17",
    model=ModelOptions(width=0.25, input_size=67, dropout=0.0),
    data_options=DataOptions(resize_size=80, split_seed=0, test_fraction=0.5, test_per_class=10),
    augment=NO_AUGMENTATION,
    optimizer=replace(bases.SMALL_BN.optimizer, weight_decay=0.0),
    batch_size=32,
)


def at_size(arm: Arm, size: int) -> Arm:
    """The arm with `size` training images per class."""
    return replace(
        arm,
        name=f"{arm.name}-{size}",
        changes={**arm.changes, "data_options.train_per_class": size},
        lr_from="" if size == TUNING_SIZE else f"{arm.name}-{TUNING_SIZE}",
        series=arm.name,
        images_per_class=size,
    )


def arm_names(remedy: str) -> tuple[str, ...]:
    """The arms of one remedy, from the fewest images to the most."""
    return tuple(f"{remedy}-{size}" for size in SIZES)


def remedy_helps(remedy: str, min_effect: float = 0.02, than: str = "baseline") -> Comparison:
    """One remedy against another or the baseline, averaged over the sizes."""
    return Comparison(
        name=f"{remedy} has a lower error than {than}",
        better=arm_names(remedy),
        worse=arm_names(than),
        min_effect=min_effect,
    )


SMALL_DATA = Experiment(
    name="small-data",
    claim="With few training images, augmentation, weight decay, dropout and pretraining without "
    "labels each lower the error; all four together lower it more; fine-tuning features learned "
    "on other images lowers it most.",
    source="The tutorial's remedies; Paper, sections 4.1, 4.2 and 5",
    expected="no number: trained from scratch on Oxford 17, AlexNet-like nets of others have "
    "errors of 31 to 45 %",
    limits="On Oxford 17 with 10 to 40 training images per class (quick: 20) and the same 680 test "
    "images in every run; the seed selects the training images. The net is the batch-norm one at "
    "a quarter of its width and 67 pixels, so its errors are not those of the flowers17 preset. "
    "Learning rates are tuned at 20 images per class; the strength of a remedy is fixed, not "
    "tuned. Pretraining, with an auto-encoder or with restricted Boltzmann machines, is done once "
    "for all runs of a seed; it uses 36 of the 40 training images per class of the split, without "
    "labels. Why an RBM's filters harmed this net at first, and what their transfer does about it, "
    "is in the guide's section on unsupervised pretraining. Fine-tuning freezes torchvision's "
    "convolutions (at 160 pixels) and trains fc6 to fc8.",
    measure="test_error",
    arms=tuple(at_size(arm, size) for arm in REMEDIES for size in SIZES),
    comparisons=(
        remedy_helps("augmentation"),
        remedy_helps("weight-decay"),
        remedy_helps("dropout"),
        remedy_helps("autoencoder"),
        remedy_helps("rbm"),
        remedy_helps("all-four", 0.05),
        remedy_helps("fine-tuning", 0.05, than="all-four"),
    ),
    protocols={
        "quick": Protocol(
            base=replace(FLOWERS, epochs=25),
            lr_grid=(0.001, 0.003),
            tuning_epochs=8,
            tuning_val_fraction=0.3,
            arms=tuple(f"{arm.name}-{TUNING_SIZE}" for arm in REMEDIES),
            arm_epochs={f"fine-tuning-{TUNING_SIZE}": 3},
        ),
        "full": Protocol(
            base=replace(FLOWERS, epochs=80),
            num_seeds=5,
            lr_grid=bases.ADAMW_LRS,
            tuning_epochs=40,
            tuning_val_fraction=0.3,
            arms=tuple(f"{arm.name}-{size}" for arm in REMEDIES for size in FULL_SIZES),
            arm_epochs={
                **{
                    f"{arm.name}-{size}": epochs
                    for arm in REMEDIES[:-1]
                    for size, epochs in ((10, 100), (40, 60))
                },
                **{f"fine-tuning-{size}": 6 for size in FULL_SIZES},
            },
        ),
    },
)
