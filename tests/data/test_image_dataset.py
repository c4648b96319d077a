"""Splits as data sets of torch: the images and labels of the store, through loaders, too."""

from __future__ import annotations

import inspect
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset, Subset

import alexnet
from alexnet.data.image_dataset import ImageDataset
from alexnet.errors import UsageError


@pytest.fixture
def splits(flowers: Path) -> dict[str, ImageDataset]:
    return alexnet.load_splits(flowers, resize_size=16, reporter=None)


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


def test_a_transform_gets_pillow_images(splits: dict[str, ImageDataset]) -> None:
    """As those of torchvision's data sets: [S, S, 3] would be S channels for its transforms."""
    split = splits["val"]
    pixels = split[0][0].numpy()
    mirrored = ImageDataset(split.store, split.indices, ImageOps.mirror)[0][0]
    assert (type(mirrored), mirrored.mode) == (Image.Image, "RGB")
    assert np.array_equal(mirrored, pixels[:, ::-1])
    split.transform = np.asarray
    assert np.array_equal(split[0][0], pixels)
    assert len(ImageDataset(split.store)) == 60


def test_channels_first_for_transforms_of_tensors(splits: dict[str, ImageDataset]) -> None:
    split = splits["val"]
    pixels = split[0][0]
    first = ImageDataset(split.store, split.indices, channels_first=True)
    assert first[0][0].is_contiguous()
    assert torch.equal(first[0][0], pixels.permute(2, 0, 1))
    first.transform = lambda image: image.flip(-1)  # what torchvision's flip does
    assert torch.equal(first[0][0], pixels.flip(1).permute(2, 0, 1))
    images, _ = next(iter(DataLoader(first, batch_size=4)))
    assert tuple(images.shape) == (4, 3, 16, 16)


def test_transforms_of_torchvision(splits: dict[str, ImageDataset]) -> None:
    v2 = pytest.importorskip("torchvision.transforms.v2", exc_type=ImportError)
    split = splits["val"]
    first = ImageDataset(split.store, split.indices, channels_first=True)
    for transform in (v2.RandomHorizontalFlip(1.0), v2.Resize(8), v2.Pad(4), v2.Grayscale(3)):
        split.transform = v2.Compose([v2.ToImage(), transform])
        first.transform = transform
        assert torch.equal(split[3][0], first[3][0])


def test_load_splits_takes_a_transform(flowers: Path) -> None:
    splits = alexnet.load_splits(
        flowers, resize_size=16, transform=lambda image: image.size, reporter=None
    )
    assert {split[0][0] for split in splits.values()} == {(16, 16)}
    with pytest.raises(UsageError, match="transform must be a function of an image, not 'flip'"):
        alexnet.load_splits(flowers, resize_size=16, transform="flip", reporter=None)  # type: ignore[arg-type]
    first = alexnet.load_splits(flowers, resize_size=16, channels_first=True, reporter=None)
    assert tuple(first["test"][0][0].shape) == (3, 16, 16)


@pytest.mark.parametrize(
    "options",
    [
        {"flip": True}, {"rotation": 90, "rand_augment": (2, 9)}, {"crop_size": 64}, {"lr": 0.1},
        {"mean": "none"}, {"batch_size": 8}, {"augment": alexnet.preset("quickstart").augment},
    ],
)  # fmt: skip
def test_options_that_only_a_training_uses(flowers: Path, options: dict[str, Any]) -> None:
    told = f"{', '.join(options)}: only a training uses this; .*transform=.*build_augmenter"
    with pytest.raises(UsageError, match=told):
        alexnet.load_splits(flowers, reporter=None, **options)
    shown = inspect.signature(alexnet.load_splits).parameters
    assert not shown.keys() & options.keys()
    assert {"transform", "resize_size", "split", "seed", "val_fraction"} <= shown.keys()


def test_a_sheet_shows_images_of_each_class(splits: dict[str, ImageDataset]) -> None:
    split = splits["train"]
    figure = split.show(num_classes=2, num_images=2)
    shown = [axes.images[0].get_array() for axes in figure.axes]
    expected = [i for label in (0, 1) for i in split.indices[np.equal(split.targets, label)][:2]]
    assert np.array_equal(shown, split.store.images(expected))
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == split.classes[:2]
    assert split._repr_html_().count("<img") == 1
    empty = ImageDataset(split.store, [])
    assert "<img" not in empty._repr_html_()
    with pytest.raises(UsageError, match="nothing to show of ImageDataset"):
        empty.show()


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
