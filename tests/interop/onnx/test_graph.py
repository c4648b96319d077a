"""ONNX files as graphs: constants, inputs, external data, and damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from alexnet.errors import ModelFileError
from alexnet.interop.onnx.chain import NAME
from alexnet.interop.onnx.graph import logits_model, read_graph
from alexnet.interop.onnx.runtime import onnx_runner
from alexnet.models.layers import Activation, Conv, Flatten
from support.onnx_files import write_onnx

CONV = helper.make_node("Conv", ["x", "w"], ["y"])
WEIGHT = np.arange(2 * 3 * 3 * 3, dtype=np.float32).reshape(2, 3, 3, 3)


def test_a_graph(tmp_path: Path) -> None:
    path = write_onnx(
        tmp_path / "a.onnx", [CONV, helper.make_node("Relu", ["y"], ["z"], "n2")], {"w": WEIGHT}
    )
    graph = read_graph(path)
    assert [one.layer for one in graph.layers] == [
        Conv(NAME, channels=2, kernel=3),
        Activation(NAME),
    ]
    assert [one.description for one in graph.layers] == ["Conv 'y'", "Relu 'n2'"]
    np.testing.assert_array_equal(graph.layers[0].weights["weight"], WEIGHT)
    assert (graph.input_name, graph.input_shape, graph.batch_size) == ("x", (3, 8, 8), 1)
    assert graph.logits_name == "z"


def test_any_batch_size_is_0(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "a.onnx", [CONV], {"w": WEIGHT}, ("batch", 3, 8, 8))
    assert read_graph(path).batch_size == 0


def test_constant_nodes_are_computed(tmp_path: Path) -> None:
    """Constant, Identity, Transpose and ConstantOfShape, as exporters write weights."""
    transposed = numpy_helper.from_array(WEIGHT.transpose(3, 2, 1, 0).copy(), "")
    one = numpy_helper.from_array(np.float32([0.5]), "")
    nodes = [
        helper.make_node("Constant", [], ["t"], value=transposed),
        helper.make_node("Identity", ["t"], ["i"]),
        helper.make_node("Transpose", ["i"], ["w"], perm=[3, 2, 1, 0]),
        helper.make_node("ConstantOfShape", ["shape"], ["b"], value=one),
        helper.make_node("Conv", ["x", "w", "b"], ["y"]),
    ]
    (layer,) = read_graph(write_onnx(tmp_path / "a.onnx", nodes, {"shape": np.int64([2])})).layers
    np.testing.assert_array_equal(layer.weights["weight"], WEIGHT)
    assert layer.weights["bias"].tolist() == [0.5, 0.5]


def test_a_computed_target_of_a_reshape(tmp_path: Path) -> None:
    """Older exporters write flatten as Shape, Gather, Unsqueeze, Concat and Reshape."""
    nodes = [
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("Shape", ["y"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["batch"], axis=0),
        helper.make_node("Unsqueeze", ["batch", "axes"], ["first"]),
        helper.make_node("Concat", ["first", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["y", "target"], ["z"]),
    ]
    constants = {"zero": np.int64(0), "axes": np.int64([0]), "rest": np.int64([-1])}
    graph = read_graph(write_onnx(tmp_path / "a.onnx", nodes, constants))
    assert [one.layer for one in graph.layers] == [Activation(NAME), Flatten(NAME)]


def test_logits_model(tmp_path: Path) -> None:
    nodes = [helper.make_node("Flatten", ["x"], ["y"]), helper.make_node("Softmax", ["y"], ["z"])]
    graph = read_graph(write_onnx(tmp_path / "a.onnx", nodes))
    assert graph.logits_name == "y"
    run, _ = onnx_runner(logits_model(graph))
    images = np.float32(np.random.default_rng(0).random((1, 3, 8, 8)))
    np.testing.assert_array_equal(run(images), images.reshape(1, -1))


RELU = helper.make_node("Relu", ["x"], ["y"])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 8), r"takes 'x' of shape \[1, 3, 8\]; expected images"),
        ((1, 3, "h", "w"), r"takes 'x' of shape \[1, 3, 0, 0\]; expected images"),
        ((257, 3, 8, 8), "has batch size 257, not 0 to 256"),
    ],
)
def test_inputs_that_are_not_images(
    tmp_path: Path, shape: tuple[int | str, ...], message: str
) -> None:
    path = write_onnx(tmp_path / "a.onnx", [RELU], input_shape=shape)
    with pytest.raises(ModelFileError, match=message):
        read_graph(path)


def two_values(*names: str) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, 8, 8]) for n in names]


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (("x", "other"), ("y",), "has 2 inputs and 1 nodes"),
        (("x",), ("y", "x"), "has other outputs than that of its last node, 'y'"),
    ],
)
def test_more_than_one_input_or_output(
    tmp_path: Path, inputs: tuple[str, ...], outputs: tuple[str, ...], message: str
) -> None:
    graph = helper.make_graph([RELU], "test", two_values(*inputs), two_values(*outputs))
    onnx.save(helper.make_model(graph), tmp_path / "a.onnx")
    with pytest.raises(ModelFileError, match=message):
        read_graph(tmp_path / "a.onnx")


def test_a_small_file_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    path = write_onnx(tmp_path / "bomb.onnx", nodes, {"shape": np.int64([1 << 30, 1 << 30])})
    message = r"makes an array of shape .*; at most 268,435,456 values are allowed"
    with pytest.raises(ModelFileError, match=message):
        read_graph(path)


def test_many_constant_nodes_cannot_either(tmp_path: Path) -> None:
    made = [f"w{i}" for i in range(3)]
    nodes = [helper.make_node("ConstantOfShape", ["shape"], [name]) for name in made]
    path = write_onnx(tmp_path / "bomb.onnx", [*nodes, RELU], {"shape": np.int64([1 << 27])})
    with pytest.raises(ModelFileError, match="its constant nodes compute 402,653,184 values"):
        read_graph(path)


def test_images_with_the_channels_last(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["t", "w"], ["y"]),
    ]
    path = write_onnx(tmp_path / "a.onnx", nodes, {"w": WEIGHT}, ("unk__6", 8, 9, 3))
    graph = read_graph(path)
    assert (graph.input_shape, graph.batch_size, graph.is_channels_last) == ((3, 8, 9), 0, True)
    assert [one.layer for one in graph.layers] == [Conv(NAME, channels=2, kernel=3)]


def test_sizes_that_the_file_leaves_open(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "a.onnx", [CONV], {"w": WEIGHT}, ("n", 3, "h", "w"))
    assert read_graph(path, (3, 20, 20)).input_shape == (3, 20, 20)


def test_images_must_be_floats(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "a.onnx", [helper.make_node("Cast", ["x"], ["y"], to=1)])
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    onnx.save(model, path)
    with pytest.raises(ModelFileError, match="takes 'x' of type UINT8; expected float images"):
        read_graph(path)


def test_the_logits_of_a_file_in_training_mode(tmp_path: Path) -> None:
    """Dropout does nothing and batch norm uses its running statistics."""
    constants = {"rate": np.float32(0.9), "yes": np.bool_(True)}
    constants |= {name: np.float32([1, 2, 3]) for name in ("scale", "b", "mean", "var")}
    nodes = [
        helper.make_node("Dropout", ["x", "rate", "yes"], ["d", "mask"]),
        helper.make_node(
            "BatchNormalization",
            ["d", "scale", "b", "mean", "var"],
            ["n", "new_mean", "new_var"],
            training_mode=1,
        ),
        helper.make_node("Flatten", ["n"], ["y"]),
    ]
    path = write_onnx(tmp_path / "a.onnx", nodes, constants)
    run, _ = onnx_runner(logits_model(read_graph(path)))
    images = np.float32(np.random.default_rng(0).random((1, 3, 8, 8)))
    v = np.float32([1, 2, 3]).reshape(3, 1, 1)
    expected = (v * (images - v) / np.sqrt(v + 1e-5) + v).reshape(1, -1)
    np.testing.assert_allclose(run(images), expected, rtol=1e-5)
