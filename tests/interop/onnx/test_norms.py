"""Response norms that are written as their parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, helper

from alexnet.errors import ModelFileError
from alexnet.interop.onnx.chain import NAME
from alexnet.models.layers import ResponseNorm, WithinChannelLRN
from support.onnx_files import parse_chain

CONSTANTS = {
    "two": np.float32(2),
    "deep": np.int64([1, 1, 6, 9, -1]),
    "flat": np.int64([1, 6, 9, 9]),
    "other": np.int64([1, 9, 9, 6]),
    "pads": np.int64([0, 0, 2, 0, 0, 0, 0, 2, 0, 0]),
    "one": np.int64([1]),
    "alpha": np.float32(0.5),
    "k": np.float32(3),
    "beta": np.float32(0.75),
    "minus": np.float32(-0.75),
    "zero": np.float32(0),
    "vector": np.ones(9, np.float32),
}


def chain_of(*steps: tuple[Any, ...]) -> list[NodeProto]:
    """x * x, then steps (type, other inputs, attributes) one after another; the last also takes
    x."""
    nodes = [helper.make_node("Mul", ["x", "x"], ["square"])]
    for i, (op_type, *inputs) in enumerate(steps):
        attributes = inputs.pop() if inputs and isinstance(inputs[-1], dict) else {}
        before = ["x"] if i == len(steps) - 1 else []
        nodes.append(
            helper.make_node(
                op_type, [*before, nodes[-1].output[0], *inputs], [f"v{i}"], **attributes
            )
        )
    return nodes


POOL = ("AveragePool", {"kernel_shape": [5, 1, 1], "strides": [1, 1, 1]})
PADDED_POOL = (
    "AveragePool",
    {"kernel_shape": [5, 1, 1], "pads": [2, 0, 0, 2, 0, 0], "count_include_pad": 1},
)
TAIL = (("Mul", "alpha"), ("Add", "k"), ("Pow", "beta"), ("Div",))
WITHIN = ("AveragePool", {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1})
FORMS = {
    "torch": (("Reshape", "deep"), ("Pad", "pads"), POOL, ("Squeeze", "one"), ("Reshape", "flat"),
              *TAIL),
    "older opset": (("Unsqueeze", {"axes": [1]}),
                    ("Pad", {"pads": [0, 0, 2, 0, 0, 0, 0, 2, 0, 0]}), POOL,
                    ("Squeeze", {"axes": [1]}), *TAIL),
    "padded pool": (("Unsqueeze", "one"), PADDED_POOL, ("Squeeze", "one"), *TAIL),
    "product": (("Unsqueeze", "one"), PADDED_POOL, ("Squeeze", "one"), ("Mul", "alpha"),
                ("Add", "k"), ("Pow", "minus"), ("Mul",)),
    "scale first": (("Mul", "alpha"), ("Unsqueeze", "one"), PADDED_POOL, ("Cast", {"to": 1}),
                    ("Squeeze", "one"), ("Add", "k"), ("Pow", "beta"), ("Div",)),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_norm_across_channels(form: str) -> None:
    chain = parse_chain(*chain_of(*FORMS[form]), shape=(6, 9, 9), constants=CONSTANTS)
    assert [one.layer for one in chain.layers] == [
        ResponseNorm(NAME, size=5, alpha=0.1, beta=0.75, k=3.0)
    ]
    assert chain.layers[0].description == "Mul 'square'"


def test_an_even_size_has_one_channel_more_before() -> None:
    pads = np.int64([0, 0, 2, 0, 0, 0, 0, 1, 0, 0])
    pool = ("AveragePool", {"kernel_shape": [4, 1, 1]})
    nodes = chain_of(("Unsqueeze", "one"), ("Pad", "pads"), pool, ("Squeeze", "one"), *TAIL)
    chain = parse_chain(*nodes, shape=(6, 9, 9), constants={**CONSTANTS, "pads": pads})
    assert chain.layers[0].layer == ResponseNorm(NAME, size=4, alpha=0.125, beta=0.75, k=3.0)


@pytest.mark.parametrize("last", [(("Pow", "minus"), ("Mul",)), (("Pow", "beta"), ("Div",))])
def test_a_norm_within_each_channel(last: tuple[Any, ...]) -> None:
    nodes = chain_of(WITHIN, ("Mul", "alpha"), ("Add", "k"), *last)
    nodes[0] = helper.make_node("Pow", ["x", "two"], ["square"])
    chain = parse_chain(*nodes, shape=(6, 9, 9), constants=CONSTANTS)
    (norm,) = (one.layer for one in chain.layers)
    assert norm == WithinChannelLRN(NAME, size=3, alpha=0.5 / 9, beta=0.75, k=3.0)


def test_a_scale_after_the_sum_scales_both() -> None:
    nodes = chain_of(WITHIN, ("Add", "k"), ("Mul", "alpha"), ("Div", "two"), ("Sqrt",), ("Div",))
    chain = parse_chain(*nodes, shape=(6, 9, 9), constants=CONSTANTS)
    (norm,) = (one.layer for one in chain.layers)
    assert norm == WithinChannelLRN(NAME, size=3, alpha=0.25 / 9, beta=0.5, k=0.75)


NOT_READ = "squares its input, but is not part of a local response norm that can be read"
STRANGE = "squares its input, as a local response norm does, but {} 'v{}' belongs to no such norm"


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((WITHIN, ("Mul", "alpha"), ("Add", "k"), ("Pow", "minus"), ("Add",)), NOT_READ),
        ((WITHIN, ("Mul", "alpha"), ("Add", "k"), ("Pow", "beta"), ("Mul",)), NOT_READ),
        ((("AveragePool", {"kernel_shape": [3, 3]}), *TAIL), NOT_READ),
        ((("Unsqueeze", "one"), POOL, ("Squeeze", "one"), *TAIL), NOT_READ),
        ((("Relu",), *TAIL), STRANGE.format("Relu", 0)),
        ((("Reshape", "other"), *TAIL), STRANGE.format("Reshape", 0)),
        ((("Unsqueeze", {"axes": [2]}), *TAIL), STRANGE.format("Unsqueeze", 0)),
        ((WITHIN, WITHIN, *TAIL), STRANGE.format("AveragePool", 1)),
        ((("AveragePool", {"kernel_shape": [3, 3], "pads": [1] * 4}), *TAIL),
         STRANGE.format("AveragePool", 0)),
        ((WITHIN, ("Add", "vector"), *TAIL), STRANGE.format("Add", 1)),
        ((WITHIN, ("Pow", "beta"), ("Add", "k"), ("Div",)), STRANGE.format("Add", 2)),
        ((WITHIN, ("Div", "zero"), *TAIL), STRANGE.format("Div", 1)),
    ],
)  # fmt: skip
def test_other_squares_are_rejected(steps: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ModelFileError, match=rf"^a\.onnx: Mul 'square' {message}"):
        parse_chain(*chain_of(*steps), shape=(6, 9, 9), constants=CONSTANTS)


def test_a_square_at_the_end() -> None:
    with pytest.raises(ModelFileError, match="Mul 'square' begins a layer that the file does not"):
        parse_chain(*chain_of())
