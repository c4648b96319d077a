"""ONNX files as networks: Caffe's AlexNet as the onnx package ships it, and other networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from alexnet.errors import ModelFileError
from alexnet.interop.importer import build_network, import_model
from alexnet.interop.onnx.reader import check_parity, read_onnx
from alexnet.interop.onnx.runtime import onnx_runner
from alexnet.interop.parity import Runner, random_images, torch_runner
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Flatten
from alexnet.models.zoo import ZOO
from support.narrow_nets import narrow_classifier
from support.onnx_files import OnnxExports, edited_onnx

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
OP_TYPES = {
    "conv": "Conv",
    "activation": "Relu",
    "response_norm": "LRN",
    "pool": "MaxPool",
    "flatten": "Reshape",
    "fc": "Gemm",
    "dropout": "Dropout",
}


def onnx_shapes(model: onnx.ModelProto) -> list[tuple[str, tuple[int, ...]]]:
    """(node, output shape without the batch) of a graph's layers, by onnx's own arithmetic."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    known = {
        v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim)[1:]
        for v in [*inferred.graph.value_info, *inferred.graph.output]
    }
    nodes = [n for n in inferred.graph.node if n.op_type not in ("ConstantOfShape", "Softmax")]
    return [(node.op_type, known[node.output[0]]) for node in nodes]


def our_shapes(arch: Architecture) -> list[tuple[str, tuple[int, ...]]]:
    return [(OP_TYPES[info.layer.kind], info.output) for info in arch.layer_infos()]


def test_caffes_alexnet_has_our_shapes() -> None:
    """At 227 pixels, which its fc6 was made for, layer by layer those of the zoo."""
    model = onnx.load(LIGHT / "light_bvlc_alexnet.onnx")
    for size in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        size.dim_value = 227
    assert onnx_shapes(model) == our_shapes(ZOO["alexnet_caffe"])


@pytest.mark.slow
def test_caffes_alexnet_is_read() -> None:
    """The file says 224 pixels, which leaves 12 x 12 to pool5, and its pads round that up to 6."""
    path = LIGHT / "light_bvlc_alexnet.onnx"
    matched, graph = read_onnx(path, ZOO["alexnet_caffe"])
    assert onnx_shapes(graph.model) == our_shapes(matched.architecture)
    assert matched.architecture.input == (3, 224, 224)
    pairs = zip(matched.architecture.layers, ZOO["alexnet_caffe"].layers, strict=True)
    assert {layer.name for layer, published in pairs if layer != published} == {"pool5"}
    assert sum(t.numel() for t in matched.weights.values()) == 60_965_224
    assert all(t.flatten()[0] == np.float32(0.02) for t in matched.weights.values())


@pytest.mark.slow
def test_caffes_alexnet_computes_the_same() -> None:
    path = LIGHT / "light_bvlc_alexnet.onnx"
    imported = import_model(path, "alexnet_caffe", channel_order="bgr")
    assert imported.parity is not None
    assert imported.parity.is_close


@pytest.fixture
def caffe_file(onnx_exports: OnnxExports) -> Path:
    return onnx_exports("alexnet_caffe").path


def test_bgr_weights_are_flipped(caffe_file: Path, tmp_path: Path) -> None:
    """A file that takes blue first, imported as such, becomes the net that takes red first."""

    def flip(graph: onnx.GraphProto) -> None:
        conv = next(node for node in graph.node if node.op_type == "Conv")
        for tensor in graph.initializer:
            if tensor.name == conv.input[1]:
                array = numpy_helper.to_array(tensor)[:, ::-1].copy()
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    bgr = edited_onnx(caffe_file, tmp_path / "bgr.onnx", flip)
    own = narrow_classifier("alexnet_caffe").network.state_dict()
    imported = import_model(bgr, "alexnet_caffe", channel_order="bgr")
    assert torch.equal(imported.weights["conv1.weight"], own["conv1.weight"])
    assert imported.parity is not None
    as_rgb, _ = read_onnx(bgr, ZOO["alexnet_caffe"])
    assert torch.equal(as_rgb.weights["conv1.weight"], own["conv1.weight"].flip(1))


def test_bgr_needs_three_channels(onnx_exports: OnnxExports) -> None:
    with pytest.raises(ModelFileError, match="takes 1 channels, so it cannot take BGR"):
        read_onnx(onnx_exports("lenet5").path, ZOO["lenet5"], "bgr")


@pytest.mark.parametrize(
    ("arch", "mismatch"),
    [
        ("alexnet", r"norm1 should have alpha 0\.0001, but LRN .* has 2e-05"),
        ("caffenet", r"expected pool1 \(pool\), but found LRN"),
        ("alexnet_2012", r"expected norm1 \(response_norm\), but found Relu"),
        ("alexnet_table", r"expected pool1 \(pool\), but found LRN"),
        ("alexnet_owt", "conv1 should have padding 2, but Conv .* has 0"),
        ("alexnet_bn", r"expected pool1 \(pool\), but found LRN"),
        ("lenet5", "conv1 should have kernel 5, but Conv .* has 11"),
    ],
)
def test_another_net_of_the_zoo_is_rejected(caffe_file: Path, arch: str, mismatch: str) -> None:
    with pytest.raises(ModelFileError, match=rf"^alexnet_caffe\.onnx is not {arch}: {mismatch}"):
        read_onnx(caffe_file, ZOO[arch])


@pytest.mark.parametrize(
    ("name", "mismatch"),
    [
        ("zfnet512", r"light_zfnet512.onnx is not alexnet: conv1 should have kernel 11, .* has 7"),
        ("squeezenet", "not one chain"),
        ("resnet50", r"MaxPool 'n3' has padding \[1, 1, 1, 1\]"),
    ],
)
def test_another_net_is_rejected(name: str, mismatch: str) -> None:
    with pytest.raises(ModelFileError, match=mismatch) as caught:
        read_onnx(LIGHT / f"light_{name}.onnx", ZOO["alexnet"])
    assert "\n" not in str(caught.value)


def test_a_net_that_ends_early_or_late(caffe_file: Path, tmp_path: Path) -> None:
    def without_end(graph: onnx.GraphProto) -> None:
        graph.node.pop()
        graph.output[0].name = graph.node[-1].output[0]

    short = edited_onnx(caffe_file, tmp_path / "short.onnx", without_end)
    with pytest.raises(ModelFileError, match="the file ends where fc8 should be"):
        read_onnx(short, ZOO["alexnet_caffe"])

    def with_more(graph: onnx.GraphProto) -> None:
        graph.node.append(helper.make_node("Relu", [graph.output[0].name], ["more"], "last"))
        graph.output[0].name = "more"

    long = edited_onnx(caffe_file, tmp_path / "long.onnx", with_more)
    with pytest.raises(ModelFileError, match="the file has Relu 'last' after fc8"):
        read_onnx(long, ZOO["alexnet_caffe"])


def test_a_final_softmax_is_dropped(caffe_file: Path, tmp_path: Path) -> None:
    def with_softmax(graph: onnx.GraphProto) -> None:
        graph.node.append(helper.make_node("Softmax", [graph.output[0].name], ["prob"]))
        graph.output[0].name = "prob"

    path = edited_onnx(caffe_file, tmp_path / "prob.onnx", with_softmax)
    plain, imported = (import_model(p, "alexnet_caffe") for p in (caffe_file, path))
    assert imported.parity == plain.parity


def test_matmul_and_add_are_one_layer(caffe_file: Path, tmp_path: Path) -> None:
    """Other exporters write Gemm so, and store its weight transposed."""

    def split(graph: onnx.GraphProto) -> None:
        gemm = graph.node.pop()
        arrays = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        transposed = numpy_helper.from_array(arrays[gemm.input[1]].T.copy(), "transposed")
        graph.initializer.append(transposed)
        product = helper.make_node("MatMul", [gemm.input[0], "transposed"], ["product"])
        total = helper.make_node("Add", ["product", gemm.input[2]], [gemm.output[0]])
        graph.node.extend([product, total])

    path = edited_onnx(caffe_file, tmp_path / "matmul.onnx", split)
    own = narrow_classifier("alexnet_caffe").network.state_dict()
    matched, _ = read_onnx(path, ZOO["alexnet_caffe"])
    for name in ("fc8.weight", "fc8.bias"):
        assert torch.equal(own[name], matched.weights[name])


def test_weights_are_reordered_for_another_flatten_order(onnx_exports: OnnxExports) -> None:
    """The notebook's net flattens with the channels last, and 2 x 2 values a channel."""
    arch = ZOO["alexnet_notebook"]
    layers = tuple(
        Flatten("flatten", "chw") if layer.kind == "flatten" else layer for layer in arch.layers
    )
    matched, _ = read_onnx(onnx_exports("alexnet_notebook").path, replace(arch, layers=layers))
    own = narrow_classifier("alexnet_notebook").network
    images = random_images(own, 2, seed=0) / 255
    assert not torch.equal(matched.weights["fc6.weight"], own.state_dict()["fc6.weight"])
    logits, expected = (torch_runner(net)(images) for net in (build_network(matched), own))
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def off_by_a_thousandth(model: bytes) -> tuple[Runner, str]:
    run, runtime = onnx_runner(model)
    return lambda images: run(images) * np.float32(1.001), runtime


def broken(model: bytes) -> tuple[Runner, str]:
    raise RuntimeError("no such\noperator")


@pytest.mark.parametrize(
    ("make_runner", "message"),
    [
        (off_by_a_thousandth, r"has the layers of lenet5 but computes other logits: largest"),
        (broken, r"lenet5\.onnx cannot be run: no such operator"),
    ],
)
def test_other_logits_are_rejected(
    onnx_exports: OnnxExports, make_runner: object, message: str
) -> None:
    """Matching layers are not enough."""
    path = onnx_exports("lenet5").path
    matched, graph = read_onnx(path, ZOO["lenet5"])
    network, preprocessing = (
        build_network(matched),
        narrow_classifier("lenet5").info.preprocessing,
    )
    assert check_parity(path, network, graph, "rgb", preprocessing).is_close
    with pytest.raises(ModelFileError, match=message):
        check_parity(path, network, graph, "rgb", preprocessing, make_runner=make_runner)  # type: ignore[arg-type]
