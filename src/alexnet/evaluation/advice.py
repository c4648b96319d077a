"""What an evaluation leaves uncertain, and what to try: one sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from alexnet.data.advice import (
    MIN_EVALUATED_IMAGES,
    images_text,
    largest_and_smallest,
    rare_classes,
)

if TYPE_CHECKING:
    from alexnet.evaluation.calibration import Calibration
    from alexnet.evaluation.results import Evaluation
    from alexnet.inference.predictor import Crops, Predictor

MIN_TEMPERATURE_IMAGES = 50
"""With as many validation images or more, in at most 5 % of the draws the fitted temperature made
the loss of new images higher; with 10 in up to 42 % (docs/guide.md, of miscalibrated networks)."""


def evaluation_advice(evaluation: Evaluation) -> list[str]:
    """Sentences on training images, few images, rare or very different classes, temperature."""
    counts = evaluation.confusion.sum(1)
    lines = [
        _trained_on(evaluation),
        _few_images(evaluation.num_images),
        rare_classes(evaluation.split, evaluation.class_names, counts),
        _imbalance(evaluation, counts),
        _temperature(evaluation.calibration),
    ]
    return [line for line in lines if line]


def temperature_advice(num_images: int) -> str:
    """A sentence on a temperature fitted on few images; "" for enough, or for 0, if none was."""
    if not 0 < num_images < MIN_TEMPERATURE_IMAGES:
        return ""
    return (
        f"the temperature is fitted on {images_text(num_images)}, so by chance it may make "
        f"probabilities worse, which is rare from {MIN_TEMPERATURE_IMAGES} validation images on"
    )


def crops_advice(predictor: Predictor, crops: Crops) -> str:
    """A sentence if only two of the ten crops differ; "" if all do, or for one crop."""
    preprocessing = predictor.info.preprocessing
    if crops == 1 or not preprocessing.has_one_crop:
        return ""
    side = preprocessing.crop_size
    return (
        f"the crops have the size of the stored images ({side}x{side}), so the ten are the image "
        "and its mirror image, five times each"
    )


def _trained_on(evaluation: Evaluation) -> str:
    count, total = evaluation.num_trained_on, evaluation.num_images
    if not count:
        return ""
    these = "these images" if count == total else f"{count:,} of these {images_text(total)}"
    is_held_out = evaluation.split in ("val", "test")  # of data that has changed since
    way_out = "other images with --data" if is_held_out else "--split val or --split test"
    return (
        f"{these} were trained on: the error tells how well they were learnt, not what new images "
        f"give; for that evaluate {way_out}"
    )


def _few_images(count: int) -> str:
    if count >= MIN_EVALUATED_IMAGES:
        return ""
    return (
        f"{images_text(count)} tell{'s' if count == 1 else ''} little, each is {100 / count:.1f} "
        "points of the error: evaluate on more (--data FOLDER)"
    )


def _imbalance(evaluation: Evaluation, counts: np.ndarray) -> str:
    pair = largest_and_smallest(evaluation.class_names, counts)
    if not pair:
        return ""
    recalls = [score.recall for score in evaluation.per_class if score.recall is not None]
    return (
        f"{pair}, so the error is mostly that of large classes: the mean recall of the classes is "
        f"{100 * np.mean(recalls):.1f} %"
    )


def _temperature(found: Calibration) -> str:
    """A sentence on a temperature that raises the calibration error; "" if it does not."""
    before = found.error_before
    if before is None or found.error <= before:
        return ""
    return (
        f"the temperature of {found.temperature:.3g} makes the calibration error of these images "
        f"higher, {100 * found.error:.2f} % instead of {100 * before:.2f} %: it was fitted on "
        "the validation images, which differ from these by chance or by kind"
    )
