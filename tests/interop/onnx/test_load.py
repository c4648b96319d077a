"""ONNX files of any opset, number type and exporter, files beside them, and damaged files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from alexnet.errors import ModelFileError
from alexnet.interop.onnx.chain import NAME
from alexnet.interop.onnx.graph import logits_model, read_graph
from alexnet.interop.onnx.load import load_onnx, opset_of
from alexnet.interop.onnx.runtime import onnx_runner
from alexnet.models.layers import Activation, BatchNorm, Conv, Dropout, Flatten, FullyConnected
from support.onnx_files import OnnxExports, write_onnx

CONV = helper.make_node("Conv", ["x", "w"], ["y"])
WEIGHT = np.arange(2 * 3 * 3 * 3, dtype=np.float32).reshape(2, 3, 3, 3)


def with_external_data(folder: Path, location: str) -> Path:
    """A file whose only constant is at a place beside it."""
    tensor = numpy_helper.from_array(WEIGHT, "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    model = onnx.load(write_onnx(folder / "a.onnx", [CONV], {"w": WEIGHT}))
    model.graph.initializer[0].CopyFrom(tensor)
    (folder / "a.onnx").write_bytes(model.SerializeToString())
    return folder / "a.onnx"


def test_constants_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHT.tobytes())
    graph = read_graph(with_external_data(tmp_path, "w.bin"))
    np.testing.assert_array_equal(graph.layers[0].weights["weight"], WEIGHT)


@pytest.mark.parametrize("location", ["../w.bin", "/etc/hostname", "link.bin", ".."])
def test_constants_elsewhere_are_not_read(tmp_path: Path, location: str) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHT.tobytes())
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")
    with pytest.raises(ModelFileError, match=r"its constants are in .*, not in the same folder"):
        read_graph(with_external_data(folder, location))


def test_a_missing_file_of_constants(tmp_path: Path) -> None:
    message = r"a\.onnx keeps its constants in 'a\.onnx\.data', which is missing; put both"
    with pytest.raises(ModelFileError, match=message):
        load_onnx(with_external_data(tmp_path, "a.onnx.data"))


def test_a_constant_node_cannot_read_elsewhere_either(tmp_path: Path) -> None:
    model = onnx.load(with_external_data(tmp_path, "../w.bin"), load_external_data=False)
    node = helper.make_node("Constant", [], ["w"], value=model.graph.initializer[0])
    del model.graph.initializer[:]
    model.graph.node.insert(0, node)
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(
        ModelFileError, match=r"its constants are in '\.\./w\.bin', not in the same"
    ):
        load_onnx(tmp_path / "a.onnx")


def typed_onnx(path: Path, elem_type: int) -> Path:
    """Conv, Cast (to itself), Flatten, with the number type everywhere."""
    dtype = helper.tensor_dtype_to_np_dtype(elem_type)
    weight = numpy_helper.from_array((WEIGHT / 8).astype(dtype), "w")
    bias = helper.make_node(
        "Constant", [], ["b"], value=numpy_helper.from_array(np.ones(2, dtype), "")
    )
    nodes = [
        bias,
        helper.make_node("Conv", ["x", "w", "b"], ["y"]),
        helper.make_node("Cast", ["y"], ["c"], to=elem_type),
        helper.make_node("Flatten", ["c"], ["z"]),
    ]
    values = (
        helper.make_tensor_value_info(name, elem_type, shape)
        for name, shape in (("x", [1, 3, 8, 8]), ("z", [1, 72]))
    )
    graph = helper.make_graph(nodes, "test", [next(values)], [next(values)], [weight])
    onnx.save(helper.make_model(graph), path)
    return path


@pytest.mark.parametrize("name", ["FLOAT16", "BFLOAT16", "DOUBLE"])
def test_other_number_types_are_read_as_float32(tmp_path: Path, name: str) -> None:
    """Also where the graph is run: what it computes in float16 would differ by more than 1e-4."""
    path = typed_onnx(tmp_path / "a.onnx", TensorProto.DataType.Value(name))
    graph = read_graph(path)
    conv, flatten = graph.layers
    assert (conv.layer, flatten.layer) == (Conv(NAME, 2, 3), Flatten(NAME))
    np.testing.assert_array_equal(conv.weights["weight"], WEIGHT / 8)
    assert {array.dtype for array in conv.weights.values()} == {np.dtype("float32")}
    assert graph.notes == (f"the file's {name.lower()} numbers are read as float32",)
    run, _ = onnx_runner(logits_model(graph))
    images = np.float32(np.random.default_rng(0).random((1, 3, 8, 8)))
    windows = np.lib.stride_tricks.sliding_window_view(images[0], (3, 3), (1, 2))
    expected = 1 + np.einsum("chwij,ocij->ohw", windows, WEIGHT / 8)
    np.testing.assert_allclose(run(images)[0], expected.ravel(), rtol=1e-5)


def test_a_float32_file_has_no_notes(tmp_path: Path) -> None:
    assert read_graph(write_onnx(tmp_path / "a.onnx", [CONV], {"w": WEIGHT})).notes == ()


def old_onnx(path: Path, opset: int) -> Path:
    """A net as Caffe2 wrote them: initializers are inputs, broadcasting is an attribute."""
    constants = {
        "w": WEIGHT,
        "m": np.ones((5, 18), np.float32),
        "b": np.float32([1, 2, 3, 4, 5]),
        "v": np.float32([1, 2]),
    }
    nodes = [
        CONV,
        helper.make_node("BatchNormalization", ["y", *"vvvv"], ["n"], is_test=1),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Dropout", ["f"], ["d"], is_test=1),
        helper.make_node("Gemm", ["d", "m", "b"], ["z"], transB=1, broadcast=1),
    ]
    info = helper.make_tensor_value_info
    inputs = [info("x", TensorProto.FLOAT, [1, 3, 8, 8])]
    inputs += [info(name, TensorProto.FLOAT, array.shape) for name, array in constants.items()]
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    outputs = [info("z", TensorProto.FLOAT, [1, 5])]
    graph = helper.make_graph(nodes, "old", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3)
    path.write_bytes(model.SerializeToString())
    return path


def test_an_opset_before_7_is_converted(tmp_path: Path) -> None:
    graph = read_graph(old_onnx(tmp_path / "a.onnx", 6))
    kinds = [type(one.layer) for one in graph.layers]
    assert (kinds[0], kinds[1:3]) == (Conv, [BatchNorm, Activation])
    assert (kinds[5], kinds[6]) == (Dropout, FullyConnected)
    np.testing.assert_array_equal(graph.layers[-1].weights["bias"], [1, 2, 3, 4, 5])
    assert graph.notes == ("the file has opset 6 and was converted to 7",)
    assert opset_of(graph.model) == 7


def test_an_opset_that_cannot_be_converted(tmp_path: Path) -> None:
    lstm = helper.make_node("LSTM", ["x", "w", "w"], ["y"], hidden_size=3)
    model = onnx.load(write_onnx(tmp_path / "a.onnx", [lstm], {"w": WEIGHT}))
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, WEIGHT.shape))
    model.opset_import[0].version, model.ir_version = 1, 3
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    message = "has opset 1, and onnx cannot convert its nodes to a newer one; export it again with"
    with pytest.raises(ModelFileError, match=message):
        load_onnx(tmp_path / "a.onnx")


@pytest.mark.parametrize("change", ["opset", "ir"])
def test_a_file_from_the_future(tmp_path: Path, change: str) -> None:
    path = write_onnx(tmp_path / "a.onnx", [CONV], {"w": WEIGHT})
    model = onnx.load(path)
    if change == "opset":
        model.opset_import[0].version = 99
    else:
        model.ir_version = 99
    path.write_bytes(model.SerializeToString())
    message = r"has opset \d+ and IR version \d+; the installed onnx .* update it \(pip install"
    with pytest.raises(ModelFileError, match=message):
        load_onnx(path)


def with_functions(path: Path, depth: int, calls: int) -> Path:
    """A ReLU inside functions, each of which calls the next one several times."""
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    functions = []
    for level in range(depth):
        is_last = level == depth - 1
        names = ["in", *[f"v{i}" for i in range(calls - 1)], "out"]
        operation, domain = ("Relu", "") if is_last else (f"f{level + 1}", "own")
        nodes = [helper.make_node(operation, [a], [b], domain=domain) for a, b in pairwise(names)]
        functions.append(helper.make_function("own", f"f{level}", ["in"], ["out"], nodes, imports))
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("f0", ["x"], ["y"], domain="own")],
        "test",
        [info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [info("y", TensorProto.FLOAT, [1, 3, 8, 8])],
    )
    onnx.save(helper.make_model(graph, functions=functions, opset_imports=imports), path)
    return path


def test_functions_are_inlined(tmp_path: Path) -> None:
    graph = read_graph(with_functions(tmp_path / "a.onnx", depth=2, calls=2))
    assert [one.layer for one in graph.layers] == [Activation(NAME)] * 4


def test_functions_cannot_grow_without_end(tmp_path: Path) -> None:
    path = with_functions(tmp_path / "bomb.onnx", depth=40, calls=2)
    with pytest.raises(ModelFileError, match=r"bomb\.onnx has functions of more than 16,384 nodes"):
        load_onnx(path)


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_named(
    onnx_exports: OnnxExports, tmp_path: Path, fraction: float
) -> None:
    path = tmp_path / "cut.onnx"
    whole = onnx_exports("lenet5").path.read_bytes()
    path.write_bytes(whole[: int(fraction * len(whole))])
    with pytest.raises(ModelFileError, match=r"cut\.onnx") as caught:
        read_graph(path)
    assert "\n" not in str(caught.value)


def test_not_onnx_at_all_and_missing(tmp_path: Path) -> None:
    for content, problem in (
        ("some text that is no protobuf", "damaged .* or no ONNX file"),
        ("", "empty"),
    ):
        (tmp_path / "text.onnx").write_text(content)
        with pytest.raises(
            ModelFileError, match=rf"text\.onnx .* as an ONNX file: it is {problem}$"
        ):
            read_graph(tmp_path / "text.onnx")
    with pytest.raises(ModelFileError, match="there is no file"):
        read_graph(tmp_path / "none.onnx")
