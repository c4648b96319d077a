"""How other programs prepared the pictures for the networks that they published."""

from __future__ import annotations

from typing import Literal, TypeAlias

from alexnet.config.preprocessing import IMAGENET_MEAN, IMAGENET_STD, RGB, Preprocessing
from alexnet.models.architecture import Architecture

Pictures: TypeAlias = Literal["published", "torchvision", "caffe", "notebook"]

CAFFE_MEAN: RGB = (122.679, 116.669, 104.007)
"""Mean red, green and blue of ImageNet's training pictures, 0 to 255.

Source: Caffe's `ilsvrc_2012_mean.npy`, averaged over its pixels as `examples/00-classification`
prints it, there in the order blue, green, red.
"""
PUBLISHED: dict[str, Pictures] = {
    "alexnet_owt": "torchvision",
    "alexnet_bn": "torchvision",
    "alexnet_notebook": "notebook",
    "lenet5": "notebook",
    "cifar_quick": "notebook",
}
"""By architecture; the others take Caffe's: 0 to 255, minus the mean."""


def preprocessing_of(pictures: Pictures, table: Architecture) -> Preprocessing:
    """The rule of a program for a table's input.

    Args:
        pictures: `torchvision`: shorter side 256, centre 224, ImageNet's mean and deviation;
            `caffe`: squashed to 256, centre 227, ImageNet's mean on 0 to 255; `notebook`: squashed
            to the input, divided by 255; `published`: the one that goes with the architecture.
        table: decides the crop; another input than the published one keeps the proportion.
    """
    colours, side, _ = table.input
    channels: Literal[1, 3] = 1 if colours == 1 else 3
    name = PUBLISHED.get(table.name, "caffe") if pictures == "published" else pictures
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
