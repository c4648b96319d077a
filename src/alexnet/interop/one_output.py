"""Networks of one output, which other programs train with the binary cross-entropy."""

from __future__ import annotations

from dataclasses import replace

import torch

from alexnet.errors import ModelFileError
from alexnet.interop.match import MatchedModel
from alexnet.models.layers import FullyConnected

NOTE = (
    "the file has one output, which is imported as the second of two classes: its sigmoid is the "
    "probability of class 1"
)


def as_two_classes(file: str, model: MatchedModel) -> MatchedModel:
    """Turn a network of one output z, a sigmoid's argument, into one with two logits, 0 and z.

    The softmax of (0, z) is (1 - sigmoid(z), sigmoid(z)). Other networks are returned unchanged.

    Raises:
        ModelFileError: the one output is not that of a fully connected layer.
    """
    if model.architecture.num_classes != 1:
        return model
    *layers, last = model.architecture.layers
    if not isinstance(last, FullyConnected):
        raise ModelFileError(
            f"{file} has one output, which becomes two classes only where a fully connected layer "
            f"is the last; here it is {last.name} ({last.kind})"
        )
    names = [name for name in model.weights if name.startswith(f"{last.name}.")]
    outputs = {name: model.weights[name] for name in names}
    outputs = {name: torch.cat([0 * output, output]) for name, output in outputs.items()}
    two = replace(last, features=2)
    return replace(
        model,
        architecture=replace(model.architecture, layers=(*layers, two)),
        weights={**model.weights, **outputs},
        notes=(*model.notes, NOTE),
    )
