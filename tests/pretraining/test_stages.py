"""The stages of an architecture, and the architectures that pretraining rejects."""

from __future__ import annotations

import pytest

from alexnet.errors import ArchitectureError, UnknownNameError
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Activation, BatchNorm, Conv, Flatten, FullyConnected, Pool
from alexnet.models.zoo import ZOO, architecture
from alexnet.pretraining.stages import check_hidden_biases, find_stages, truncate


def test_stages_of_the_paper() -> None:
    stages = find_stages(architecture("alexnet"), "")
    assert [[info.layer.name for info in stage.layers] for stage in stages] == [
        ["conv1", "relu1", "norm1", "pool1"], ["conv2", "relu2", "norm2", "pool2"],
        ["conv3", "relu3"], ["conv4", "relu4"], ["conv5", "relu5", "pool5"],
    ]  # fmt: skip
    assert [stage.in_channels for stage in stages] == [3, 96, 256, 384, 384]
    assert (stages[0].activation, stages[2].pool) == ("relu", None)


@pytest.mark.parametrize("name", ZOO)
def test_every_network_of_the_zoo_has_stages(name: str) -> None:
    arch = architecture(name)
    convs = [layer.name for layer in arch.layers if isinstance(layer, Conv)]
    stages = find_stages(arch, "")
    assert [stage.name for stage in stages] == convs
    check_hidden_biases(arch, stages)
    two = find_stages(arch, convs[1])
    assert [stage.name for stage in two] == convs[:2]
    assert truncate(arch, two).layers[-1].name == two[-1].last


def test_the_norm_after_the_convolution() -> None:
    assert find_stages(architecture("alexnet_bn"), "")[0].conv_norm is not None
    assert find_stages(architecture("alexnet_notebook"), "")[0].conv_norm is None


@pytest.mark.parametrize("name", ["conv9", "pool1", "fc6"])
def test_a_layer_that_is_no_conv_layer_is_rejected(name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown conv layer of alexnet '{name}'"):
        find_stages(architecture("alexnet"), name)


def test_architectures_that_cannot_be_pretrained() -> None:
    def odd(*layers: object) -> Architecture:
        end = (Flatten("flatten"), FullyConnected("fc2", 3))
        return Architecture("odd", "here", (1, 20, 20), (*layers, *end))  # type: ignore[arg-type]

    with pytest.raises(ArchitectureError, match="pool1 and pool2 after conv1"):
        find_stages(odd(Conv("conv1", 4, 3), Pool("pool1"), Pool("pool2")), "")
    with pytest.raises(ArchitectureError, match="begins with bn1"):
        find_stages(odd(BatchNorm("bn1"), Conv("conv1", 4, 3)), "")
    biasless = odd(Conv("conv1", 4, 3, bias=False), Activation("relu1"), BatchNorm("bn1"))
    with pytest.raises(ArchitectureError, match="conv1 of odd has neither a bias nor"):
        check_hidden_biases(biasless, find_stages(biasless, ""))
