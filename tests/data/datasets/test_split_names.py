"""Names of splits, in the forms that people use."""

from __future__ import annotations

import pytest

from alexnet.data.datasets.split_names import is_generic, parse_split_name, split_of

SPLIT_NAMES = {
    "train": "train TRAIN Training train_set training-set TrainSet trainset trainingset Train1 "
    "train_images TrainingData train-2 images_train train.jpg imgs_train_01",
    "val": "val VALID Validation dev Dev_Set eval evaluation valset val2 validation_images "
    "ValidationData development",
    "test": "test Testing TESTS test_set test1 testset TestData holdout hold-out Hold_Out HoldOut "
    "held-out test_images",
}


@pytest.mark.parametrize(
    ("split", "name"), [(split, n) for split, names in SPLIT_NAMES.items() for n in names.split()]
)
def test_a_split_name_in_any_form(split: str, name: str) -> None:
    assert split_of(name) == split


def test_separators_may_be_spaces() -> None:
    assert split_of("Training Set") == "train"
    assert split_of(" hold out  set 3") == "test"


@pytest.mark.parametrize(
    ("name", "split", "rest"),
    [
        ("seg_train", "train", "seg"),
        ("my_train", "train", "my"),
        ("MyTrain", "train", "my"),
        ("flowers-17-valid", "val", "flowers"),
        ("test tube", "test", "tube"),
        ("training shoes", "train", "shoes"),
    ],
)
def test_other_words_are_kept_apart(name: str, split: str, rest: str) -> None:
    assert parse_split_name(name) == (split, rest)
    assert split_of(name) == ""


@pytest.mark.parametrize(
    "name",
    ["", "rose", "trains", "strain", "testament", "contest", "valley", "develop", "devil",
     "evaluate", "train_val_split", "train-test", "2019", "__", "valentine"],
)  # fmt: skip
def test_what_is_no_split(name: str) -> None:
    assert parse_split_name(name) is None


def test_generic_names() -> None:
    assert all(map(is_generic, ("images", "JPG_Data", "photos 2")))
    assert not any(map(is_generic, ("", "roses", "train", "rose images", "12")))
