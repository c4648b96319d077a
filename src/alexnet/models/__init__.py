"""Architectures as plain values, and their torch networks.

Only `modules` and `network` need torch.

- `layers`: the layer types, `Conv` to `Flatten`, with their arithmetic.
- `architecture`: `Architecture`, a named sequence of layers.
- `zoo`: the published architectures; `zoo.architecture(name)` finds one by name.
- `variants`: `variant` changes an architecture as `ModelOptions` say.
- `summary`, `tutorial_table`, `comparison`: an architecture, or two, as tables and as JSON.
- `drawing`: an architecture as in the paper's figure 2; `save_drawing` writes it.
- `limits`: rejects architectures that fit no machine.
- `modules`: the torch module of each layer type.
- `network`: `Network`, the torch module of an architecture.
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.models.architecture import Architecture, LayerInfo
    from alexnet.models.drawing.save import save_drawing
    from alexnet.models.layers import (
        Activation,
        AdaptivePool,
        BatchNorm,
        Conv,
        Dropout,
        Flatten,
        FullyConnected,
        Init,
        Pool,
        ResponseNorm,
        WithinChannelLRN,
    )
    from alexnet.models.network import Network, create_model
    from alexnet.models.variants import ModelOptions, variant
    from alexnet.models.zoo import ZOO

__all__ = [
    "ZOO",
    "Activation",
    "AdaptivePool",
    "Architecture",
    "BatchNorm",
    "Conv",
    "Dropout",
    "Flatten",
    "FullyConnected",
    "Init",
    "LayerInfo",
    "ModelOptions",
    "Network",
    "Pool",
    "ResponseNorm",
    "WithinChannelLRN",
    "create_model",
    "save_drawing",
    "variant",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "Activation": "layers",
        "AdaptivePool": "layers",
        "Architecture": "architecture",
        "BatchNorm": "layers",
        "Conv": "layers",
        "Dropout": "layers",
        "Flatten": "layers",
        "FullyConnected": "layers",
        "Init": "layers",
        "LayerInfo": "architecture",
        "ModelOptions": "variants",
        "Network": "network",
        "Pool": "layers",
        "ResponseNorm": "layers",
        "WithinChannelLRN": "layers",
        "ZOO": "zoo",
        "create_model": "network",
        "save_drawing": "drawing.save",
        "variant": "variants",
    },
)
