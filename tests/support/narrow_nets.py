"""The networks of the zoo, narrow, for small images, with random weights that all matter.

Or at full width, without their head.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from alexnet.checkpoints.model_file import ModelInfo
from alexnet.config.recipe import Recipe
from alexnet.inference.classifier import Classifier
from alexnet.interop.published_preprocessing import published_preprocessing
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Flatten, FullyConnected
from alexnet.models.network import Network, create_model
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO

SIDES = {"alexnet_notebook": 247, "alexnet_owt": 224, "lenet5": 32, "cifar_quick": 32}
"""Sides of the input in pixels; 131 for the others, which leaves 3 x 3 before Flatten. 247 leaves
2 x 2 before Flatten, where its order matters; 224 leaves owt's adaptive pool 6 x 6."""
CLASS_NAMES = ("rose", "tulip", "daisy", "iris", "lily", "aster", "poppy")


def narrow_architecture(name: str) -> Architecture:
    return variant(
        ZOO[name],
        ModelOptions(width=0.05, input_size=SIDES.get(name, 131)),
        num_classes=len(CLASS_NAMES),
    )


def trunk(name: str) -> Network:
    """The convolutions of a network in their full width, without the many weights behind them."""
    arch = ZOO[name]
    end = next(i for i, layer in enumerate(arch.layers) if isinstance(layer, Flatten))
    layers = (*arch.layers[:end], Flatten("flatten"), FullyConnected("fc", 2))
    return create_model(replace(arch, layers=layers))


def narrow_classifier(name: str) -> Classifier:
    """Every call gives the same weights.

    Where conv2 and conv5 are equally wide, their biases are equal and conv3's is zero: exporters
    store the first once, and leave out the second.
    """
    arch = narrow_architecture(name)
    torch.manual_seed(0)
    network = Network(arch).eval()
    state = network.state_dict()
    for key, tensor in state.items():
        if "bn" in key and tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point():
            tensor.normal_(0, 0.1)
    if "conv5.bias" in state and state["conv5.bias"].shape == state["conv2.bias"].shape:
        state["conv3.bias"].zero_()
        state["conv5.bias"].copy_(state["conv2.bias"])
    info = ModelInfo(
        architecture=arch,
        class_names=CLASS_NAMES,
        preprocessing=published_preprocessing("published", arch),
        recipe=Recipe(arch=name),
        temperature=1.25,
    )
    return Classifier(network, info)
