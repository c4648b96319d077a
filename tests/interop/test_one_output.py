"""Networks of one output, in every format, are imported as two classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from alexnet.errors import ModelFileError
from alexnet.interop.importer import ImportedModel, import_model
from alexnet.interop.match import MatchedModel
from alexnet.interop.one_output import NOTE, as_two_classes
from alexnet.models.layers import Activation
from alexnet.models.network import Network
from alexnet.models.variants import variant
from alexnet.models.zoo import ZOO
from support.caffe_files import Layer, caffenet_layers, write_caffemodel
from support.narrow_nets import narrow_classifier
from support.onnx_files import OnnxExports, edited_onnx


def check_two_classes(imported: ImportedModel, weight: torch.Tensor) -> None:
    """The first logit is 0, the second the file's output."""
    last = imported.info.architecture.output_layer
    assert imported.info.class_names == ("class 0", "class 1")
    assert torch.equal(imported.weights[f"{last}.weight"], torch.cat([0 * weight, weight]))
    assert NOTE in imported.notes


def test_a_state_dict(tmp_path: Path) -> None:
    network = Network(variant(ZOO["cifar_quick"], num_classes=1)).eval()
    torch.save(network.state_dict(), tmp_path / "net.pth")
    imported = import_model(tmp_path / "net.pth", "cifar_quick")
    check_two_classes(imported, network.state_dict()["fc4.weight"])
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network(images).sigmoid()[:, 0]
        found = imported.classifier("cpu").network(images).softmax(1)[:, 1]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("has_sigmoid", [False, True])
def test_an_onnx_file(onnx_exports: OnnxExports, tmp_path: Path, has_sigmoid: bool) -> None:
    def edit(graph: onnx.GraphProto) -> None:
        for tensor in graph.initializer:
            if tensor.name in graph.node[-1].input[1:]:
                first = numpy_helper.to_array(tensor)[:1].copy()
                tensor.CopyFrom(numpy_helper.from_array(first, tensor.name))
        output = graph.output[0]
        output.type.tensor_type.shape.dim[1].dim_value = 1
        if has_sigmoid:
            graph.node.append(helper.make_node("Sigmoid", [output.name], ["p"]))
            output.name = "p"

    path = edited_onnx(onnx_exports("lenet5").path, tmp_path / "net.onnx", edit)
    imported = import_model(path, "lenet5")
    check_two_classes(imported, narrow_classifier("lenet5").network.state_dict()["fc5.weight"][:1])
    assert imported.parity is not None
    assert imported.parity.max_abs_logit > 0


def caffe_network(num_outputs: int, end: str) -> tuple[dict[str, np.ndarray], list[Layer]]:
    """The weights and the layers of a narrow CaffeNet for images of 131 pixels."""
    layers = caffenet_layers((4, 4, 4, 4, 4, 4, 4, num_outputs), is_pool_first=True, crop_size=131)
    rng = np.random.default_rng(0)
    shapes = {"conv1": (4, 3, 11, 11), "conv2": (4, 2, 5, 5), "conv3": (4, 4, 3, 3)}
    shapes |= {"conv4": (4, 2, 3, 3), "conv5": (4, 2, 3, 3), "fc6": (4, 36), "fc7": (4, 4)}
    weights = {
        f"{name}.{kind}": rng.normal(0, 0.1, size).astype(np.float32)
        for name, shape in {**shapes, "fc8": (num_outputs, 4)}.items()
        for kind, size in (("weight", shape), ("bias", shape[:1]))
    }
    return weights, [*layers[:-1], (end, "end", {})]


@pytest.mark.parametrize("end", ["Sigmoid", "SigmoidCrossEntropyLoss"])
def test_a_caffe_model(tmp_path: Path, end: str) -> None:
    weights, layers = caffe_network(1, end)
    path = write_caffemodel(tmp_path / "net.caffemodel", layers, weights, is_v1=False)
    check_two_classes(import_model(path, "caffenet"), torch.from_numpy(weights["fc8.weight"]))


def test_several_labels_at_once_are_no_classes(tmp_path: Path) -> None:
    weights, layers = caffe_network(3, "SigmoidCrossEntropyLoss")
    path = write_caffemodel(tmp_path / "net.caffemodel", layers, weights, is_v1=False)
    with pytest.raises(
        ModelFileError, match="the file has SigmoidCrossEntropyLoss 'end' after fc8"
    ):
        import_model(path, "caffenet")


def test_one_output_of_another_layer() -> None:
    arch = variant(ZOO["lenet5"], num_classes=1)
    arch = replace(arch, layers=(*arch.layers, Activation("last", "tanh")))
    with pytest.raises(
        ModelFileError, match=r"^net has one output, .* here it is last \(activation\)$"
    ):
        as_two_classes("net", MatchedModel(arch, {}))
