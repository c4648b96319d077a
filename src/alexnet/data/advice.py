"""What the numbers of images make uncertain, and what to try: one sentence each."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from alexnet.config.recipe import DataOptions
from alexnet.data.summary import first_names

MIN_EVALUATED_IMAGES = 30
"""Evaluated images below which one image more or less changes the error by over three points."""
MIN_IMAGES_PER_CLASS = 5
MAX_HELD_OUT = 2
"""A validation split larger than this many times the requested fraction gets advice."""
MAX_IMBALANCE = 10
"""Largest ratio of evaluated images, between the largest and the smallest class, without advice."""
MAX_TRAIN_IMBALANCE = 4
"""The same ratio for training images; `alexnet data check` uses a quarter of the median class."""
MIN_LEFT_OUT_FRACTION = 0.1
"""Smallest fraction of training images left out of an epoch that gets advice."""
SPLIT_WORDS = {"train": "training", "val": "validation", "test": "test"}


def split_advice(
    class_names: tuple[str, ...],
    labels: np.ndarray,
    indices: Mapping[str, np.ndarray],
    own_splits: Collection[str],
    *,
    is_balanced: bool,
) -> list[str]:
    """Sentences on what these splits make uncertain in a training; empty if there is nothing.

    Args:
        class_names: a label is an index into them.
        labels: int64 [N].
        indices: indices of the images of every split.
        own_splits: the splits that the data set defines itself.
        is_balanced: the training weighs or samples the classes equally.
    """
    counts = {
        split: np.bincount(labels[part], minlength=len(class_names))
        for split, part in indices.items()
        if len(part)
    }
    is_scarce = bool("train" in counts and rare_names(class_names, counts["train"]))
    lines = [
        few_images(split, int(counts[split].sum()), is_own=split in own_splits, is_scarce=is_scarce)
        for split in ("val", "test")
        if split in counts
    ]
    if "train" in counts:
        lines += [
            rare_classes("train", class_names, counts["train"]),
            "" if is_balanced else imbalance(class_names, counts["train"]),
        ]
    if "test" in counts:
        lines.append(rare_classes("test", class_names, counts["test"]))
    return [line for line in lines if line]


def left_out_images(num_images: int, batch_size: int, accumulate: int = 1) -> str:
    """A sentence on training images that fill no batch in an epoch; "" if they are under a tenth.

    Args:
        num_images: number of training images.
        batch_size: images in a batch, as given by --batch-size.
        accumulate: batches in a step; a step with fewer is left out, too.
    """
    per_step = batch_size * accumulate
    left_out = num_images % per_step
    if num_images < per_step or left_out < MIN_LEFT_OUT_FRACTION * num_images:
        return ""
    steps, used = num_images // per_step, num_images - left_out
    better = num_images // (accumulate * (steps + 1))  # the largest with one more step
    better_used = better * accumulate * (steps + 1)
    is_better = better > 1 and better_used > used  # batch norm cannot be trained with one image
    parts = "" if accumulate == 1 else f" (--batch-size {batch_size} --accumulate {accumulate})"
    tip = f"; --batch-size {better} uses {better_used:,}" if is_better else ""
    return (
        f"an epoch is {steps} batch{'' if steps == 1 else 'es'} of {per_step:,}{parts}: {used:,} "
        f"of {images_text(num_images, 'training ')}, others in each epoch{tip}"
    )


def few_images(split: str, num_images: int, *, is_own: bool, is_scarce: bool = False) -> str:
    """A sentence on a split that is too small to measure an error on; "" if it is not.

    Args:
        split: "val" or "test".
        num_images: number of its images.
        is_own: whether the data set defines the split, and not a fraction.
        is_scarce: whether a class has few training images, so that no more should be held out.
    """
    if num_images >= MIN_EVALUATED_IMAGES:
        return ""
    what = "add images to it"
    if not is_own:
        what = "add images" if is_scarce else f"{what}, or hold out a larger --{split}-fraction"
    return (
        f"the {SPLIT_WORDS[split]} split has {images_text(num_images)}, each "
        f"{100 / num_images:.1f} points of the error: {what}"
    )


def unused_fractions(options: DataOptions, own_splits: Collection[str]) -> list[str]:
    """Sentences on fractions that a data set's own splits leave without effect.

    Args:
        options: the options with the fractions.
        own_splits: the splits that the data set defines itself.
    """
    fractions = {"test": options.test_fraction, "val": options.val_fraction or None}
    return [
        f"--{split}-fraction {fraction:g} has no effect: the data set has its own "
        f"{SPLIT_WORDS[split]} split"
        for split, fraction in fractions.items()
        if fraction is not None and split in own_splits
    ]


def many_held_out(num_train: int, num_val: int, val_fraction: float) -> str:
    """A sentence on a validation split that is far larger than the fraction asked for; else "".

    Args:
        num_train: training images that `train_per_class` leaves.
        num_val: validation images, which are held out before `train_per_class` applies.
        val_fraction: fraction of the images that was to be held out, 0 to below 1.
    """
    if num_val <= MAX_HELD_OUT * val_fraction * (num_train + num_val):
        return ""
    fraction = val_fraction / (1 - val_fraction) * num_train / num_val * val_fraction
    return (
        f"{num_val:,} validation images for {num_train:,} training images: --val-fraction "
        f"{val_fraction:g} is taken before --train-per-class limits the rest; for fewer, "
        f"--val-fraction {fraction:.2g}"
    )


def rare_classes(split: str, class_names: tuple[str, ...], counts: np.ndarray) -> str:
    """A sentence on classes with 1 to 4 images in a split; "" if there are none."""
    rare = rare_names(class_names, counts)
    if not rare:
        return ""
    is_one = len(rare) == 1
    who, whose = ("1 class has", "its") if is_one else (f"{len(rare):,} classes have", "their")
    what = (
        "add images, or leave out what cannot be learnt from so few"
        if split == "train"
        else f"{whose} recall is hardly more than a guess; add test images"
    )
    kind = SPLIT_WORDS.get(split, "")
    return (
        f"{who} fewer than {MIN_IMAGES_PER_CLASS} {kind + ' ' if kind else ''}images "
        f"({first_names(rare)}): {what}"
    )


def rare_names(class_names: tuple[str, ...], counts: np.ndarray) -> list[str]:
    """The classes with 1 to 4 images, with their number: ["rose 3"]."""
    return [
        f"{name} {count}"
        for name, count in zip(class_names, counts.tolist(), strict=True)
        if 0 < count < MIN_IMAGES_PER_CLASS
    ]


def imbalance(class_names: tuple[str, ...], counts: np.ndarray) -> str:
    """A sentence on training classes of very different sizes; "" if there are none."""
    pair = largest_and_smallest(class_names, counts, MAX_TRAIN_IMBALANCE)
    if not pair:
        return ""
    return (
        f"{pair}: look at the recall of each class (alexnet evaluate), "
        "and try --class-weights balanced or --balanced-sampling"
    )


def largest_and_smallest(
    class_names: tuple[str, ...], counts: np.ndarray, max_imbalance: int = MAX_IMBALANCE
) -> str:
    """The largest and smallest class in words; "" if their ratio is at most `max_imbalance`.

    Classes without images do not count.
    """
    present = np.flatnonzero(counts)
    small, large = (int(present[f(counts[present])]) for f in (np.argmin, np.argmax))
    if counts[large] <= max_imbalance * counts[small]:
        return ""
    return (
        f"{class_names[large]} has {images_text(int(counts[large]))} and {class_names[small]} "
        f"{counts[small]:,}, {counts[large] / counts[small]:.0f} times fewer"
    )


def images_text(count: int, kind: str = "") -> str:
    """A number of images in words: "1 image", "1,200 images", "91 training images"."""
    return f"{count:,} {kind}image{'' if count == 1 else 's'}"
