"""Several pretrained layers, one on top of the other, as one encoder and one decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from alexnet.pretraining.autoencoder import Autoencoder
from alexnet.pretraining.rbm_layer import RbmLayer

PretrainedLayer: TypeAlias = Autoencoder | RbmLayer


@torch.no_grad()
def encode_through(layers: Sequence[PretrainedLayer], inputs: Tensor) -> Tensor:
    """The activations of the last layer for inputs [N, C, H, W]; the inputs where none is given."""
    for layer in layers:
        inputs = layer.eval().encode(inputs).activations
    return inputs


@torch.no_grad()
def decode_through(layers: Sequence[PretrainedLayer], inputs: Tensor) -> Tensor:
    """The inputs [N, C, H, W] as reconstructed from the code of the last layer.

    Of the lower layers' codes only the pooling indices are used. A position that the next layer
    does not cover keeps its activation.
    """
    codes = []
    for layer in layers:
        code = layer.eval().encode(inputs)
        codes.append(code)
        inputs = code.activations
    decoded = codes[-1].activations
    for layer, code in zip(reversed(layers), reversed(codes), strict=True):
        activations = code.activations.clone()
        activations[:, :, : decoded.shape[2], : decoded.shape[3]] = decoded
        decoded = layer.decode(code._replace(activations=activations))
    return decoded
