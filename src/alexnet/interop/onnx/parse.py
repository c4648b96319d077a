"""Parse the nodes of an ONNX graph into layers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from alexnet.errors import ModelFileError
from alexnet.interop.onnx.adaptive_pools import AdaptivePoolBranch, starts_adaptive_pool
from alexnet.interop.onnx.chain import Chain, Node, attributes_of
from alexnet.interop.onnx.nodes import PARSERS, NodeParser
from alexnet.interop.onnx.norms import NormBranch, norm_branch, starts_norm
from alexnet.interop.onnx.reshapes import RESHAPES
from alexnet.interop.onnx.scales import SCALES
from alexnet.io.text import error_text

NODE_PARSERS: dict[str, NodeParser] = {**PARSERS, **RESHAPES, **SCALES}
Branch: TypeAlias = NormBranch | AdaptivePoolBranch
"""The part that has been read of a layer of several nodes."""
CAN_FOLLOW_PAD = {"Conv", "MaxPool", "AveragePool", "Pad", "Identity", "Cast", "Transpose"}
CAN_FOLLOW_SOFTMAX = {"Identity", "Cast"}
QUANTIZED = ("Quantize", "Dequantize", "QLinear", "Dynamic", "ConvInteger", "MatMulInteger")


def parse_nodes(chain: Chain, nodes: Iterable[Node]) -> None:
    """Add the layers of all nodes to a chain.

    Nodes that do not depend on the images are computed, and an If whose condition is known becomes
    its branch.

    Raises:
        ModelFileError: a node does not continue the chain, or is no layer; the message names the
            first.
    """
    remaining = deque(nodes)
    branch: Branch | None = None
    while remaining:
        node = remaining.popleft()
        try:
            branch = _take(chain, node, branch, remaining)
        except ModelFileError:
            raise
        except Exception as error:  # attributes and constants may be anything
            reason = f"{type(error).__name__}: {error_text(error)}"
            chain.fail(node, f"cannot be read ({reason})")
    if branch is not None:
        chain.fail(branch.first, "begins a layer that the file does not end")


def _take(chain: Chain, node: Node, branch: Branch | None, remaining: deque[Node]) -> Branch | None:
    """Read the next node, and return the branch that it begins or continues, else None."""
    if node.op_type == "If" and node.input[0] in chain.constants:
        remaining.extendleft(reversed(_if_branch(chain, node)))
    elif node.op_type in ("Shape", "Size") and node.input[0] in chain.shapes:
        _compute_shape(chain, node)
    elif chain.is_constant(node):
        chain.compute(node)
    elif branch is not None:
        return None if branch.take(node) else branch
    elif starts_norm(chain, node):
        return norm_branch(chain, node)
    elif starts_adaptive_pool(chain, node):
        return AdaptivePoolBranch(chain, node, node.output[0])
    else:
        _parse_node(chain, node)
    return branch


def _parse_node(chain: Chain, node: Node) -> None:
    """Read a node that is a layer by itself, or a part of the layer before it."""
    is_standard = node.domain in ("", "ai.onnx")
    if chain.current not in node.input:
        chain.fail(node, "does not take the output of the node before it: not one chain")
    if node.op_type.startswith(QUANTIZED):
        chain.fail(node, "is of a quantized network; import the network that it was made from")
    if node.op_type not in NODE_PARSERS or not is_standard:
        chain.fail(node, "is not a layer of any architecture here")
    if any(chain.pads) and node.op_type not in CAN_FOLLOW_PAD:
        chain.fail(node, "follows a Pad, which is only supported before a convolution or a pool")
    if chain.logits and node.op_type not in CAN_FOLLOW_SOFTMAX:
        chain.fail(node, "follows the softmax or sigmoid of the outputs, which must be at the end")
    NODE_PARSERS[node.op_type](chain, node, attributes_of(node))
    chain.advance(node)


def _compute_shape(chain: Chain, node: Node) -> None:
    """Compute a value's shape, or its number of values, as a constant."""
    shape = np.asarray(chain.shapes[node.input[0]], np.int64)
    attributes = attributes_of(node)
    part = shape[attributes.get("start", 0) : attributes.get("end")]
    result = part if node.op_type == "Shape" else np.asarray(np.prod(shape))
    chain.constants[node.output[0]] = result


def _if_branch(chain: Chain, node: Node) -> list[Node]:
    """The nodes of the branch that an If takes, and an Identity for each of its outputs."""
    from onnx.helper import make_node

    is_true = bool(np.all(chain.constants[node.input[0]]))
    graph = attributes_of(node)["then_branch" if is_true else "else_branch"]
    chain.add_initializers(graph)
    outputs = zip(graph.output, node.output, strict=True)
    names = [make_node("Identity", [inner.name], [outer]) for inner, outer in outputs]
    return [*graph.node, *names]
