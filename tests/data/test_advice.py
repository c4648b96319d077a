"""Sentences on too few images, rare classes and imbalance, at the borders of each."""

from __future__ import annotations

import re

import numpy as np
import pytest

from alexnet.config.recipe import DataOptions
from alexnet.data.advice import (
    few_images,
    imbalance,
    left_out_images,
    many_held_out,
    rare_classes,
    split_advice,
    unused_fractions,
)

NAMES = ("daisy", "rose", "tulip")


@pytest.mark.parametrize(("count", "is_said"), [(29, True), (30, False)])
def test_fewer_than_30_test_images(count: int, is_said: bool) -> None:
    told = few_images("test", count, is_own=False)
    assert bool(told) == is_said
    if is_said:
        assert told == (
            "the test split has 29 images, each 3.4 points of the error: "
            "add images to it, or hold out a larger --test-fraction"
        )


def test_no_flag_changes_a_split_that_the_data_set_defines() -> None:
    assert few_images("val", 1, is_own=True) == (
        "the validation split has 1 image, each 100.0 points of the error: add images to it"
    )


@pytest.mark.parametrize(("count", "is_said"), [(0, False), (1, True), (4, True), (5, False)])
def test_a_class_of_fewer_than_5_images(count: int, is_said: bool) -> None:
    told = rare_classes("train", NAMES, np.array([9, count, 9]))
    assert bool(told) == is_said
    if is_said:
        assert told.startswith(f"1 class has fewer than 5 training images (rose {count}): add")


def test_rare_test_classes_are_listed() -> None:
    assert "2 classes have fewer than 5 test images (daisy 1, tulip 4): their recall" in (
        rare_classes("test", NAMES, np.array([1, 5, 4]))
    )


@pytest.mark.parametrize(("largest", "is_said"), [(20, False), (22, True)])
def test_imbalance_above_four_to_one(largest: int, is_said: bool) -> None:
    told = imbalance(NAMES, np.array([5, largest, 0]))
    assert bool(told) == is_said
    if is_said:
        assert told == (
            "rose has 22 images and daisy 5, 4 times fewer: look at the recall of each class "
            "(alexnet evaluate), and try --class-weights balanced or --balanced-sampling"
        )


def test_each_split_is_looked_at_for_what_matters_there() -> None:
    labels = np.repeat([0, 1, 2], [60, 8, 3])
    indices = {
        "train": np.r_[0:44, 60:64, 68:70],  # 44, 4, 2
        "val": np.r_[44:50, 64:66],  # 6, 2, 0
        "test": np.r_[50:60, 66:68, 70:71],  # 10, 2, 1
    }
    told = split_advice(NAMES, labels, indices, {"test"}, is_balanced=False)
    assert [re.sub(r"[:(].*", "", sentence).strip() for sentence in told] == [
        "the validation split has 8 images, each 12.5 points of the error",
        "the test split has 13 images, each 7.7 points of the error",
        "2 classes have fewer than 5 training images",
        "daisy has 44 images and tulip 2, 22 times fewer",
        "2 classes have fewer than 5 test images",
    ]
    balanced = split_advice(NAMES, labels, indices, {"test"}, is_balanced=True)
    assert len(balanced) == len(told) - 1
    assert told[0].endswith("the error: add images")
    assert told[1].endswith("the error: add images to it")


@pytest.mark.parametrize("smallest", [4, 5])
def test_no_larger_fraction_is_advised_where_a_class_has_few_training_images(smallest: int) -> None:
    labels = np.r_[np.repeat([0, 1], 10), np.repeat(2, smallest), [0, 1, 2, 0, 1, 2]]
    indices = {"train": np.arange(len(labels) - 6), "test": np.arange(6) + len(labels) - 6}
    told = " ".join(split_advice(NAMES, labels, indices, (), is_balanced=False))
    assert "the test split has 6 images" in told
    assert ("--test-fraction" in told) == (smallest == 5)


def test_nothing_is_said_of_enough_images_and_of_splits_that_are_not_there() -> None:
    labels = np.repeat([0, 1, 2], 40)
    indices = {"train": np.arange(0, 120), "val": np.array([], int), "test": np.array([], int)}
    assert split_advice(NAMES, labels, indices, (), is_balanced=False) == []


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ((91, 32), "an epoch is 2 batches of 32: 64 of 91 training images, others in each epoch; "
                   "--batch-size 30 uses 90"),
        ((86, 32), "an epoch is 2 batches of 32: 64 of 86 training images, others in each epoch; "
                   "--batch-size 28 uses 84"),
        ((3, 2), "an epoch is 1 batch of 2: 2 of 3 training images, others in each epoch"),
        ((91, 16, 2), "an epoch is 2 batches of 32 (--batch-size 16 --accumulate 2): 64 of 91 "
                      "training images, others in each epoch; --batch-size 15 uses 90"),
        ((90, 30), ""), ((20, 32), ""), ((106, 32), ""), ((107, 32), "an epoch is 3 batches of 32"),
    ],
    ids=str,
)  # fmt: skip
def test_a_tenth_of_the_training_images_in_no_batch(numbers: tuple[int, ...], told: str) -> None:
    assert left_out_images(*numbers).startswith(told)
    assert bool(left_out_images(*numbers)) == bool(told)


def test_a_fraction_without_effect_is_told() -> None:
    options = DataOptions(test_fraction=0.2, val_fraction=0.1)
    assert unused_fractions(options, {"train", "val", "test"}) == [
        "--test-fraction 0.2 has no effect: the data set has its own test split",
        "--val-fraction 0.1 has no effect: the data set has its own validation split",
    ]
    assert unused_fractions(options, {"train"}) == []
    assert unused_fractions(DataOptions(), {"train", "val", "test"}) == []


def test_many_held_out_images_are_told_with_a_fraction_for_fewer() -> None:
    assert many_held_out(9_000, 1_000, 0.1) == ""
    assert many_held_out(4_000, 1_000, 0.1) == ""
    assert many_held_out(3_990, 1_000, 0.1)
    text = many_held_out(1_000, 5_000, 0.1)
    assert text.startswith("5,000 validation images for 1,000 training images: --val-fraction 0.1")
    assert text.endswith("--val-fraction 0.0022")  # 111 of 50,000, which are 0.1 of 1,111
