"""Advice from a run's learning curve: what it shows, and what to try, one sentence each.

The functions take records and counts, and give sentences; "" or nothing where all is well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from alexnet.config.recipe import Recipe
from alexnet.evaluation.intervals import percent_with_interval, wilson_interval
from alexnet.models.architecture import Architecture
from alexnet.models.layers import BatchNorm
from alexnet.records import EpochRecord

CHANCE_EPOCHS = 3
"""Number of consecutive epochs at chance level after which a model is said to learn nothing."""
STANDARD_ERRORS = 2
"""Number of standard errors within which an error cannot be told from chance."""
MEMORIZED_ERROR = 0.02
"""Training error up to which the training images count as memorized."""
OVERFITTING_GAP = 0.1
"""How much higher than the training error the lower end of the 95 % interval of the validation or
test error must be to count as overfitting."""
MAX_INITIAL_FRACTION, GOOD_INITIAL_FRACTION = 0.1, 0.05
"""Fraction of batch norm's running statistics that comes from the initial values: above the first
one there is advice, which aims at the second one."""


def chance_error(class_counts: np.ndarray) -> float:
    """The lowest error without looking at the images: that of the most frequent class, 0 to 1."""
    return 1 - float(class_counts.max() / class_counts.sum())


def chance_class_counts(class_counts: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Number of images of each class as sampled or as weighted in the loss: float64 [num_classes].

    With balanced class weights, answering always the most frequent class gains nothing.
    """
    if recipe.balance.balanced_sampling or recipe.balance.class_weights == "balanced":
        return np.full(len(class_counts), class_counts.sum() / len(class_counts))
    return class_counts.astype(np.float64)


def is_at_chance(
    history: Sequence[EpochRecord], class_counts: np.ndarray, mixed_fraction: float = 0.0
) -> bool:
    """Whether the training error of the last three epochs cannot be told from chance, or is worse.

    Args:
        history: the finished epochs.
        class_counts: training images of each class, as they are sampled or weighted.
        mixed_fraction: of the steps; these are left out of the error, so that it is of fewer
            images, unless they are all.
    """
    num_images = float(class_counts.sum()) * ((1 - mixed_fraction) or 1)
    if len(history) < CHANCE_EPOCHS or num_images < 1:
        return False
    chance = chance_error(class_counts)
    limit = chance - STANDARD_ERRORS * math.sqrt(chance * (1 - chance) / num_images)
    errors = [record.train_top1_error for record in history[-CHANCE_EPOCHS:]]
    return min(errors) >= limit


def is_first_at_chance(
    history: Sequence[EpochRecord], class_counts: np.ndarray, mixed_fraction: float = 0.0
) -> bool:
    """Whether the newest epoch is the first after which `is_at_chance`."""
    earlier = any(
        is_at_chance(history[:n], class_counts, mixed_fraction) for n in range(len(history))
    )
    return not earlier and is_at_chance(history, class_counts, mixed_fraction)


def chance_advice(
    history: Sequence[EpochRecord],
    class_names: tuple[str, ...],
    class_counts: np.ndarray,
    recipe: Recipe,
) -> str:
    """The advice for a model whose training error has stayed at chance level."""
    answer = f"always answering {class_names[int(class_counts.argmax())]!r}"
    if recipe.balance.class_weights == "balanced":
        answer = "guessing"
    lr, error = recipe.optimizer.lr, history[-1].train_top1_error
    he = "--init he --bias 0 --scale std, " if recipe.model.init == "published" else ""
    return (
        f"the training error has been at chance level for {CHANCE_EPOCHS} epochs "
        f"({100 * error:.1f} %, and {100 * chance_error(class_counts):.1f} % by {answer}), "
        "so the model has learnt nothing: try another learning rate "
        f"(--lr {lr / 10:g}, --lr {10 * lr:g}), initial weights that suit the depth "
        f"({he}--norm batch, or another --arch), and check that the labels are right"
    )


def overfitting_advice(history: Sequence[EpochRecord], num_images: int, recipe: Recipe) -> str:
    """The advice for a training error near 0 with a much higher error on other images; else "".

    Args:
        history: the finished epochs.
        num_images: of the split that was evaluated after each.
        recipe: what it does already is not advised.
    """
    last = history[-1]
    other = last.eval_top1_error
    if other is None or last.train_top1_error > MEMORIZED_ERROR:
        return ""
    lowest = wilson_interval(round(other * num_images), num_images).low
    if lowest < last.train_top1_error + OVERFITTING_GAP:
        return ""
    split = {"val": "validation", "test": "test"}[str(last.eval_split)]
    return (
        f"the training error is {100 * last.train_top1_error:.1f} % and the {split} error "
        f"{percent_with_interval(other, num_images)}: the model has memorized its training images; "
        f"try {' or '.join(overfitting_remedies(recipe))}"
    )


def overfitting_remedies(recipe: Recipe) -> list[str]:
    """What helps against overfitting and is not in the recipe already, with its flags."""
    augment = recipe.augment
    flags = [
        "--min-scale 0.3" if augment.min_scale == 1 else "",
        "--cutmix 0.5" if augment.mixed_fraction == 0 else "",
    ]
    others = [
        "--rand-augment 2 9" if augment.rand_augment is None else "",
        "--random-erasing 0.25" if augment.random_erasing == 0 else "",
    ]
    stronger = " ".join(filter(None, flags)) or " ".join(filter(None, others))
    remedies = [
        f"more augmentation ({stronger})" if stronger else "",
        "pretrained weights (--arch alexnet_owt --from torchvision)"
        if recipe.is_from_scratch
        else "",
        "more images",
    ]
    return [remedy for remedy in remedies if remedy]


def running_stats_advice(arch: Architecture, history: Sequence[EpochRecord]) -> str:
    """The advice for a run too short for batch norm's running statistics; "" for other runs.

    At each step they keep 1 - momentum of what they were, and the network is evaluated with them.
    """
    momenta = [layer.momentum for layer in arch.layers if isinstance(layer, BatchNorm)]
    if not momenta or not history or not 0 < min(momenta) < 1:
        return ""
    kept, steps = 1 - min(momenta), history[-1].step
    if kept**steps <= MAX_INITIAL_FRACTION:
        return ""
    enough = math.log(GOOD_INITIAL_FRACTION) / math.log(kept)
    epochs = math.ceil(enough / (steps / len(history)))
    return (
        f"after {steps} steps, {100 * kept**steps:.0f} % of batch norm's running statistics are "
        "still the initial values, so errors on held-out images say little of what was learnt: "
        f"train longer (--epochs {epochs})"
    )
