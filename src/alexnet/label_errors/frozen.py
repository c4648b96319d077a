"""torchvision's convolutions as frozen features, which separate most classes of photographs.

They were trained on ImageNet alone, and so have not learnt the labels in question.
"""

from __future__ import annotations

from pathlib import Path

import torch

from alexnet.checkpoints.model_file import ModelInfo
from alexnet.checkpoints.weights import load_matching_weights, read_weights
from alexnet.config.recipe import Recipe
from alexnet.errors import MissingDataError
from alexnet.inference.classifier import Classifier
from alexnet.interop.published_preprocessing import published_preprocessing
from alexnet.interop.torchvision import IMPATIENT, torchvision_convolutions
from alexnet.models.network import Network, channels_last
from alexnet.models.zoo import ALEXNET_OWT
from alexnet.reporter import ProgressCallback, ignore_progress
from alexnet.runtime.device import choose_device

FIRST_DENSE = "fc6"
"""First fully connected layer of torchvision's network, whose input is 9,216 features of the
convolutions."""


def torchvision_features(
    data_root: str = "", device: str = "auto", on_progress: ProgressCallback = ignore_progress
) -> Classifier:
    """Torchvision's convolutions as a classifier, whose fully connected layers are zero.

    Args:
        data_root: folder searched for the file first.
        device: device on which to compute.
        on_progress: called with the bytes received and the bytes in all.

    Raises:
        MissingDataError: the file is not here and cannot be downloaded.
    """
    try:
        path = torchvision_convolutions(data_root, policy=IMPATIENT, on_progress=on_progress)
    except MissingDataError as error:
        raise MissingDataError(
            f"{error}; or name a model that was not trained on these labels: --model MODEL"
        ) from error
    return convolutions_of(path, device)


def convolutions_of(path: Path, device: str = "auto") -> Classifier:
    """`torchvision_features` from the path of torchvision's file."""
    with torch.device("meta"):
        network = Network(ALEXNET_OWT)
    network = channels_last(network.to_empty(device=choose_device(device)))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()  # the key of a feature index depends on all weights
    load_matching_weights(network, read_weights(path, ALEXNET_OWT).tensors)
    info = ModelInfo(
        architecture=ALEXNET_OWT,
        class_names=tuple(f"class {i}" for i in range(ALEXNET_OWT.num_classes)),
        preprocessing=published_preprocessing("torchvision", ALEXNET_OWT),
        recipe=Recipe(),
    )
    return Classifier(network.eval(), info)
