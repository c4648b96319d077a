"""Four remedies for little data, and fine-tuning, with 5 to 60 pictures a class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from alexnet.config.recipe import DataOptions
from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Change, Comparison, Experiment, Protocol
from alexnet.models.variants import ModelOptions

SIZES = (5, 10, 20, 40, 60)
TUNED_AT = 20
"""Rates are tuned with this many pictures a class and kept for the other sizes."""

AUGMENTATION: Mapping[str, Change] = {
    "augment.crop": "random",
    "augment.flip": True,
    "augment.min_scale": 0.4,
    "augment.max_aspect_ratio": 1.33,
    "augment.color_std": 0.1,
}
DECAY: Mapping[str, Change] = {"optimizer.weight_decay": 0.5}
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
    Arm(name="nothing"),
    Arm(name="augmentation", changes=AUGMENTATION),
    Arm(name="decay", changes=DECAY),
    Arm(name="dropout", changes=DROPOUT),
    Arm(name="autoencoder", begins_from="autoencoder"),
    Arm(name="rbm", begins_from="rbm"),
    Arm(
        name="all-four",
        changes={**AUGMENTATION, **DECAY, **DROPOUT},
        begins_from="autoencoder",
    ),
    Arm(name="fine-tuning", changes=TORCHVISION, begins_from="alexnet_owt"),
)

# One store of 80 pixels; inputs are the 67 pixels in the middle, or anywhere with augmentation.
FLOWERS = replace(
    bases.SMALL_BN,
    name="small_data",
    data="flowers17",
    model=ModelOptions(width=0.5, input_size=67, dropout=0.0),
    data_options=DataOptions(resize_size=80, split_seed=0),
    augment=bases.PLAIN,
    optimizer=replace(bases.SMALL_BN.optimizer, weight_decay=0.0),
    batch_size=32,
)
NARROW = replace(FLOWERS, model=replace(FLOWERS.model, width=0.25))


def at_size(arm: Arm, size: int) -> Arm:
    """The arm with so many training pictures a class."""
    return replace(
        arm,
        name=f"{arm.name}-{size}",
        changes={**arm.changes, "data_options.train_per_class": size},
        rate_of="" if size == TUNED_AT else f"{arm.name}-{TUNED_AT}",
        series=arm.name,
        at=size,
    )


def names(remedy: str) -> tuple[str, ...]:
    """The arms of one remedy, from few pictures to many."""
    return tuple(f"{remedy}-{size}" for size in SIZES)


def helps(remedy: str, at_least: float = 0.02, than: str = "nothing") -> Comparison:
    """One remedy against another, averaged over the sizes."""
    return Comparison(
        name=f"{remedy} errs less than {than}",
        better=names(remedy),
        worse=names(than),
        at_least=at_least,
    )


SMALL_DATA = Experiment(
    name="small-data",
    claim="With few pictures, augmentation, weight decay, dropout and pre-training without labels "
    "each lower the error, all four together more, and beginning from features learnt on other "
    "pictures lowers it most.",
    source="The tutorial's remedies; Paper, sections 4.1, 4.2 and 5",
    expected="no figure: from scratch on Oxford 17, AlexNet-like nets of others err 31 to 45 %",
    limits="On Oxford 17 with 5 to 60 training pictures a class (quick: 20) and 340 test pictures, "
    "the same for every run; the seed draws the training pictures. The net is the batch-norm one, "
    "at half its width and 67 pixels (quick: a quarter), so its errors are not those of the "
    "flowers17 preset. Rates are tuned at 20 a class; the strength of a remedy is fixed, not "
    "tuned. Pre-training, as an auto-encoder or as restricted Boltzmann machines, once for all "
    "runs, sees all 60 training pictures a class, but no labels. "
    "Fine-tuning keeps torchvision's convolutions (at 160 pixels) and learns fc6 to fc8.",
    measure="test_error",
    arms=tuple(at_size(arm, size) for arm in REMEDIES for size in SIZES),
    comparisons=(
        helps("augmentation"),
        helps("decay"),
        helps("dropout"),
        helps("autoencoder"),
        helps("rbm"),
        helps("all-four", 0.05),
        helps("fine-tuning", 0.05, than="all-four"),
    ),
    protocols={
        "quick": Protocol(
            base=replace(NARROW, epochs=35),
            rates=(0.001, 0.003),
            tuning_epochs=20,
            tuning_share=0.2,
            arms=tuple(f"{arm.name}-{TUNED_AT}" for arm in REMEDIES),
            arm_epochs={f"fine-tuning-{TUNED_AT}": 3},
            pictures_per_second=bases.NARROW_BN_SPEED,
            arm_speeds={"fine-tuning": 60},
        ),
        "full": Protocol(
            base=replace(FLOWERS, epochs=100),
            rates=(0.0003, 0.001, 0.003),
            tuning_epochs=50,
            tuning_share=0.2,
            arm_epochs={
                **{
                    f"{arm.name}-{size}": epochs
                    for arm in REMEDIES[:-1]
                    for size, epochs in ((5, 160), (10, 130), (40, 80), (60, 70))
                },
                **{f"fine-tuning-{size}": 6 for size in SIZES},
            },
            pictures_per_second=bases.SMALL_BN_SPEED,
            arm_speeds={"fine-tuning": 60},
        ),
    },
)
