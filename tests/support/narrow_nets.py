"""The networks of the zoo, narrow, on small pictures, with random weights that all matter."""

from __future__ import annotations

import torch

from alexnet.checkpoints.model_file import ModelInfo
from alexnet.config.recipe import Recipe
from alexnet.inference.classifier import Classifier
from alexnet.interop.published_preprocessing import preprocessing_of
from alexnet.models.architecture import Architecture
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO

PUBLISHED = dict(ZOO)
SIDES = {"alexnet_notebook": 247, "alexnet_owt": 224, "lenet5": 32, "cifar_quick": 32}
"""247 leaves a 2 x 2 map before Flatten, where its order matters; 224 a 6 x 6 map to owt's pool."""
CLASSES = ("rose", "tulip", "daisy", "iris", "lily", "aster", "poppy")


def narrow_table(name: str) -> Architecture:
    """131 leaves a 3 x 3 map before Flatten."""
    return variant(
        PUBLISHED[name],
        ModelOptions(width=0.05, input_size=SIDES.get(name, 131)),
        num_classes=len(CLASSES),
    )


def narrow(name: str, seed: int = 0) -> Classifier:
    table = narrow_table(name)
    torch.manual_seed(seed)
    network = Network(table).eval()
    for key, tensor in network.state_dict().items():
        if "bn" in key and tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point():
            tensor.normal_(0, 0.1)
    info = ModelInfo(
        architecture=table,
        class_names=CLASSES,
        preprocessing=preprocessing_of("published", table),
        recipe=Recipe(arch=name),
    )
    return Classifier(network, info)
