"""Write a classifier optimized in int8 to the cache, as a file that is read without torch."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from torch import nn

from alexnet.checkpoints.file_header import HEADER_KEY
from alexnet.checkpoints.model_file import MEAN_IMAGE
from alexnet.config.serialization import to_json
from alexnet.inference.classifier import Classifier
from alexnet.inference.frozen import FrozenHeader, FrozenLayer, checksum
from alexnet.inference.fused import FusedReluNormPool
from alexnet.inference.int8 import Int8Conv2d, Int8Layer, Int8Linear
from alexnet.io.files import atomic_write
from alexnet.models.modules import Flatten, ResponseNorm
from alexnet.models.network import Network
from alexnet.ops.norms import MAX_KERNEL_CHANNELS


def freeze(classifier: Classifier, path: Path) -> bool:
    """Write a classifier's network as operations of the C kernels.

    Returns:
        False, and no file, if a layer is no such operation or the images are not RGB.

    Raises:
        OSError: the file cannot be written.
    """
    layers = frozen_layers(classifier.network)
    if not layers or classifier.info.preprocessing.channels != 3:
        return False
    arrays: dict[str, np.ndarray] = {}
    for name, module in classifier.network.layer_modules().items():
        arrays |= _arrays(name, module)
    if classifier.mean_image is not None:
        arrays[MEAN_IMAGE] = classifier.mean_image.numpy()
    header = FrozenHeader(info=classifier.info, layers=layers, checksum=checksum(arrays))
    with atomic_write(path) as temp:
        save_file(arrays, temp, metadata={HEADER_KEY: to_json(header, indent=None)})
    return True


def frozen_layers(network: Network) -> tuple[FrozenLayer, ...]:
    """The network's operations; () if the kernels do not compute every layer, or not in int8."""
    found = []
    for info in network.architecture.layer_infos():
        module, name = network.get_submodule(info.layer.name), info.layer.name
        match module:
            case nn.Identity() | nn.Dropout():
                continue
            case nn.AdaptiveAvgPool2d() | nn.AdaptiveMaxPool2d() if info.input == info.output:
                continue
            case Int8Conv2d():
                layer = FrozenLayer(
                    kind="conv",
                    name=name,
                    clamp_min=_finite(module.clamp_min),
                    window=module.window,
                    is_bf16=module.is_bf16,
                )
            case Int8Linear():
                layer = FrozenLayer(kind="linear", name=name, clamp_min=_finite(module.clamp_min))
            case FusedReluNormPool():
                pool = module.window, module.stride
                layer = FrozenLayer(kind="relu_norm_pool", name=name, norm=module.norm, pool=pool)
            case ResponseNorm() if max(*info.input, module.layer.size) <= MAX_KERNEL_CHANNELS:
                layer = FrozenLayer(kind="response_norm", name=name, norm=module.layer)
            case Flatten():
                layer = FrozenLayer(kind="flatten", name=name, order=module.order)
            case _:
                return ()
        found.append(layer)
    return tuple(found)


def _finite(clamp_min: float) -> float | None:
    return clamp_min if math.isfinite(clamp_min) else None


def _arrays(name: str, module: nn.Module) -> dict[str, np.ndarray]:
    """The weights of a quantized layer by "LAYER.FIELD"; empty for any other layer."""
    if not isinstance(module, Int8Layer):
        return {}
    return {f"{name}.{field}": part.numpy() for field, part in module.weights._asdict().items()}
