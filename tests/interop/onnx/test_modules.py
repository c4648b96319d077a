"""Modules for layers that ONNX writes in another way."""

from __future__ import annotations

import torch

from alexnet.interop.onnx.modules import OnnxResponseNorm, OnnxWithinChannelLRN, onnx_modules
from alexnet.models.architecture import Architecture
from alexnet.models.layers import ResponseNorm, WithinChannelLRN
from alexnet.models.network import Network
from alexnet.models.zoo import ZOO
from support.narrow_nets import narrow_architecture


def test_within_channel_lrn_computes_the_same() -> None:
    layer = WithinChannelLRN("norm", size=5, alpha=0.01, beta=0.75, k=1.0)
    x = 3 * torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(0))
    (ours,) = Network(Architecture("norm", "", (4, 9, 9), (layer,))).children()
    expected = ours(x)
    torch.testing.assert_close(OnnxWithinChannelLRN(layer)(x), expected, rtol=1e-5, atol=1e-6)
    assert (expected - x).abs().max() > 0.1


def test_a_response_norm_keeps_its_shape() -> None:
    x = torch.zeros(2, 4, 3, 3)
    assert OnnxResponseNorm(ResponseNorm("norm", groups=2))(x).shape == x.shape


def test_only_what_onnx_lacks_is_replaced() -> None:
    network = Network(narrow_architecture("alexnet_caffe"))
    modules = onnx_modules(network)
    assert list(modules) == [layer.name for layer in ZOO["alexnet_caffe"].layers]
    replaced = {n for n, child in network.named_children() if modules[n] is not child}
    assert replaced == {"norm1", "norm2"}


def test_an_adaptive_pool_that_does_nothing_is_left_out() -> None:
    modules = onnx_modules(Network(narrow_architecture("alexnet_owt")))
    assert [n for n, one in modules.items() if isinstance(one, torch.nn.Identity)] == ["avgpool"]
