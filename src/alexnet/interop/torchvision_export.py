"""State dicts that torchvision's `alexnet(num_classes=N)` loads."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from itertools import zip_longest

import safetensors.torch
import torch
from torch import Tensor

from alexnet.checkpoints.layer_names import TORCHVISION_NAMES
from alexnet.errors import UsageError
from alexnet.inference.classifier import Classifier
from alexnet.interop.export_module import FileOptions
from alexnet.interop.importer import build_network
from alexnet.interop.match import MatchedModel
from alexnet.interop.parity import Runner, torch_runner
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Conv, Dropout, FullyConnected, Init, Layer
from alexnet.models.variants import variant
from alexnet.models.zoo import ZOO


def torchvision_bytes(classifier: Classifier, options: FileOptions) -> tuple[bytes, Runner, str]:
    """A state dict by torchvision's names as a file, a function that runs it, and a name for that.

    A name that ends in `.safetensors` gives a safetensors file; any other gives one of
    `torch.save`, which holds nothing but tensors.

    Raises:
        UsageError: torchvision's `alexnet` is another network than the model's.
    """
    arch = classifier.network.architecture
    check_structure(arch)
    names = {ours: theirs for theirs, ours in TORCHVISION_NAMES.items()}
    tensors = {}
    for name, tensor in classifier.network.state_dict().items():
        layer, _, kind = name.partition(".")
        tensors[f"{names[layer]}.{kind}"] = tensor.detach().cpu().contiguous().clone()
    if options.name.endswith(".safetensors"):
        content = safetensors.torch.save(tensors, {"format": "pt"})
        back = safetensors.torch.load(content)
    else:
        file = BytesIO()
        torch.save(tensors, file)
        content = file.getvalue()
        back = torch.load(BytesIO(content), weights_only=True)
    return content, _runner(back, arch), "the file, read back"


def _runner(tensors: dict[str, Tensor], arch: Architecture) -> Runner:
    weights = {}
    for name, tensor in tensors.items():
        module, _, kind = name.rpartition(".")
        weights[f"{TORCHVISION_NAMES[module]}.{kind}"] = tensor
    return torch_runner(build_network(MatchedModel(arch, weights)))


def check_structure(arch: Architecture) -> None:
    """Reject networks that differ from torchvision's `alexnet` in more than the number of classes.

    Raises:
        UsageError: a layer differs; the message names the first.
    """
    theirs = variant(ZOO["alexnet_owt"], num_classes=arch.num_classes)
    pairs = zip_longest(_layers(arch), _layers(theirs))
    found = next(((own or other) for own, other in pairs if own != other), None)
    problem = f"{found.name} is not as there" if found else ""
    if arch.input[0] != theirs.input[0]:
        problem = f"it takes {arch.input[0]} channel(s)"
    if problem:
        raise UsageError(
            f"--format torchvision writes alexnet_owt as torchvision has it, and {problem} in "
            f"this model ({arch.name}); --format torch and --format onnx write any network"
        )


def _layers(arch: Architecture) -> list[Layer]:
    """The layers that a state dict depends on, without their initialization."""
    return [
        replace(layer, init=Init("torch")) if isinstance(layer, Conv | FullyConnected) else layer
        for layer in arch.layers
        if not isinstance(layer, Dropout)
    ]
