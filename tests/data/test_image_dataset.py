"""Splits as data sets of torch: the images and labels of the store, through loaders, too."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset

import alexnet
from alexnet.data.image_dataset import ImageDataset
from alexnet.errors import UsageError


@pytest.fixture
def splits(flowers: Path) -> dict[str, ImageDataset]:
    return alexnet.load_splits(flowers, resize_size=16, crop_size=16, reporter=None)


def test_the_splits_are_those_of_the_folder(splits: dict[str, ImageDataset]) -> None:
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 36, "val": 12, "test": 12
    }  # fmt: skip
    test = splits["test"]
    assert isinstance(test, Dataset)
    assert len(test.class_names) == 12
    image, label = test[5]
    index = test.indices[5]
    assert (image.dtype, tuple(image.shape)) == (torch.uint8, (16, 16, 3))
    assert np.array_equal(image.numpy(), test.store.image(index))
    assert label == test.store.labels[index]


def test_the_words_of_torchvision(splits: dict[str, ImageDataset]) -> None:
    split = splits["val"]
    assert split.classes == sorted(split.classes) == list(split.class_names)
    assert split.class_to_idx[split.classes[7]] == 7
    assert split.targets == [label for _, label in split]
    assert {type(label) for label in split.targets} == {int}
    subset = Subset(split, range(2, 5))
    assert [label for _, label in subset] == split.targets[2:5]


@pytest.mark.parametrize("position", [slice(0, 3), [0, 1], 0.5, "rose", None])
def test_other_positions_than_whole_numbers(
    splits: dict[str, ImageDataset], position: object
) -> None:
    with pytest.raises(UsageError, match=r"by whole numbers, not by .*torch\.utils\.data\.Subset"):
        splits["val"][position]  # type: ignore[index]
    images = (splits["val"][number][0] for number in (2, np.int64(2), torch.tensor(2), -10))
    assert len({image.numpy().tobytes() for image in images}) == 1


def test_a_loader_reads_all_images_once(splits: dict[str, ImageDataset]) -> None:
    images, labels = next(iter(DataLoader(splits["train"], batch_size=36, shuffle=True)))
    assert tuple(images.shape) == (36, 16, 16, 3)
    assert labels.bincount().tolist() == [3] * 12


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_read_the_images_however_they_are_started(
    splits: dict[str, ImageDataset], method: str
) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    loader = DataLoader(splits["val"], batch_size=4, num_workers=2, multiprocessing_context=method)
    images = torch.cat([images for images, _ in loader])
    assert np.array_equal(images, splits["val"].store.images(splits["val"].indices))


def test_a_transform_is_applied_to_every_image(splits: dict[str, ImageDataset]) -> None:
    split = splits["val"]
    means = ImageDataset(split.store, split.indices, lambda image: image.float().mean())
    assert means[0][0] == split[0][0].float().mean()
    assert len(ImageDataset(split.store)) == 60


def test_batches_are_those_of_a_training(splits: dict[str, ImageDataset]) -> None:
    batches = splits["train"].batches(8, seed=3)
    assert (batches.steps_per_epoch, batches.seed) == (4, 3)
    assert np.array_equal(np.sort(batches.order(0)), splits["train"].indices)


def test_an_image_that_is_not_there(splits: dict[str, ImageDataset]) -> None:
    with pytest.raises(IndexError):
        splits["val"][12]
    with pytest.raises(IndexError, match="there is no image 60"):
        ImageDataset(splits["val"].store, [0, 60])


def test_images_are_chosen_by_a_list_or_by_a_mask(splits: dict[str, ImageDataset]) -> None:
    store = splits["val"].store
    assert ImageDataset(store, [3, -1])[1][1] == store.labels[-1]
    ones = ImageDataset(store, store.labels == 1)
    assert [label for _, label in ones.__getitems__(range(len(ones)))] == [1] * 5
