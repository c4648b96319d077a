"""Every published AlexNet and two smaller networks, each as a literal value.

Sources: Paper = Krizhevsky, Sutskever, Hinton, NIPS 2012; Code2012 = the original source code,
released in 2025, net 145 (`layers/layers-145.cfg`); Tutorial = the notebook that this project
started from.
"""

from __future__ import annotations

from collections import ChainMap
from dataclasses import replace

from alexnet.models.architecture import Architecture
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
from alexnet.models.unknown_architecture import unknown_architecture
from alexnet.models.variants import ModelOptions, independent_towers, single_tower, variant

NORMAL = Init("normal", 0.01)
NORMAL_BIAS_1 = Init("normal", 0.01, bias=1.0)
TORCH = Init("torch")
GLOROT = Init("glorot_uniform")
HE = Init("he_normal")
CAFFE_FC = Init("normal", 0.005, bias=0.1)

ALEXNET = Architecture(
    "alexnet",
    "Paper, sections 3.1-3.5 and 5; its 55 x 55 outputs of conv1 need an input of 227 pixels",
    (3, 227, 227),
    (
        Conv("conv1", 96, 11, stride=4, init=NORMAL),
        Activation("relu1"),
        ResponseNorm("norm1"),
        Pool("pool1"),
        Conv("conv2", 256, 5, padding=2, groups=2, init=NORMAL_BIAS_1),
        Activation("relu2"),
        ResponseNorm("norm2"),
        Pool("pool2"),
        Conv("conv3", 384, 3, padding=1, init=NORMAL),
        Activation("relu3"),
        Conv("conv4", 384, 3, padding=1, groups=2, init=NORMAL_BIAS_1),
        Activation("relu4"),
        Conv("conv5", 256, 3, padding=1, groups=2, init=NORMAL_BIAS_1),
        Activation("relu5"),
        Pool("pool5"),
        Flatten("flatten"),
        FullyConnected("fc6", 4096, init=NORMAL_BIAS_1),
        Activation("relu6"),
        Dropout("drop6"),
        FullyConnected("fc7", 4096, init=NORMAL_BIAS_1),
        Activation("relu7"),
        Dropout("drop7"),
        FullyConnected("fc8", 1000, init=NORMAL),
    ),
)

ALEXNET_2012 = Architecture(
    "alexnet_2012",
    "Code2012 net 145: two towers, response norm within each tower, within-channel norm, "
    "3 pixels of zero padding at the right and bottom",
    (3, 224, 224),
    (
        Conv("conv1", 96, 11, stride=4, extra_padding=3, init=NORMAL),
        ResponseNorm("norm1", alpha=2e-5, groups=2),
        Pool("pool1"),
        Activation("relu1"),
        Conv("conv2", 256, 5, padding=2, groups=2, init=NORMAL_BIAS_1),
        Activation("relu2"),
        ResponseNorm("norm2", alpha=2e-5, groups=2),
        WithinChannelLRN("cnorm2"),
        Pool("pool2"),
        Conv("conv3", 384, 3, padding=1, init=Init("normal", 0.03)),
        Activation("relu3"),
        Conv("conv4", 384, 3, padding=1, groups=2, init=Init("normal", 0.03, bias=1.0)),
        Activation("relu4"),
        Conv("conv5", 256, 3, padding=1, groups=2, init=Init("normal", 0.03, bias=1.0)),
        Activation("relu5"),
        Pool("pool5"),
        Flatten("flatten"),
        FullyConnected("fc6", 4096, init=NORMAL_BIAS_1),
        Activation("relu6"),
        Dropout("drop6"),
        FullyConnected("fc7", 4096, init=NORMAL_BIAS_1),
        Activation("relu7"),
        Dropout("drop7"),
        FullyConnected("fc8", 1000, init=NORMAL),
    ),
)

ALEXNET_TABLE = Architecture(
    "alexnet_table",
    "Tutorial, the table: one tower, pooling before norm, ReLU after fc8",
    (3, 227, 227),
    (
        Conv("conv1", 96, 11, stride=4, init=NORMAL),
        Activation("relu1"),
        Pool("pool1"),
        ResponseNorm("norm1"),
        Conv("conv2", 256, 5, padding=2, init=NORMAL_BIAS_1),
        Activation("relu2"),
        Pool("pool2"),
        ResponseNorm("norm2"),
        Conv("conv3", 384, 3, padding=1, init=NORMAL),
        Activation("relu3"),
        Conv("conv4", 384, 3, padding=1, init=NORMAL_BIAS_1),
        Activation("relu4"),
        Conv("conv5", 256, 3, padding=1, init=NORMAL_BIAS_1),
        Activation("relu5"),
        Pool("pool5"),
        Flatten("flatten"),
        Dropout("drop6"),
        FullyConnected("fc6", 4096, init=NORMAL_BIAS_1),
        Activation("relu6"),
        Dropout("drop7"),
        FullyConnected("fc7", 4096, init=NORMAL_BIAS_1),
        Activation("relu7"),
        FullyConnected("fc8", 1000, init=NORMAL),
        Activation("relu8"),
    ),
)

# The defaults of Keras's BatchNormalization: epsilon 1e-3, momentum 0.99 (torch: 1 - 0.99).
ALEXNET_NOTEBOOK = Architecture(
    "alexnet_notebook",
    "Tutorial, the Keras program: conv2 is 11 x 11, no padding, one more hidden layer, batch norm",
    (3, 224, 224),
    (
        Conv("conv1", 96, 11, stride=4, init=GLOROT),
        Activation("relu1"),
        Pool("pool1", 2, 2),
        BatchNorm("bn1", 1e-3, 0.01),
        Conv("conv2", 256, 11, init=GLOROT),
        Activation("relu2"),
        Pool("pool2", 2, 2),
        BatchNorm("bn2", 1e-3, 0.01),
        Conv("conv3", 384, 3, init=GLOROT),
        Activation("relu3"),
        BatchNorm("bn3", 1e-3, 0.01),
        Conv("conv4", 384, 3, init=GLOROT),
        Activation("relu4"),
        BatchNorm("bn4", 1e-3, 0.01),
        Conv("conv5", 256, 3, init=GLOROT),
        Activation("relu5"),
        Pool("pool5", 2, 2),
        BatchNorm("bn5", 1e-3, 0.01),
        Flatten("flatten", "hwc"),
        FullyConnected("fc6", 4096, init=GLOROT),
        Activation("relu6"),
        Dropout("drop6", 0.4),
        BatchNorm("bn6", 1e-3, 0.01),
        FullyConnected("fc7", 4096, init=GLOROT),
        Activation("relu7"),
        Dropout("drop7", 0.4),
        BatchNorm("bn7", 1e-3, 0.01),
        FullyConnected("fc7b", 1000, init=GLOROT),
        Activation("relu7b"),
        Dropout("drop7b", 0.4),
        BatchNorm("bn7b", 1e-3, 0.01),
        FullyConnected("fc8", 17, init=GLOROT),
    ),
)

ALEXNET_OWT = Architecture(
    "alexnet_owt",
    'Krizhevsky 2014, "One weird trick", as torchvision ships it under the name alexnet',
    (3, 224, 224),
    (
        Conv("conv1", 64, 11, stride=4, padding=2, init=TORCH),
        Activation("relu1"),
        Pool("pool1"),
        Conv("conv2", 192, 5, padding=2, init=TORCH),
        Activation("relu2"),
        Pool("pool2"),
        Conv("conv3", 384, 3, padding=1, init=TORCH),
        Activation("relu3"),
        Conv("conv4", 256, 3, padding=1, init=TORCH),
        Activation("relu4"),
        Conv("conv5", 256, 3, padding=1, init=TORCH),
        Activation("relu5"),
        Pool("pool5"),
        AdaptivePool("avgpool", 6),
        Flatten("flatten"),
        Dropout("drop6"),
        FullyConnected("fc6", 4096, init=TORCH),
        Activation("relu6"),
        Dropout("drop7"),
        FullyConnected("fc7", 4096, init=TORCH),
        Activation("relu7"),
        FullyConnected("fc8", 1000, init=TORCH),
    ),
)

ALEXNET_CAFFE = Architecture(
    "alexnet_caffe",
    "Caffe bvlc_alexnet: the paper's layers with k = 1, alpha / 5 and another initialization",
    (3, 227, 227),
    (
        Conv("conv1", 96, 11, stride=4, init=NORMAL),
        Activation("relu1"),
        ResponseNorm("norm1", alpha=2e-5, k=1.0),
        Pool("pool1"),
        Conv("conv2", 256, 5, padding=2, groups=2, init=Init("normal", 0.01, bias=0.1)),
        Activation("relu2"),
        ResponseNorm("norm2", alpha=2e-5, k=1.0),
        Pool("pool2"),
        Conv("conv3", 384, 3, padding=1, init=NORMAL),
        Activation("relu3"),
        Conv("conv4", 384, 3, padding=1, groups=2, init=Init("normal", 0.01, bias=0.1)),
        Activation("relu4"),
        Conv("conv5", 256, 3, padding=1, groups=2, init=Init("normal", 0.01, bias=0.1)),
        Activation("relu5"),
        Pool("pool5"),
        Flatten("flatten"),
        FullyConnected("fc6", 4096, init=CAFFE_FC),
        Activation("relu6"),
        Dropout("drop6"),
        FullyConnected("fc7", 4096, init=CAFFE_FC),
        Activation("relu7"),
        Dropout("drop7"),
        FullyConnected("fc8", 1000, init=NORMAL),
    ),
)

CAFFENET = Architecture(
    "caffenet",
    "Caffe bvlc_reference_caffenet: as alexnet_caffe, but pooling before norm and biases of 1",
    (3, 227, 227),
    (
        Conv("conv1", 96, 11, stride=4, init=NORMAL),
        Activation("relu1"),
        Pool("pool1"),
        ResponseNorm("norm1", alpha=2e-5, k=1.0),
        Conv("conv2", 256, 5, padding=2, groups=2, init=NORMAL_BIAS_1),
        Activation("relu2"),
        Pool("pool2"),
        ResponseNorm("norm2", alpha=2e-5, k=1.0),
        Conv("conv3", 384, 3, padding=1, init=NORMAL),
        Activation("relu3"),
        Conv("conv4", 384, 3, padding=1, groups=2, init=NORMAL_BIAS_1),
        Activation("relu4"),
        Conv("conv5", 256, 3, padding=1, groups=2, init=NORMAL_BIAS_1),
        Activation("relu5"),
        Pool("pool5"),
        Flatten("flatten"),
        FullyConnected("fc6", 4096, init=Init("normal", 0.005, bias=1.0)),
        Activation("relu6"),
        Dropout("drop6"),
        FullyConnected("fc7", 4096, init=Init("normal", 0.005, bias=1.0)),
        Activation("relu7"),
        Dropout("drop7"),
        FullyConnected("fc8", 1000, init=NORMAL),
    ),
)

ALEXNET_BN = Architecture(
    "alexnet_bn",
    "Ours, for small data: the paper's topology with batch norm in place of response norm, "
    "and He initialization",
    (3, 227, 227),
    (
        Conv("conv1", 96, 11, stride=4, bias=False, init=HE),
        BatchNorm("bn1"),
        Activation("relu1"),
        Pool("pool1"),
        Conv("conv2", 256, 5, padding=2, groups=2, bias=False, init=HE),
        BatchNorm("bn2"),
        Activation("relu2"),
        Pool("pool2"),
        Conv("conv3", 384, 3, padding=1, bias=False, init=HE),
        BatchNorm("bn3"),
        Activation("relu3"),
        Conv("conv4", 384, 3, padding=1, groups=2, bias=False, init=HE),
        BatchNorm("bn4"),
        Activation("relu4"),
        Conv("conv5", 256, 3, padding=1, groups=2, bias=False, init=HE),
        BatchNorm("bn5"),
        Activation("relu5"),
        Pool("pool5"),
        Flatten("flatten"),
        Dropout("drop6"),
        FullyConnected("fc6", 1024, bias=False, init=HE),
        BatchNorm("bn6"),
        Activation("relu6"),
        Dropout("drop7"),
        FullyConnected("fc7", 1024, bias=False, init=HE),
        BatchNorm("bn7"),
        Activation("relu7"),
        FullyConnected("fc8", 1000, init=NORMAL),
    ),
)

LENET5 = Architecture(
    "lenet5",
    "LeCun et al. 1998, with plain average pooling and fully connected channels",
    (1, 32, 32),
    (
        Conv("conv1", 6, 5, init=TORCH),
        Activation("tanh1", "tanh"),
        Pool("pool1", 2, 2, reduce="average"),
        Conv("conv2", 16, 5, init=TORCH),
        Activation("tanh2", "tanh"),
        Pool("pool2", 2, 2, reduce="average"),
        Conv("conv3", 120, 5, init=TORCH),
        Activation("tanh3", "tanh"),
        Flatten("flatten"),
        FullyConnected("fc4", 84, init=TORCH),
        Activation("tanh4", "tanh"),
        FullyConnected("fc5", 10, init=TORCH),
    ),
)

CIFAR_QUICK = Architecture(
    "cifar_quick",
    "Code2012 example layers-19pct: the four-layer CIFAR-10 net that is closest to the one of the "
    "paper's figure 1 (ReLU and tanh)",
    (3, 32, 32),
    (
        Conv("conv1", 32, 5, padding=2, init=Init("normal", 1e-4)),
        Pool("pool1", ceil=True),
        Activation("relu1"),
        Conv("conv2", 32, 5, padding=2, init=NORMAL),
        Activation("relu2"),
        Pool("pool2", ceil=True, reduce="average"),
        Conv("conv3", 64, 5, padding=2, init=NORMAL),
        Activation("relu3"),
        Pool("pool3", ceil=True, reduce="average"),
        Flatten("flatten"),
        FullyConnected("fc4", 10, init=NORMAL),
    ),
)

ZOO: dict[str, Architecture] = {
    net.name: net
    for net in (
        ALEXNET,
        ALEXNET_2012,
        ALEXNET_TABLE,
        ALEXNET_NOTEBOOK,
        ALEXNET_OWT,
        ALEXNET_CAFFE,
        CAFFENET,
        ALEXNET_BN,
        LENET5,
        CIFAR_QUICK,
    )
}

_NO_NORM = ModelOptions(norm="none")
ABLATIONS: dict[str, Architecture] = {
    name: replace(net, name=name, source=source)
    for name, net, source in (
        (
            "alexnet_2012_no_overlap",
            variant(ALEXNET_2012, ModelOptions(pooling="non_overlapping")),
            "Code2012 net 147: 2 x 2 pooling, with the same output sizes",
        ),
        ("alexnet_2012_no_norm", variant(ALEXNET_2012, _NO_NORM), "Code2012 net 148"),
        ("alexnet_2012_half", single_tower(ALEXNET_2012), "Code2012 145-half: one tower"),
        (
            "alexnet_2012_no_communication",
            independent_towers(ALEXNET_2012),
            "Code2012 net 150: the towers meet in fc6 only",
        ),
    )
}
"""The networks of the paper's comparisons, as in the 2012 code."""
_PUBLISHED = ChainMap(ZOO, ABLATIONS)


def is_published(arch: Architecture) -> bool:
    """Whether an architecture equals the one of its name in ZOO or ABLATIONS."""
    return _PUBLISHED.get(arch.name) == arch


def architecture(name: str | Architecture) -> Architecture:
    """The architecture of ZOO or ABLATIONS called `name`; an `Architecture` is returned as it is.

    Raises:
        UnknownNameError: there is no such architecture; the message suggests similar names.
        UsageError: `name` is of another type, or another family's.
    """
    if isinstance(name, Architecture):
        return name
    if isinstance(name, str) and name in _PUBLISHED:
        return _PUBLISHED[name]
    raise unknown_architecture(name, _PUBLISHED)
