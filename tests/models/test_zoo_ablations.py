"""The nets behind the paper's comparisons: what changes, what stays, and their sizes by hand."""

from __future__ import annotations

import pytest
import torch

from alexnet.models.layers import BatchNorm, Conv, Pool, ResponseNorm, WithinChannelLRN
from alexnet.models.network import Network
from alexnet.models.zoo import ABLATIONS, ALEXNET_2012, architecture
from support.counts import num_parameters


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    return {info.layer.name: info.output for info in architecture(name).layer_infos()}


def parameters(name: str) -> int:
    return sum(info.parameters for info in architecture(name).layer_infos())


def test_without_overlap_every_map_keeps_its_size() -> None:
    assert shapes("alexnet_2012_no_overlap") == shapes("alexnet_2012")
    pools = [n for n in architecture("alexnet_2012_no_overlap").layers if isinstance(n, Pool)]
    assert [(pool.size, pool.stride) for pool in pools] == [(2, 2)] * 3
    assert parameters("alexnet_2012_no_overlap") == parameters("alexnet_2012")


def test_without_norm_nothing_else_is_lost() -> None:
    norms = ResponseNorm | WithinChannelLRN | BatchNorm
    kept = tuple(layer for layer in ALEXNET_2012.layers if not isinstance(layer, norms))
    assert architecture("alexnet_2012_no_norm").layers == kept


def test_half_is_one_tower_with_all_channels_in_conv5() -> None:
    """Paper, section 3.2, footnote 2; weights and biases counted by hand."""
    net = architecture("alexnet_2012_half")
    convs = [layer for layer in net.layers if isinstance(layer, Conv)]
    assert [conv.channels for conv in convs] == [48, 128, 192, 192, 256]
    assert {conv.groups for conv in convs} == {1}
    conv_weights = 48 * 363 + 128 * 48 * 25 + 192 * 128 * 9 + 192 * 192 * 9 + 256 * 192 * 9
    fc = (9216 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000
    assert parameters("alexnet_2012_half") == conv_weights + 48 + 128 + 192 + 192 + 256 + fc


@pytest.mark.slow
def test_without_communication_a_tower_never_sees_the_other() -> None:
    """No gradient of a conv5 channel of the first tower reaches a conv2 channel of the second."""
    network = Network(architecture("alexnet_2012_no_communication")).eval()
    x = torch.rand(1, 256, 13, 13, requires_grad=True)
    maps = x
    for name in ("conv3", "relu3", "conv4", "relu4", "conv5"):
        maps = network.get_submodule(name)(maps)
    maps[:, :128].sum().backward()
    assert x.grad is not None
    assert x.grad[:, :128].abs().sum() > 0
    assert x.grad[:, 128:].abs().sum() == 0


@pytest.mark.parametrize("name", ABLATIONS)
def test_it_is_a_network_of_the_arithmetic(name: str) -> None:
    with torch.device("meta"):
        network = Network(architecture(name))
    outputs = network.intermediate_outputs(torch.empty(2, 3, 224, 224, device="meta"))
    assert {n: tuple(t.shape[1:]) for n, t in outputs.items()} == shapes(name)
    assert num_parameters(network) == parameters(name)
    assert network.architecture.name == name
