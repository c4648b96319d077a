"""An image store: its images, its colour statistics, and damage that is noticed."""

from __future__ import annotations

import copy
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.config.preprocessing import Resize, StoredForm, StoreFormat
from alexnet.config.recipe import DataOptions
from alexnet.data.datasets.folder import folder_source
from alexnet.data.images.decode import decode
from alexnet.data.splits import split_indices
from alexnet.data.store.build import prepare
from alexnet.errors import DataError
from support.noise_stores import SIDE, TINY_FORM, build, noise, write_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of six images; b/1.png is not an image."""
    return write_images(tmp_path)


@pytest.mark.parametrize("resize", ["shortest_edge", "stretch"])
def test_images_are_the_decoded_ones(folder: Path, resize: Resize) -> None:
    source, store = folder_source(folder), build(folder, resize)
    images = store.images(range(12))
    assert (images.shape, images.dtype) == ((12, SIDE, SIDE, 3), np.uint8)
    assert (store.image_shape, store.num_bytes) == ((SIDE, SIDE, 3), images.nbytes)
    assert store.labels.tolist() == [0] * 6 + [1] * 6
    assert store.labels.dtype == np.int64
    assert store.info.names == source.names
    assert store.info.class_names == ("a", "b")
    for index in np.flatnonzero(store.usable):
        with source.images.open(int(index)) as image:
            assert np.array_equal(store.image(index), decode(image, resize, SIDE))


def test_images_are_read_in_the_order_of_the_indices(folder: Path) -> None:
    store = build(folder)
    array = np.load(store.folder / "images.npy")
    indices = np.array([7, 3, 3, len(store) - 1, 0])
    assert np.array_equal(store.images(indices), array[indices])
    assert np.array_equal(store.image(3), array[3])
    assert store.images([]).shape == (0, *store.image_shape)


@pytest.mark.parametrize("store_format", ["pixels", "jpeg"])
def test_indices_are_those_of_numpy(folder: Path, store_format: StoreFormat) -> None:
    source = folder_source(folder)
    store = prepare(source, replace(TINY_FORM, store_format=store_format))
    array = np.stack([store.image(index) for index in range(12)])
    in_memory = replace(store, _images=array)
    mask, last = store.labels == 1, np.array([11], np.uint8)
    for one in (store, in_memory):
        for indices in (mask, ~store.usable, [-1, 0, -12], last, np.arange(12)[::-2]):
            assert np.array_equal(one.images(indices), array[indices])
        assert len(one.images([])) == len(one.images(np.zeros(12, bool))) == 0
        assert np.array_equal(one.image(-2), array[10])
        for wrong in ([12], [0, -13], [1.0], np.ones(11, bool), [[1]], ["a"], 3):
            with pytest.raises(IndexError):
                one.images(wrong)  # type: ignore[arg-type]
        with pytest.raises(IndexError, match="there is no image 12: there are 12, which count"):
            one.image(12)
    assert store.mean_image(store.labels == 1) == pytest.approx(array[6:].mean(0), abs=1e-4)


@pytest.mark.parametrize("store_format", ["pixels", "jpeg"])
def test_a_copy_reads_the_same_images_from_the_disk(
    folder: Path, store_format: StoreFormat
) -> None:
    source = folder_source(folder)
    store = prepare(
        source, StoredForm(resize="stretch", resize_size=128, store_format=store_format)
    )
    pickled = pickle.dumps(store)
    assert len(pickled) < store.num_bytes / 10
    for copied in (pickle.loads(pickled), copy.copy(store), copy.deepcopy(store)):
        assert np.array_equal(copied.images(range(12)), store.images(range(12)))


def test_a_store_cut_short_is_noticed(folder: Path) -> None:
    store = build(folder)
    os.truncate(store.folder / "images.npy", (store.folder / "images.npy").stat().st_size - 1)
    with pytest.raises(DataError, match="cut short; remove it"):
        store.image(len(store) - 1)


def test_a_repaired_image_changes_the_hash_and_the_random_split(folder: Path) -> None:
    before = build(folder)
    noise(folder / "b" / "1.png", 11)
    after = build(folder)
    assert (len(before.info.rejected), len(after.info.rejected)) == (1, 0)
    assert before.manifest_hash() != after.manifest_hash()
    assert build(folder, "stretch").manifest_hash() == after.manifest_hash()


def test_rejected_images_are_named_black_and_in_no_split(folder: Path) -> None:
    store = build(folder)
    (rejected,) = store.info.rejected
    assert (rejected.index, rejected.name) == (7, "b/1.png")
    assert rejected.reason == "a text file, not an image"
    assert not store.image(7).any()
    assert store.usable.tolist() == [index != 7 for index in range(12)]
    splits = split_indices(store, DataOptions(test_fraction=0.4, val_fraction=0.4), seed=0)
    together = np.concatenate([splits.train, splits.val, splits.test])
    assert sorted(together.tolist()) == [index for index in range(12) if index != 7]


def test_color_statistics_are_those_of_numpy(folder: Path) -> None:
    store = build(folder)
    indices = np.array([9, 0, 4, 2])
    pixels = store.images(indices).reshape(-1, 3).astype(np.float64)
    assert store.color_mean(indices) == pytest.approx(pixels.mean(0), rel=1e-5)
    covariance = np.cov(pixels.T, bias=True)
    assert store.color_covariance(indices) == pytest.approx(covariance, rel=1e-3, abs=0.5)
    expected = store.images(indices).mean(0, dtype=np.float64)
    assert store.mean_image(indices) == pytest.approx(expected, abs=1e-4)
    assert store.mean_image(indices, chunk=3) == pytest.approx(expected, abs=1e-4)
    assert store.mean_image(indices).dtype == np.float32


def test_a_label_that_is_no_class_names_image_and_file(folder: Path) -> None:
    store = build(folder)
    labels = store.folder / "labels.npy"
    for label in (2, -1):
        np.save(labels, np.array([0] * 6 + [1] * 3 + [label, 1, 1]))
        with pytest.raises(
            DataError, match=rf"labels\.npy: b/3\.png has the label {label}, .*remove"
        ):
            build(folder)


def test_a_damaged_store_is_named(folder: Path) -> None:
    store = build(folder)
    labels = store.folder / "labels.npy"
    content = labels.read_bytes()
    labels.write_bytes(content[:-8])
    with pytest.raises(DataError, match="remove it and prepare it again"):
        build(folder)
    np.save(labels, np.zeros(5, np.int64))
    with pytest.raises(DataError, match="remove it and prepare it again"):
        build(folder)
    labels.write_bytes(content)
    (store.folder / "store.json").write_text("{}")
    with pytest.raises(DataError, match="remove it and prepare it again"):
        build(folder)
