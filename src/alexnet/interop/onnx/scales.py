"""Nodes that multiply the channels by constants or add constants to them.

They are the normalization of the images, the bias of the layer before, or a batch norm whose
statistics an exporter has folded into its scale and bias.
"""

from __future__ import annotations

import numpy as np

from alexnet.interop.match import ParsedLayer
from alexnet.interop.onnx.chain import NAME, Chain, Node
from alexnet.interop.onnx.constants import Attributes
from alexnet.interop.onnx.nodes import NodeParser
from alexnet.models.layers import BatchNorm, Conv, FullyConnected


def _scale(chain: Chain, node: Node, attributes: Attributes) -> None:
    """Read a Mul or Div by a constant."""
    factor = _operand(chain, node)
    if node.op_type == "Div":
        if node.input[0] != chain.current or not np.all(factor):
            chain.fail(node, "divides a constant by the images, or the images by 0")
        factor = 1 / factor
    if not chain.layers:
        chain.input_scale = chain.input_scale * factor
        chain.input_offset = chain.input_offset * factor
        return
    weights = _last_weights(chain, node)
    per_channel = _per_channel(chain, node, factor)
    weight = weights["weight"]
    weights["weight"] = weight * per_channel.reshape(-1, *[1] * (weight.ndim - 1))
    if "bias" in weights:
        weights["bias"] = weights["bias"] * per_channel


def _shift(chain: Chain, node: Node, attributes: Attributes) -> None:
    """Read an Add or Sub of a constant."""
    term = _operand(chain, node)
    if node.op_type == "Sub":
        if node.input[0] != chain.current:
            chain.fail(node, "subtracts the images from a constant")
        term = -term
    if not chain.layers:
        chain.input_offset = chain.input_offset + term
        return
    weights = _last_weights(chain, node)
    per_channel = _per_channel(chain, node, term)
    weights["bias"] = weights["bias"] + per_channel if "bias" in weights else per_channel


def _operand(chain: Chain, node: Node) -> np.ndarray:
    """The constant operand with channels first: [C or 1, H or 1, W or 1] for images, else [n]."""
    operand, rank = chain.constant_operand(node), len(chain.full_shape)
    full = operand.reshape([1] * max(rank - operand.ndim, 0) + list(operand.shape))
    sizes = zip(full.shape, chain.full_shape, strict=False)
    if full.ndim != rank or full.shape[0] != 1 or any(n not in (1, size) for n, size in sizes):
        chain.fail(node, f"has a constant of shape {list(operand.shape)}, which fits no layer here")
    if rank == 4 and chain.is_channels_last:
        full = full.transpose(0, 3, 1, 2)
    return np.asarray(full[0], np.float32)


def _per_channel(chain: Chain, node: Node, operand: np.ndarray) -> np.ndarray:
    """The constant as one value for each channel or feature."""
    if operand.size not in (1, operand.shape[0]):
        chain.fail(node, "has a constant for each pixel, which fits no layer here")
    return np.broadcast_to(operand.reshape(-1), chain.shape[0])


def _last_weights(chain: Chain, node: Node) -> dict[str, np.ndarray]:
    """The arrays of the last layer if it has weights, else of a new batch norm."""
    last = chain.layers[-1]
    if not isinstance(last.layer, Conv | FullyConnected | BatchNorm):
        ones = np.ones(chain.shape[0], np.float32)
        chain.add(node, BatchNorm(NAME), weight=ones, bias=0 * ones)
        return chain.layers[-1].weights
    weights = dict(last.weights)
    chain.layers[-1] = ParsedLayer(last.layer, last.description, weights)
    return weights


SCALES: dict[str, NodeParser] = {"Mul": _scale, "Div": _scale, "Add": _shift, "Sub": _shift}
"""Functions that read a node, by its type."""
