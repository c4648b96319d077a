"""Combine preprocessing, network and softmax into one ONNX model from an image to probabilities.

The values between the three parts keep their names, so that the network can be cut out again.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Model: TypeAlias = Any
Graph: TypeAlias = Any
IMAGE = "image"
"""Input of a whole model: one image, uint8 [H, W, 3], RGB, of any size."""
IMAGES = "images"
"""Input of a network: float32 [batch, C, H, W], normalized."""
LOGITS = "logits"
PROBABILITIES = "probabilities"
"""Output of a whole model: float32 [num_classes]."""
PREFIX = "preprocess_"
"""Prefix of the names of values and nodes before the network."""
TEMPERATURE, FIRST = "temperature", "first_of_batch"


def add_preprocessing(network: Model, preprocessing: Model, temperature: float) -> Model:
    """Combine the models of a network and of its preprocessing into a whole model.

    Args:
        network: the model from IMAGES to LOGITS.
        preprocessing: the model from IMAGE to IMAGES.
        temperature: number by which the logits are divided before the softmax.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    whole, front = onnx.ModelProto(), onnx.ModelProto()
    whole.CopyFrom(network)
    front.CopyFrom(preprocessing)
    _add_prefix(front.graph)
    graph, outputs = whole.graph, network.graph.output
    nodes = (*front.graph.node, *network.graph.node, *_softmax_nodes())
    num_classes = outputs[0].type.tensor_type.shape.dim[1].dim_value
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.extend(front.graph.input)
    graph.output.append(
        helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, [num_classes])
    )
    graph.value_info.extend((*front.graph.value_info, *network.graph.input, *outputs))
    own = [
        numpy_helper.from_array(np.array(temperature, np.float32), TEMPERATURE),
        numpy_helper.from_array(np.array(0, np.int64), FIRST),
    ]
    graph.initializer.extend((*front.graph.initializer, *own))
    return whole


def _add_prefix(graph: Graph) -> None:
    """Add PREFIX to all values of a graph and of the graphs inside its nodes, but IMAGE and IMAGES.

    onnx's own `add_prefix` does not rename the values that an inner graph takes from outside.
    """
    for node in graph.node:
        node.name = _prefixed(node.name)
        node.input[:] = map(_prefixed, node.input)
        node.output[:] = map(_prefixed, node.output)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _add_prefix(attribute.g)
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = _prefixed(value.name)


def _prefixed(name: str) -> str:
    return name if name in ("", IMAGE, IMAGES) else PREFIX + name


def _softmax_nodes() -> list[Any]:
    """The nodes from the logits of one image to its probabilities."""
    from onnx import helper

    return [
        helper.make_node("Div", [LOGITS, TEMPERATURE], ["divided_logits"]),
        helper.make_node("Softmax", ["divided_logits"], ["batch_probabilities"], axis=1),
        helper.make_node("Gather", ["batch_probabilities", FIRST], [PROBABILITIES], axis=0),
    ]


def is_whole(model: Model) -> bool:
    """Whether a model was made by `add_preprocessing`."""
    names = [value.name for value in (*model.graph.input, *model.graph.output)]
    values = {name for node in model.graph.node for name in node.output}
    return names == [IMAGE, PROBABILITIES] and {IMAGES, LOGITS} <= values


def cut_network(model: Model) -> Model:
    """Cut the network out of a whole model: from IMAGES to LOGITS, with the model's metadata."""
    import onnx

    network = onnx.utils.Extractor(model).extract_model([IMAGES], [LOGITS])
    onnx.helper.set_model_props(network, {one.key: one.value for one in model.metadata_props})
    return network
