"""The data of a training run: what is reported before it begins, and what is rejected."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.config.recipe import DataOptions, Recipe
from alexnet.data.load import load_dataset
from alexnet.data.splits import split_indices
from alexnet.errors import DataError
from alexnet.reporter import NullReporter
from alexnet.training.data import prepare_data
from support.noise_stores import noise
from support.runs import SetAside, Witness


def test_a_class_without_training_images_is_named(tiny: Recipe, set_aside: SetAside) -> None:
    data = set_aside("train", "test")
    for path in (data / "train" / "rose").iterdir():
        path.write_bytes(b"not an image")
    options = replace(tiny.data_options, max_rejected_fraction=1.0)
    with pytest.raises(
        DataError, match=r"class 'rose' has no usable training image; .*rose/0.* was rejected"
    ):
        prepare_data(replace(tiny, data=str(data), data_options=options), NullReporter())


def test_classes_and_splits_are_told_and_what_a_split_lacks(
    tiny: Recipe, set_aside: SetAside, witness: Witness
) -> None:
    data = set_aside("train", "val", "test")
    shutil.rmtree(data / "test" / "rose")
    prepare_data(replace(tiny, data=str(data)), witness)
    assert witness.notes == [
        "12 classes: bellflower, buttercup, daffodil, dahlia, daisy, lily, periwinkle, "
        "poppy, primrose, rose and 2 more",
        "images: 36 train, 12 val, 11 test",
        "rose has no test images",
        "the validation split has 12 images, each 8.3 points of the error: add images to it",
        "the test split has 11 images, each 9.1 points of the error: add images to it",
        "12 classes have fewer than 5 training images (bellflower 3, buttercup 3, daffodil 3, "
        "dahlia 3, daisy 3, lily 3, periwinkle 3, poppy 3, primrose 3, rose 3 and 2 more): "
        "add images, or leave out what cannot be learnt from so few",
        "11 classes have fewer than 5 test images (bellflower 1, buttercup 1, daffodil 1, "
        "dahlia 1, daisy 1, lily 1, periwinkle 1, poppy 1, primrose 1, sunflower 1 and 1 more): "
        "their recall is hardly more than a guess; add test images",
    ]


def test_a_fraction_is_held_out_of_the_training_images_or_without_effect(
    tiny: Recipe, set_aside: SetAside, witness: Witness
) -> None:
    options = replace(tiny.data_options, test_fraction=0.34)
    recipe = replace(tiny, data=str(set_aside("train", "val")), data_options=options)
    _, splits = prepare_data(recipe, witness)
    assert splits.counts == {"train": 24, "val": 12, "test": 12}
    assert not any("no effect" in note for note in witness.notes)
    set_aside("test")
    _, splits = prepare_data(recipe, witness)
    assert splits.counts == {"train": 36, "val": 12, "test": 12}
    told = "--test-fraction 0.34 has no effect: the data set has its own test split"
    assert witness.notes.count(told) == 1


def test_a_class_that_is_held_out_whole_is_told_so(tiny: Recipe, set_aside: SetAside) -> None:
    data = set_aside("train", "val")
    for name in ("1", "2"):
        next(data.glob(f"train/rose/*{name}*")).unlink()
    options = replace(tiny.data_options, test_fraction=0.9, split="random")
    with pytest.raises(DataError, match=r"no usable training image; .* lower --test-fraction"):
        prepare_data(replace(tiny, data=str(data), data_options=options), NullReporter())


def test_one_class_cannot_be_trained(tiny: Recipe, flowers: Path, tmp_path: Path) -> None:
    shutil.copytree(flowers / "train" / "rose", tmp_path / "one" / "rose")
    with pytest.raises(DataError, match=r"^one has 1 class, 'rose'; training needs at least two"):
        prepare_data(replace(tiny, data=str(tmp_path / "one")), NullReporter())


def test_a_test_split_alone_cannot_be_trained(tiny: Recipe, set_aside: SetAside) -> None:
    with pytest.raises(DataError, match=r"no images are left for training \(there are 12 test im"):
        prepare_data(replace(tiny, data=str(set_aside("test"))), NullReporter())


def test_a_class_of_another_split_alone_cannot_be_trained(
    tiny: Recipe, set_aside: SetAside
) -> None:
    data = set_aside("train", "val")
    (data / "val" / "rose").rename(data / "val" / "Rose")
    with pytest.raises(DataError, match=r"class 'Rose' has no usable training image; .*other spl"):
        prepare_data(replace(tiny, data=str(data)), NullReporter())


def rose_is_held_out(recipe: Recipe) -> bool:
    """Whether the one image of the class is a test image."""
    store = load_dataset(recipe.data, resize_size=8, hash_images=True)
    test = split_indices(store, recipe.data_options, recipe.seed).test
    return store.info.class_names.index("rose") in store.labels[test]


def test_a_class_that_a_split_by_hash_leaves_no_training_image(tmp_path: Path) -> None:
    for i in range(12):
        noise(tmp_path / "photos" / ("rose" if i == 11 else "daisy") / f"{i}.png", i, (8, 8))
    options = DataOptions(split="hash", test_fraction=0.5, resize_size=8)
    recipe = Recipe(data=str(tmp_path / "photos"), data_options=options)
    by_rose = {seed: rose_is_held_out(replace(recipe, seed=seed)) for seed in range(12)}
    assert set(by_rose.values()) == {True, False}
    for seed, is_held_out in by_rose.items():
        seeded = replace(recipe, seed=seed)
        if is_held_out:
            with pytest.raises(DataError, match=r"--test-fraction or try another --split-seed$"):
                prepare_data(seeded)
        else:
            prepare_data(seeded)
