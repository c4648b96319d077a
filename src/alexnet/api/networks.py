"""Create networks, with random or with pretrained weights."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from alexnet.api.python_words import in_python
from alexnet.api.reporting import Reporting, reporting
from alexnet.api.training import Pretraining, source_of
from alexnet.checkpoints.weights import LoadReport, load_matching_weights
from alexnet.config.architecture_file import find_architecture
from alexnet.config.recipe import SCRATCH, WEIGHT_WORDS
from alexnet.errors import MissingDataError, ModelFileError, UsageError
from alexnet.interop.torchvision import (
    FEATURES_FILE,
    torchvision_convolutions,
    torchvision_weights,
    unfit_convolution,
)
from alexnet.io.paths import FilePath, find, path_text
from alexnet.keywords import check_options
from alexnet.models import network as networks
from alexnet.models.architecture import Architecture
from alexnet.models.layers import FullyConnected
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant
from alexnet.reporter import ProgressCallback, progress_callback
from alexnet.runtime.device import choose_device
from alexnet.training.initial_weights import by_layer, find_source, read_source


@in_python
@check_options(ModelOptions)
def create_model(
    arch: str | Architecture,
    *,
    pretrained: Pretraining = False,
    num_classes: int | None = None,
    device: str | torch.device = "cpu",
    data_root: FilePath = "",
    reporter: Reporting = "auto",
    **options: Any,
) -> Network:
    """Create a network in training mode, such as `create_model("alexnet_owt", pretrained=True)`.

    With `num_classes` the last layer of a pretrained network is new unless it fits. Images must be
    preprocessed as the weights expect: torchvision's as `published_preprocessing("torchvision",
    network.architecture)` of `alexnet.interop.published_preprocessing` says, those of a run or a
    model file as `alexnet.load(..).info.preprocessing` does; `alexnet.transforms.center_crop` does
    it.

    Args:
        arch: the name of an architecture, such as "alexnet", an `Architecture`, or a file with one:
            "nets.py:table".
        pretrained: True loads torchvision's weights of ImageNet, which only alexnet_owt has; a
            model file, a run folder, a checkpoint of another program or "hf:OWNER/NAME" loads that.
        num_classes: length of the output; None: as published, 1,000 for ImageNet.
        device: where the weights are; "auto" is the first GPU, else the CPU; "meta" creates shapes
            only.
        data_root: folder searched first for torchvision's file.
        reporter: receives the progress of a download; "auto" shows it, None is silent.
        options: what differs from the architecture, by the names of `ModelOptions`:
            `input_size=128`, `dropout=0.2`, `norm="batch"`.

    Raises:
        UnknownNameError: there is no such architecture, option or source of weights.
        ConfigError: an option is out of range.
        ArchitectureError: the input is too small for the architecture.
        UsageError: there are no pretrained weights for the architecture, there is no such device,
            or a value is of another type.
        MissingDataError: the weights, or some of them, are not here and cannot be downloaded.
        ModelFileError: the weights do not fit.
    """
    if num_classes == 0:
        raise UsageError(
            "num_classes=0 makes no network here; network.intermediate_outputs(images) gives the "
            "activations before the last layer, and features of a Classifier those of images"
        )
    arch, source = find_architecture(arch), source_of(pretrained)
    device = torch.device("meta") if str(device) == "meta" else choose_device(str(device))
    if source == SCRATCH:
        return networks.create_model(arch, num_classes=num_classes, device=device, **options)
    table = variant(arch, ModelOptions(**options), num_classes=num_classes)
    with reporting(reporter) as reporter:
        on_progress = progress_callback(reporter, "on_download")
        if source in WEIGHT_WORDS:
            root = path_text(data_root, "data_root")
            path = _torchvision_file(table, num_classes is None, root, on_progress)
        else:
            path = find_source(source, on_progress=on_progress)
        weights = read_source(path, table, reporter)
    network = networks.create_model(table)
    _check_complete(network, path, load_matching_weights(network, weights), num_classes)
    return network.to(device)


def _torchvision_file(
    arch: Architecture, is_whole: bool, data_root: str, on_progress: ProgressCallback
) -> Path:
    """The file of torchvision's weights: all of them if `is_whole`, else the convolutions' alone.

    Raises:
        UsageError: the convolutions of `arch` have other shapes than those of alexnet_owt.
        MissingDataError: the file is not here and cannot be downloaded.
    """
    if misfit := unfit_convolution(arch):
        raise UsageError(
            f"torchvision's weights are those of alexnet_owt and do not fit this {arch.name}: "
            f'{misfit}; use create_model("alexnet_owt", pretrained=True)'
        )
    if not is_whole:
        return torchvision_convolutions(data_root, on_progress=on_progress)
    try:
        return torchvision_weights(data_root, on_progress=on_progress)
    except MissingDataError as error:
        if not find(data_root, (FEATURES_FILE,)):
            raise
        raise MissingDataError(
            f"{error}; {FEATURES_FILE}, which is here, has the convolutions alone: they are enough "
            "with num_classes=N, which makes the fully connected layers new"
        ) from error


def _check_complete(
    network: Network, path: Path, report: LoadReport, num_classes: int | None
) -> None:
    """Check that the layers that should be pretrained are; a new last layer is expected.

    With `num_classes`, other fully connected layers may be new, too, with a warning.

    Raises:
        ModelFileError: layers are missing that should be pretrained.
    """
    arch, last = network.architecture, network.architecture.output_layer
    dense = [layer.name for layer in arch.layers if isinstance(layer, FullyConnected)]
    may_be_new = [*dense, last] if num_classes is not None else []
    missing = by_layer(report.missing, ())
    if unwanted := [name for name in missing if name not in may_be_new]:
        raise ModelFileError(
            f"{path} lacks {', '.join(unwanted)} of {arch.name}, or has another "
            "shape of them, so the network would not be pretrained; num_classes=N allows new fully "
            "connected layers"
        )
    if random := [name for name in missing if name != last]:
        warnings.warn(
            f"{path.name} has no {', '.join(random)}: they are randomly initialized, as {last} is",
            stacklevel=5,
        )
