"""The preprocessing with which torchvision, Caffe and the notebook published their networks."""

from __future__ import annotations

from typing import Literal, TypeAlias

from alexnet.config.preprocessing import IMAGENET_MEAN, IMAGENET_STD, RGB, Preprocessing
from alexnet.models.architecture import Architecture

PublishedOption: TypeAlias = Literal["published", "torchvision", "caffe", "notebook"]

CAFFE_MEAN: RGB = (122.679, 116.669, 104.007)
"""Mean red, green and blue of ImageNet's training images, 0 to 255.

Source: Caffe's `ilsvrc_2012_mean.npy`, averaged over its pixels as `examples/00-classification`
prints it, there in the order blue, green, red.
"""
PUBLISHED: dict[str, PublishedOption] = {
    "alexnet_owt": "torchvision",
    "alexnet_bn": "torchvision",
    "alexnet_notebook": "notebook",
    "lenet5": "notebook",
    "cifar_quick": "notebook",
}
"""Published preprocessing by architecture; all other architectures use Caffe's."""


def published_preprocessing(option: PublishedOption, arch: Architecture) -> Preprocessing:
    """The preprocessing of a published program, adapted to an architecture's input.

    Args:
        option: `torchvision`: shortest edge to 256, center crop 224, ImageNet's mean and std;
            `caffe`: stretched to 256, center crop 227, minus ImageNet's mean on 0 to 255;
            `notebook`: stretched to the input size, divided by 255;
            `published`: the one that belongs to the architecture.
        arch: the architecture, whose input is the crop; if its size is not the published one, the
            ratio of resize to crop is kept.
    """
    num_channels, side, _ = arch.input
    channels: Literal[1, 3] = 1 if num_channels == 1 else 3
    name = PUBLISHED.get(arch.name, "caffe") if option == "published" else option
    if name == "torchvision":
        return Preprocessing(
            resize_size=round(side * 256 / 224),
            crop_size=side,
            channels=channels,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
        )
    if name == "caffe":
        return Preprocessing(
            resize="stretch",
            resize_size=round(side * 256 / 227),
            crop_size=side,
            channels=channels,
            mean=CAFFE_MEAN,
        )
    return Preprocessing(
        resize="stretch",
        resize_size=side,
        crop_size=side,
        channels=channels,
        std=(255.0, 255.0, 255.0),
    )
