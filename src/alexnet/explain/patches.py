"""The image patches to which every channel of a layer responds most, and channels that never do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alexnet.data.store.store import Store
from alexnet.errors import DataError, UnknownNameError
from alexnet.explain.attribution import exactly
from alexnet.explain.feature_layers import activation_of, function_of
from alexnet.inference.classifier import Classifier
from alexnet.inference.optimize import unoptimized_weights
from alexnet.models.layers import Conv, FullyConnected
from alexnet.models.receptive_fields import Box, receptive_box
from alexnet.reporter import ProgressCallback, ignore_progress
from alexnet.transforms.crops import center_crop, denormalize, to_uint8_images

NUM_PATCHES = 9
"""Patches per channel, each from another image."""
BATCH = 32
"""Images that are computed at a time, which limits the memory."""
OUTSIDE = 128
"""Gray value of a patch where a receptive field reaches outside of the image."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerPatches:
    """Where the channels of a layer respond most, over many images.

    C is the number of channels, P the smaller of NUM_PATCHES and the number of images.
    """

    layer: str
    num_images: int
    """Number of images that were searched."""
    values: np.ndarray
    """float32 [C, P]: a channel's highest outputs, one per image, highest first."""
    images: np.ndarray
    """int64 [C, P]: the images, as indices of the store."""
    positions: np.ndarray
    """int64 [C, P, 2]: row and column of the output in the layer's map; 0, 0 if it has no map."""
    num_dead: Mapping[str, int]
    """Number of channels that are above zero in no image, by layer with a ReLU."""
    num_channels: Mapping[str, int]
    """Number of all channels, for the same layers."""


def find_patches(
    classifier: Classifier,
    store: Store,
    indices: np.ndarray,
    layer: str,
    on_progress: ProgressCallback = ignore_progress,
) -> LayerPatches:
    """Find the strongest patches of every channel of a layer, in one pass over the images.

    Outputs are those after the batch norm and the activation function that follow the layer.

    Args:
        classifier: the classifier with the network.
        store: an image store built with the classifier's resize options.
        indices: indices of the images that are searched.
        layer: a convolution or fully connected layer.
        on_progress: called with (images done, images in all).

    Raises:
        UnknownNameError: there is no such layer.
        UsageError: the classifier is optimized, or its network was edited.
        DataError: `indices` is empty.
    """
    check_layer(classifier, layer)
    if not len(indices):
        raise DataError(f"{store.info.name} has no images in which patches could be searched")
    arch, network = classifier.info.architecture, classifier.network
    search = _Search(activation_of(arch, layer))
    rectified = [
        one.name
        for one in arch.layers
        if isinstance(one, Conv | FullyConnected) and function_of(arch, one.name) == "relu"
    ]
    is_alive: dict[str, Tensor] = {}
    for start in range(0, len(indices), BATCH):
        rows = indices[start : start + BATCH]
        with exactly(network), torch.no_grad():
            outputs = network.intermediate_outputs(network_inputs(classifier, store, rows))
        search.add(outputs[search.layer], torch.from_numpy(rows))
        for name in rectified:
            now = (outputs[activation_of(arch, name)].transpose(0, 1).flatten(1) > 0).any(1)
            is_alive[name] = now | is_alive.get(name, now)
        on_progress(start + len(rows), len(indices))
    return LayerPatches(
        layer=layer,
        num_images=len(indices),
        values=search.values.numpy(),
        images=search.images.numpy(),
        positions=search.positions.numpy(),
        num_dead={name: int((~alive).sum()) for name, alive in is_alive.items()},
        num_channels={name: len(alive) for name, alive in is_alive.items()},
    )


class _Search:
    """The highest outputs of every channel so far."""

    def __init__(self, layer: str) -> None:
        self.layer = layer
        self.values = torch.empty(0, 0)
        self.images = torch.empty(0, 0, dtype=torch.int64)
        self.positions = torch.empty(0, 0, 2, dtype=torch.int64)

    def add(self, outputs: Tensor, rows: Tensor) -> None:
        """Add the outputs [B, C, h, w] or [B, C] of the images with the indices `rows` [B]."""
        maps = outputs.float() if outputs.ndim == 4 else outputs.float()[..., None, None]
        peaks, places = (one.T.cpu() for one in maps.flatten(2).max(2))
        width = maps.shape[3]
        positions = torch.stack([places // width, places % width], 2)
        images = rows.expand(len(peaks), -1)
        if self.values.numel():
            peaks = torch.cat([self.values, peaks], 1)
            images = torch.cat([self.images, images], 1)
            positions = torch.cat([self.positions, positions], 1)
        count = min(NUM_PATCHES, peaks.shape[1])
        order = peaks.argsort(stable=True, dim=1, descending=True)[:, :count]
        self.values, self.images = peaks.gather(1, order), images.gather(1, order)
        self.positions = positions.gather(1, order[..., None].expand(-1, -1, 2))


def network_inputs(classifier: Classifier, store: Store, rows: np.ndarray) -> Tensor:
    """The network's inputs for some images, their center crops: float32 [B, C, H, W]."""
    pixels = torch.from_numpy(store.images(rows)).to(classifier.device)
    return center_crop(pixels, classifier.info.preprocessing, classifier.mean_image)


def cut_patches(
    classifier: Classifier, store: Store, found: LayerPatches, channel: int
) -> list[np.ndarray]:
    """Cut out the patches of a channel, strongest first.

    Each is the receptive field of the output, uint8 [side, side, 3], or [side, side] if the network
    takes gray images; it is gray where the field reaches outside of the image.
    """
    inputs = network_inputs(classifier, store, found.images[channel])
    preprocessing = classifier.info.preprocessing
    images = to_uint8_images(denormalize(inputs, preprocessing, classifier.mean_image))
    arch = classifier.info.architecture
    return [
        cut(image, field_on_image(classifier, receptive_box(arch, found.layer, *position)))
        for image, position in zip(images, found.positions[channel].tolist(), strict=True)
    ]


def field_on_image(classifier: Classifier, box: Box) -> Box:
    """The receptive field `box`; the whole input if the field reaches over it on every side."""
    height, width = classifier.info.architecture.input[1:]
    is_whole = box.top <= 0 and box.left <= 0 and box.bottom >= height and box.right >= width
    return Box(0, 0, height, width) if is_whole else box


def cut(image: np.ndarray, box: Box) -> np.ndarray:
    """The pixels [h, w] or [h, w, 3] of a box, gray outside of the image."""
    height, width = image.shape[:2]
    shape = (box.bottom - box.top, box.right - box.left, *image.shape[2:])
    patch = np.full(shape, OUTSIDE, np.uint8)
    top, left = max(box.top, 0), max(box.left, 0)
    part = image[top : min(box.bottom, height), left : min(box.right, width)]
    y, x = top - box.top, left - box.left
    patch[y : y + part.shape[0], x : x + part.shape[1]] = part
    return patch


def check_layer(classifier: Classifier, layer: str) -> None:
    """Check that a layer is a convolution or fully connected and that its outputs can be searched.

    Raises:
        UnknownNameError: it is no convolution or fully connected layer.
        UsageError: the classifier is optimized, or its network was edited.
    """
    arch = classifier.info.architecture
    names = [one.name for one in arch.layers if isinstance(one, Conv | FullyConnected)]
    if layer not in names:
        raise UnknownNameError(f"layer with weights of {arch.name}", layer, names)
    unoptimized_weights(classifier.network, arch, "explained")
