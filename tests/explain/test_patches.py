"""The strongest patches are where the network looks, cut to its receptive fields."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.checkpoints.model_file import ModelInfo
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import Recipe
from alexnet.data.load import load_dataset
from alexnet.data.store.store import Store
from alexnet.errors import DataError, UnknownNameError, UsageError
from alexnet.explain.patches import OUTSIDE, check_layer, cut_patches, find_patches
from alexnet.explain.synthesis import synthesize
from alexnet.inference.classifier import Classifier
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Activation, Conv, Flatten, FullyConnected, Pool
from alexnet.models.network import Network
from alexnet.models.receptive_fields import receptive_box

SIDE = 32
ARCH = Architecture(
    "spots",
    "conv2's middle weight is the only one, so that it looks at the middle of its field",
    (3, SIDE, SIDE),
    (
        Conv("conv1", 2, 3, padding=1),
        Activation("relu1"),
        Pool("pool1", 2, 2),
        Conv("conv2", 2, 3, padding=1),
        Activation("relu2"),
        Flatten("flatten"),
        FullyConnected("fc3", 2),
    ),
)
SPOTS = ((0, 0), (31, 31), (0, 31), (17, 12), (8, 8), (20, 30), (5, 0), (13, 14), (26, 3), (9, 22))
"""Row and column of the bright pixel of every image."""


@pytest.fixture
def classifier() -> Classifier:
    network = Network(ARCH).eval()
    state = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    state["conv1.weight"][0, :, 1, 1] = 1.0
    state["conv1.weight"][1, :, 1, 1] = -1.0
    state["conv2.weight"][0, 0, 1, 1] = 1.0
    state["fc3.weight"][0] = 1.0
    network.load_state_dict(state)
    preprocessing = Preprocessing(resize_size=SIDE, crop_size=SIDE)
    info = ModelInfo(
        architecture=ARCH, class_names=("a", "b"), preprocessing=preprocessing, recipe=Recipe()
    )
    return Classifier(network, info, precision="float32")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Black images with one pixel, brighter from image to image."""
    for i, (row, column) in enumerate(SPOTS):
        pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
        pixels[row, column] = 255 - 5 * i
        folder = tmp_path / "images" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return load_dataset(str(tmp_path / "images"), resize_size=SIDE)


def test_a_bright_pixel_is_in_its_patch(classifier: Classifier, store: Store) -> None:
    found = find_patches(classifier, store, np.arange(10), "conv2")
    assert found.values.shape == (2, 9)
    numbers = [int(Path(store.info.names[i]).stem) for i in found.images[0]]
    assert numbers == list(range(9)), "brightest first"
    assert found.values[0].tolist() == [3 * (255 - 5 * i) for i in range(9)]
    patches = cut_patches(classifier, store, found, 0)
    for i, patch, position in zip(numbers, patches, found.positions[0].tolist(), strict=True):
        box = receptive_box(ARCH, "conv2", *position)
        row, column = SPOTS[i]
        assert patch.shape == (8, 8, 3)
        assert position == [row // 2, column // 2]
        assert patch[row - box.top, column - box.left].tolist() == [255 - 5 * i] * 3
        assert (patch > OUTSIDE).any(2).sum() == 1
    corner = patches[0]
    assert (corner[:3] == OUTSIDE).all()
    assert (corner[:, :3] == OUTSIDE).all()
    assert not corner[3:, 4:].any()


def test_dead_channels_are_counted(classifier: Classifier, store: Store) -> None:
    """Channel 1 of conv1 is below zero where there is light, and of conv2 always zero."""
    found = find_patches(classifier, store, np.arange(10), "fc3")
    assert found.num_dead == {"conv1": 1, "conv2": 1}
    assert found.num_channels == {"conv1": 2, "conv2": 2}
    assert found.positions.max() == 0
    assert cut_patches(classifier, store, found, 0)[0].shape == (SIDE, SIDE, 3), "the whole input"


def test_batches_do_not_matter(
    classifier: Classifier, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = find_patches(classifier, store, np.arange(10), "conv1")
    monkeypatch.setattr("alexnet.explain.patches.BATCH", 3)
    done: list[tuple[int, int]] = []
    parts = find_patches(classifier, store, np.arange(10), "conv1", lambda *now: done.append(now))
    assert done == [(3, 10), (6, 10), (9, 10), (10, 10)]
    for name in ("values", "images", "positions"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name)), name


def test_what_cannot_be_searched(classifier: Classifier, store: Store) -> None:
    with pytest.raises(UnknownNameError, match="layer with weights of spots 'conv9'; did you mean"):
        check_layer(classifier, "conv9")
    with pytest.raises(DataError, match="no images"):
        find_patches(classifier, store, np.arange(0), "conv1")
    with pytest.raises(UnknownNameError, match="layer with weights"):
        find_patches(classifier, store, np.arange(2), "flatten")
    with pytest.raises(UsageError, match="optimized classifier cannot be explained"):
        find_patches(classifier.optimized(), store, np.arange(2), "conv1")


def test_what_cannot_be_synthesized(classifier: Classifier) -> None:
    with pytest.raises(UnknownNameError, match="layer with weights"):
        synthesize(classifier, "conv9", [0])
    for channel in (-1, 2):
        with pytest.raises(UsageError, match=f"channels 0 to 1, and no channel {channel}"):
            synthesize(classifier, "conv2", [0, channel])
    with pytest.raises(UsageError, match="optimized classifier cannot be explained"):
        synthesize(classifier.optimized(), "conv2", [0])


def test_a_synthesized_image_excites_its_channel(classifier: Classifier) -> None:
    """Channel 0 of conv2 wants the middle of its field bright; the same seed gives the same."""
    (image,) = synthesize(classifier, "conv2", [0], steps=16, seed=3)
    assert image.shape == (8, 8, 3)
    assert image[3:5, 3:5].mean() > image[[0, 0, 7, 7], [0, 7, 0, 7]].mean() + 30
    assert np.array_equal(image, synthesize(classifier, "conv2", [0], steps=16, seed=3)[0])
    assert not np.array_equal(image, synthesize(classifier, "conv2", [0], steps=16, seed=4)[0])


def test_gray_networks_have_gray_patches(classifier: Classifier, store: Store) -> None:
    arch = replace(ARCH, input=(1, SIDE, SIDE))
    info = replace(
        classifier.info,
        architecture=arch,
        preprocessing=replace(classifier.info.preprocessing, channels=1),
    )
    gray = Classifier(Network(arch).eval(), info, precision="float32")
    found = find_patches(gray, store, np.arange(10), "conv1")
    assert cut_patches(gray, store, found, 0)[0].shape == (3, 3)
