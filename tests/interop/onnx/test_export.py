"""Every net of the zoo goes out as ONNX and comes back with its architecture and its logits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from alexnet.interop.importer import build_network, import_model
from alexnet.interop.match import MatchedModel
from alexnet.interop.onnx.runtime import onnx_runner
from alexnet.interop.parity import normalize_array, random_images, torch_runner
from alexnet.models.zoo import ZOO
from support.narrow_nets import CLASS_NAMES, narrow_classifier
from support.onnx_files import OnnxExports

FAST = ("alexnet_2012", "alexnet_caffe", "lenet5")
"""Nets in the fast set: `tests/test_contract.py` has the paper's net and batch norm there."""
CLOSE = 1e-5
"""Demanded here; a file is rejected at ten times this."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in ZOO]
)
def test_round_trip(onnx_exports: OnnxExports, name: str) -> None:
    classifier, (path, report) = narrow_classifier(name), onnx_exports(name)
    assert report.relative_difference < CLOSE
    assert report.parity.batch_sizes == (1, 2, 5)
    assert report.parity.max_abs_logit > 0
    back = import_model(path, name, class_names=CLASS_NAMES)
    assert back.info.architecture == classifier.info.architecture
    assert back.parity is not None
    assert back.parity.relative_difference < CLOSE
    network = build_network(MatchedModel(back.info.architecture, back.weights))
    images = normalize_array(random_images(network, 3, seed=9), classifier.info.preprocessing)
    ours, theirs = torch_runner(classifier.network)(images), torch_runner(network)(images)
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=CLOSE * np.abs(ours).max())


def test_weights_come_back_bit_by_bit(onnx_exports: OnnxExports) -> None:
    """Also the bias of zeros, which the exporter leaves out, and two equal ones, stored once."""
    own = narrow_classifier("alexnet_caffe").network.state_dict()
    assert not own["conv3.bias"].any()
    assert torch.equal(own["conv2.bias"], own["conv5.bias"])
    back = import_model(onnx_exports("alexnet_caffe").path, "alexnet_caffe").weights
    assert {name: torch.equal(own[name], t) for name, t in back.items()} == dict.fromkeys(own, True)


def test_names_and_shapes_of_input_and_output(onnx_exports: OnnxExports) -> None:
    graph = onnx.load(onnx_exports("lenet5").path).graph
    (images,), (logits,) = graph.input, graph.output
    assert (images.name, logits.name) == ("images", "logits")
    sizes = [size.dim_param or size.dim_value for size in images.type.tensor_type.shape.dim]
    assert sizes == ["batch", 1, 32, 32]


def test_preprocessing_inside_the_graph(onnx_exports: OnnxExports) -> None:
    """Pixels of 0 to 255 in, and the same logits as with the model's own preprocessing."""
    classifier = replace(narrow_classifier("lenet5"), precision="float32")
    run, _ = onnx_runner(onnx_exports("lenet5", with_preprocessing=True).path.read_bytes())
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    gray = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    logits = torch.from_numpy(run(gray[:, None].astype(np.float32)))
    expected = classifier.probabilities(pixels)
    np.testing.assert_allclose(logits.softmax(1).numpy(), expected, atol=1e-5)
