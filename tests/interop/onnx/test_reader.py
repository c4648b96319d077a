"""ONNX files: Caffe's AlexNet as the onnx package ships it, and everything that is not one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from alexnet.errors import ModelFileError, UsageError
from alexnet.interop.exporter import export_model
from alexnet.interop.importer import import_model
from alexnet.interop.onnx import reader as onnx_reader
from alexnet.interop.onnx.reader import read_onnx
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Flatten
from alexnet.models.zoo import ZOO
from support.narrow_nets import narrow

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
NODES = {
    "conv": "Conv",
    "activation": "Relu",
    "response_norm": "LRN",
    "pool": "MaxPool",
    "flatten": "Reshape",
    "fc": "Gemm",
    "dropout": "Dropout",
}


def shapes(model: onnx.ModelProto) -> list[tuple[str, tuple[int, ...]]]:
    """(node, output shape without the batch) of a graph's layers, by onnx's own arithmetic."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    known = {
        v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim)[1:]
        for v in [*inferred.graph.value_info, *inferred.graph.output]
    }
    nodes = [n for n in inferred.graph.node if n.op_type not in ("ConstantOfShape", "Softmax")]
    return [(node.op_type, known[node.output[0]]) for node in nodes]


def layers(table: Architecture) -> list[tuple[str, tuple[int, ...]]]:
    return [(NODES[row.layer.kind], row.output) for row in table.rows()]


@pytest.fixture(scope="module")
def light() -> onnx.ModelProto:
    return onnx.load(LIGHT / "light_bvlc_alexnet.onnx")


def test_caffes_alexnet_has_our_shapes(light: onnx.ModelProto) -> None:
    """At 227 pixels, which its fc6 was made for, layer by layer those of the published table."""
    for size in light.graph.input[0].type.tensor_type.shape.dim[2:]:
        size.dim_value = 227
    assert shapes(light) == layers(ZOO["alexnet_caffe"])


def test_caffes_alexnet_is_read() -> None:
    """The file says 224 pixels, which leaves 12 x 12 to pool5, and its pads round that up to 6."""
    path = LIGHT / "light_bvlc_alexnet.onnx"
    fitted, graph = read_onnx(path, ZOO["alexnet_caffe"])
    assert shapes(graph.model) == layers(fitted.table)
    assert fitted.table.input == (3, 224, 224)
    changed = {
        layer.name
        for layer, published in zip(fitted.table.layers, ZOO["alexnet_caffe"].layers, strict=True)
        if layer != published
    }
    assert changed == {"pool5"}
    assert sum(t.numel() for t in fitted.weights.values()) == 60_965_224
    assert all(t.flatten()[0] == np.float32(0.02) for t in fitted.weights.values())


@pytest.mark.slow
def test_caffes_alexnet_computes_the_same() -> None:
    back = import_model(LIGHT / "light_bvlc_alexnet.onnx", "alexnet_caffe", channels="bgr")
    assert back.parity is not None
    assert back.parity.is_close


@pytest.fixture(scope="module")
def caffe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "caffe.onnx"
    assert export_model(narrow("alexnet_caffe"), path, "onnx", batch_sizes=(1,)).is_close
    return path


def changed(path: Path, target: Path, change: object) -> Path:
    """A copy of a file with its graph changed."""
    model = onnx.load(path)
    assert callable(change)
    change(model.graph)
    onnx.save(model, target)
    return target


def test_bgr_is_turned(caffe_file: Path, tmp_path: Path) -> None:
    """A file that takes blue first, imported as such, is the net that takes red first."""

    def turn(graph: onnx.GraphProto) -> None:
        conv = next(node for node in graph.node if node.op_type == "Conv")
        for tensor in graph.initializer:
            if tensor.name == conv.input[1]:
                array = numpy_helper.to_array(tensor)[:, ::-1].copy()
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    bgr = changed(caffe_file, tmp_path / "bgr.onnx", turn)
    own = narrow("alexnet_caffe").network.state_dict()
    back = import_model(bgr, "alexnet_caffe", channels="bgr")
    assert torch.equal(back.weights["conv1.weight"], own["conv1.weight"])
    assert back.parity is not None
    as_is = import_model(bgr, "alexnet_caffe").weights["conv1.weight"]
    assert torch.equal(as_is, own["conv1.weight"].flip(1))


def test_bgr_is_for_onnx_and_for_colours(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--channels bgr is for ONNX files"):
        import_model(tmp_path / "a.pth", "alexnet_owt", channels="bgr")
    export_model(narrow("lenet5"), tmp_path / "grey.onnx", "onnx", batch_sizes=(1,))
    with pytest.raises(ModelFileError, match="takes 1 colours, so it cannot take BGR"):
        import_model(tmp_path / "grey.onnx", "lenet5", channels="bgr")


@pytest.mark.parametrize(
    ("arch", "mismatch"),
    [
        ("alexnet", r"norm1 has alpha 0\.0001, and LRN .* has 2e-05"),
        ("caffenet", r"where pool1 should be \(pool\) the file has LRN"),
        ("alexnet_2012", "conv1 has extra_padding 3, and Conv .* has 0"),
        ("alexnet_table", r"where pool1 should be \(pool\) the file has LRN"),
        ("alexnet_owt", "conv1 has padding 2, and Conv .* has 0"),
        ("alexnet_bn", r"where pool1 should be \(pool\) the file has LRN"),
        ("lenet5", "conv1 has kernel 5, and Conv .* has 11"),
    ],
)
def test_another_net_of_the_zoo_is_refused(caffe_file: Path, arch: str, mismatch: str) -> None:
    with pytest.raises(ModelFileError, match=rf"^caffe\.onnx is not {arch}: {mismatch}"):
        import_model(caffe_file, arch)


@pytest.mark.parametrize(
    ("name", "mismatch"),
    [
        ("zfnet512", r"light_zfnet512.onnx is not alexnet: conv1 has kernel 11, and Conv .* has 7"),
        ("squeezenet", "not one chain"),
        ("resnet50", r"MaxPool 'n3' has the padding \[1, 1, 1, 1\]"),
    ],
)
def test_onnx_of_something_else_is_refused(name: str, mismatch: str) -> None:
    with pytest.raises(ModelFileError, match=mismatch) as caught:
        read_onnx(LIGHT / f"light_{name}.onnx", ZOO["alexnet"])
    assert "\n" not in str(caught.value)


def test_a_net_that_ends_early_or_late(caffe_file: Path, tmp_path: Path) -> None:
    def without_end(graph: onnx.GraphProto) -> None:
        graph.node.pop()
        graph.output[0].name = graph.node[-1].output[0]

    short = changed(caffe_file, tmp_path / "short.onnx", without_end)
    with pytest.raises(ModelFileError, match="the file ends where fc8 should be"):
        read_onnx(short, ZOO["alexnet_caffe"])

    def with_more(graph: onnx.GraphProto) -> None:
        graph.node.append(helper.make_node("Relu", [graph.output[0].name], ["more"], "last"))
        graph.output[0].name = "more"

    long = changed(caffe_file, tmp_path / "long.onnx", with_more)
    with pytest.raises(ModelFileError, match="after fc8 the file goes on with Relu 'last'"):
        read_onnx(long, ZOO["alexnet_caffe"])


def test_a_softmax_at_the_end_is_left_out(caffe_file: Path, tmp_path: Path) -> None:
    def with_softmax(graph: onnx.GraphProto) -> None:
        graph.node.append(helper.make_node("Softmax", [graph.output[0].name], ["prob"]))
        graph.output[0].name = "prob"

    path = changed(caffe_file, tmp_path / "prob.onnx", with_softmax)
    plain, back = (import_model(p, "alexnet_caffe") for p in (caffe_file, path))
    assert back.parity == plain.parity


def test_a_matrix_product_and_a_sum_are_a_layer(caffe_file: Path, tmp_path: Path) -> None:
    """Other exporters write Gemm so, and keep its weights the other way round."""

    def split(graph: onnx.GraphProto) -> None:
        gemm = graph.node[-1]
        arrays = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        turned = numpy_helper.from_array(arrays[gemm.input[1]].T.copy(), "turned")
        graph.initializer.append(turned)
        product = helper.make_node("MatMul", [gemm.input[0], "turned"], ["product"])
        total = helper.make_node("Add", ["product", gemm.input[2]], [gemm.output[0]])
        graph.node.pop()
        graph.node.extend([product, total])

    path = changed(caffe_file, tmp_path / "matmul.onnx", split)
    own = narrow("alexnet_caffe").network.state_dict()
    back = import_model(path, "alexnet_caffe")
    assert all(torch.equal(own[name], back.weights[name]) for name in ("fc8.weight", "fc8.bias"))


def test_a_net_that_computes_something_else_is_refused(
    caffe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fitting layer by layer is not enough."""
    real = onnx_reader.onnx_runner

    def wrong(model: bytes) -> object:
        run, runtime = real(model)
        return lambda images: run(images) * np.float32(1.001), runtime

    monkeypatch.setattr(onnx_reader, "onnx_runner", wrong)
    with pytest.raises(ModelFileError, match="fits alexnet_caffe layer by layer but computes"):
        import_model(caffe_file, "alexnet_caffe")


def test_preprocessing_inside_is_named(tmp_path: Path) -> None:
    path = tmp_path / "grey.onnx"
    export_model(narrow("lenet5"), path, "onnx", with_preprocessing=True, batch_sizes=(1,))
    with pytest.raises(ModelFileError, match=r"(Sub|Div) .* --with-preprocessing"):
        read_onnx(path, ZOO["lenet5"])


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_named(caffe_file: Path, tmp_path: Path, share: float) -> None:
    path = tmp_path / "cut.onnx"
    whole = caffe_file.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelFileError, match=r"cut\.onnx") as caught:
        read_onnx(path, ZOO["alexnet_caffe"])
    assert "\n" not in str(caught.value)


def test_not_onnx_at_all_and_missing(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("some text that is no protobuf")
    with pytest.raises(ModelFileError, match=r"text\.onnx cannot be read as an ONNX file"):
        read_onnx(tmp_path / "text.onnx", ZOO["alexnet"])
    with pytest.raises(ModelFileError, match="there is no file"):
        read_onnx(tmp_path / "none.onnx", ZOO["alexnet"])


def test_a_small_file_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [1 << 30, 1 << 30])
    graph = helper.make_graph(
        [
            helper.make_node("ConstantOfShape", ["shape"], ["w"]),
            helper.make_node("MatMul", ["x", "w"], ["y"]),
        ],
        "bomb",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "m"])],
        [shape],
    )
    onnx.save(helper.make_model(graph), tmp_path / "bomb.onnx")
    with pytest.raises(ModelFileError, match="that is too much"):
        read_onnx(tmp_path / "bomb.onnx", ZOO["alexnet"])


def test_the_flatten_order_matters(tmp_path: Path) -> None:
    """The notebook's net stores maps row by row with the channels last."""
    path = tmp_path / "notebook.onnx"
    export_model(narrow("alexnet_notebook"), path, "onnx", batch_sizes=(1,))
    table = ZOO["alexnet_notebook"]
    turned = tuple(
        Flatten("flatten", "chw") if layer.kind == "flatten" else layer for layer in table.layers
    )
    other = Architecture("turned", "", table.input, turned)
    with pytest.raises(ModelFileError, match=r"flatten has order chw, and Reshape .* has hwc"):
        read_onnx(path, other)
