"""Encoding and decoding through several layers."""

from __future__ import annotations

import torch

from alexnet.pretraining.stack import decode_through, encode_through
from support.pretraining import smooth_images, tiny_arch, train_rbms


def test_layers_are_applied_in_order() -> None:
    arch = tiny_arch("alexnet")
    x = smooth_images(arch, 2)
    layers = train_rbms(arch, x, 1, up_to="conv2")
    inner = layers[0].encode(x).activations
    torch.testing.assert_close(
        encode_through(layers, x), layers[1].encode(inner).activations, rtol=0, atol=0
    )
    assert encode_through([], x) is x


def test_decoding_reverses_the_order_and_keeps_what_the_next_layer_does_not_cover() -> None:
    arch = tiny_arch("alexnet")
    x = smooth_images(arch, 2)
    layers = train_rbms(arch, x, 1, up_to="conv2")
    lower, upper = layers
    with torch.no_grad():
        code = lower.encode(x)
        decoded = upper.decode(upper.encode(code.activations))
        activations = code.activations.clone()
        activations[:, :, : decoded.shape[2], : decoded.shape[3]] = decoded
        expected = lower.decode(code._replace(activations=activations))
        torch.testing.assert_close(decode_through(layers, x), expected, rtol=0, atol=0)
        alone = lower.decode(lower.encode(x))
        torch.testing.assert_close(decode_through([lower], x), alone, rtol=0, atol=0)
    assert not torch.equal(expected, alone)
