"""Images that are the same to the last bit, in two splits or two classes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from alexnet.config.preprocessing import StoredForm, StoreFormat
from alexnet.config.recipe import DataOptions, Recipe
from alexnet.data.datasets.folder import folder_source
from alexnet.data.duplicates import duplicate_advice, duplicate_groups, same_images
from alexnet.data.images.decode import decode
from alexnet.data.splits import split_indices
from alexnet.data.store.build import prepare
from alexnet.data.store.store import Store
from alexnet.training.data import plan_data, prepare_data
from support.commands import Command
from support.noise_stores import build, noise
from support.runs import Witness


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes, each with three training images, a validation and a test image."""
    folder = tmp_path / "photos"
    names = ("train/{}/0", "train/{}/1", "train/{}/2", "val/{}/0", "test/{}/0")
    for seed, name in enumerate(name.format(c) for c in ("rose", "tulip") for name in names):
        noise(folder / f"{name}.png", seed)
    return folder


def advice(store: Store) -> list[str]:
    splits = np.array(store.info.splits)
    indices = {s: np.flatnonzero((splits == s) & store.usable) for s in ("train", "val", "test")}
    return duplicate_advice(store, indices, "CHECK")


def test_different_images_are_no_duplicates(photos: Path) -> None:
    path = photos / "train" / "rose" / "0.png"
    with Image.open(path) as image:
        ImageOps.mirror(image).save(path.with_name("mirrored.png"))  # its color moments are equal
    for i in range(2):
        path.with_name(f"damaged{i}.png").write_bytes(b"")  # stored as equal, black images
    assert advice(build(photos)) == []


def test_evaluated_images_that_are_trained_on(photos: Path) -> None:
    shutil.copy(photos / "train" / "rose" / "1.png", photos / "test" / "rose" / "copy.png")
    with Image.open(photos / "train" / "tulip" / "0.png") as image:
        image.save(photos / "val" / "tulip" / "other.bmp")  # another file of the same pixels
    assert advice(build(photos)) == [
        "1 of 3 validation images and 1 of 3 test images are also in the training split "
        "(test/rose/copy.png is train/rose/1.png), so the measured error is too low; "
        "all of them are listed by: CHECK"
    ]


def test_images_in_several_classes(photos: Path) -> None:
    for label in ("rose", "tulip"):
        shutil.copy(photos / "train" / label / "0.png", photos / "train" / label / "again.png")
    assert advice(build(photos)) == []
    shutil.copy(photos / "train" / "rose" / "0.png", photos / "train" / "tulip" / "rose.png")
    store = build(photos)
    assert [len(group) for group in duplicate_groups(store, np.arange(len(store)))] == [3, 2]
    assert advice(store) == [
        "1 image is in several classes (train/rose/0.png of rose is train/tulip/rose.png of "
        "tulip), which cannot all be right; all of them are listed by: CHECK"
    ]


@pytest.mark.parametrize("store_format", ["pixels", "jpeg"])
def test_an_image_is_found_in_a_store(photos: Path, store_format: StoreFormat) -> None:
    """By the pixels of its file, and by those that are stored."""
    shutil.copy(photos / "train" / "rose" / "1.png", photos / "test" / "rose" / "copy.png")
    source = folder_source(photos)
    store = prepare(source, StoredForm(resize="stretch", resize_size=24, store_format=store_format))
    copies = [i for i, name in enumerate(source.names) if name.endswith(("e/1.png", "copy.png"))]
    with source.images.open(copies[1]) as image:
        pixels = decode(image, "stretch", 24)
    assert same_images(store, pixels).tolist() == copies
    assert same_images(store, store.image(copies[0])).tolist() == copies
    assert not len(same_images(store, 255 - pixels))


def test_a_split_of_the_program_parts_no_copies(photos: Path) -> None:
    shutil.rmtree(photos / "val")
    shutil.rmtree(photos / "test")
    for image in list(photos.rglob("*.png")):
        shutil.copy(image, image.with_stem(f"{image.stem}-copy"))
    store = build(photos / "train")
    for seed in range(10):
        splits = split_indices(store, DataOptions(test_fraction=0.4), seed)
        assert len(splits.train) + len(splits.test) == len(store)
        assert duplicate_advice(store, splits.by_name, "CHECK") == []


def test_told_before_training_and_by_data_prepare(
    photos: Path, tiny: Recipe, witness: Witness, command: Command
) -> None:
    shutil.copy(photos / "train" / "rose" / "1.png", photos / "test" / "rose" / "copy.png")
    options = replace(tiny.data_options, label_from="/(rose|tulip)/")
    recipe = replace(tiny, data=str(photos), data_options=options)
    plan_data(recipe, witness)  # of gray images, which are all equal
    assert not [note for note in witness.notes if "training split" in note]
    prepare_data(recipe, witness)
    told = witness.notes[-1]
    assert told.startswith("1 of 3 test images is also in the training split (test/rose/copy.png")
    assert told.endswith(f"alexnet data check {photos} --label-from '/(rose|tulip)/'")
    plan_data(recipe, witness)
    assert witness.notes[-1] == told
    words = ("data", "prepare", photos, "--label-from", "/(rose|tulip)/", "--resize-size", 72)
    assert f"note: {told}" in command(*words).out
