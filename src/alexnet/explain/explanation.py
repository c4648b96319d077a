"""The explanation of one image's prediction, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from alexnet.explain.placement import CropWindow
from alexnet.features.neighbors import Neighbor
from alexnet.inference.predictions import ClassProbability

METHODS = ("grad_cam", "occlusion", "integrated_gradients", "guided_backprop")
"""The methods that give a map, in their order in the figure."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StrongChannels:
    """The channels of a convolution with the highest peaks, highest first."""

    layer: str
    indices: tuple[int, ...]
    """Indices of the channels, from 0."""
    peaks: tuple[float, ...]
    """Highest output of each channel, after the activation function."""
    maps: np.ndarray
    """float32 [n, H, W]: the channels' outputs, interpolated to the size of the network's input."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NeighborImage:
    """An image of the data set that is near to the explained one in feature space."""

    neighbor: Neighbor
    """The image's name, class and distance."""
    pixels: np.ndarray
    """uint8 [S, S, 3]: the image as it is stored."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Explanation:
    """A prediction, and the input pixels that it depends on.

    H and W are the height and width of the network's input.
    """

    image: str
    """The file's path, or "image" for an image without a path."""
    class_name: str
    """The class that is explained."""
    probability: float
    """Probability of that class, 0 to 1."""
    top_classes: tuple[ClassProbability, ...]
    """The most probable classes, best first."""
    pixels: np.ndarray
    """uint8 [H, W, 3] or [H, W]: the image as the network gets it, before the normalization."""
    original: np.ndarray
    """uint8 [h, w, 3]: the whole image, upright, at most 640 pixels wide and high."""
    size: tuple[int, int]
    """Width and height of the image in its file, upright."""
    window: CropWindow
    """The part of `original` that `pixels` shows."""
    layer: str
    """The layer that Grad-CAM uses; "" if the network has no convolution."""
    maps: Mapping[str, np.ndarray]
    """float32 [H, W] by method. `grad_cam`: above zero where the layer supports the class.
    `occlusion`: by how much the class's probability drops where a gray square covers the pixel.
    `integrated_gradients`: what the pixel adds to the class's logit.
    `guided_backprop`: at least 0, and what it shows depends little on the class."""
    left_out: Mapping[str, str]
    """Why a method has no map, by method."""
    channels: tuple[StrongChannels, ...]
    """The strongest channels of every convolution, in order."""
    occlusion_window: int
    """Side of the occluding square, in pixels of the network's input."""
    integration_gap: float
    """The sum of the map of integrated gradients minus the difference between the logits of the
    image and of a gray image, which it should equal; NaN without that map."""

    neighbors: tuple[NeighborImage, ...] = ()
    """The nearest images of the training data by the last hidden layer, nearest first; empty if
    they were not searched."""

    def __repr__(self) -> str:
        maps = ", ".join(self.maps) or "no map"
        chance = f"{100 * self.probability:.2f} %"
        return f"Explanation({self.image!r}, {self.class_name!r} {chance}, {maps})"

    def _repr_html_(self) -> str:
        """The figure of `sheet` as HTML, for notebooks."""
        from alexnet.explain.image_sheet import sheet
        from alexnet.io.html import picture
        from alexnet.plots import figure_bytes

        return picture(figure_bytes(sheet(self), dpi=80), f"{self.image} explained")
