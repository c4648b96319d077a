"""Every net of the zoo goes out as ONNX and comes back with its architecture and its logits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from PIL import Image

from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import UsageError
from alexnet.inference.classifier import Classifier, load
from alexnet.interop.export_module import FileOptions
from alexnet.interop.exporter import export_model
from alexnet.interop.importer import ImportedModel, build_network, import_model
from alexnet.interop.match import MatchedModel
from alexnet.interop.metadata import file_metadata
from alexnet.interop.onnx.export import with_opset
from alexnet.interop.parity import normalize_array, random_images, torch_runner
from support.narrow_nets import CLASS_NAMES, narrow_classifier
from support.onnx_files import OnnxExports

CLOSE = 1e-5
"""Demanded here; a file is rejected at ten times this."""


@pytest.mark.parametrize("name", ["lenet5", "alexnet_bn"])
def test_round_trip(onnx_exports: OnnxExports, name: str) -> None:
    """Every net goes there and back in `tests/test_contract.py`."""
    classifier, (path, report) = narrow_classifier(name), onnx_exports(name)
    assert report.relative_difference < CLOSE
    assert report.parity.batch_sizes == (1, 2, 5)
    assert report.parity.max_abs_logit > 0
    back = import_model(path, name, class_names=CLASS_NAMES)
    assert back.info.architecture == classifier.info.architecture
    assert back.info.temperature == classifier.info.temperature == 1.25
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


def classifier_with(
    name: str, mean_image: torch.Tensor | None = None, **changes: Any
) -> Classifier:
    """A net of the zoo with a crop that is shrunk to the input."""
    own = narrow_classifier(name)
    preprocessing = Preprocessing(
        resize="shortest_edge",
        resize_size=40,
        padding=2,
        crop_size=36,
        input_size=32,
        channels=own.info.preprocessing.channels,
        mean=(120.1, 110.2, 100.3),
        std=(61.5, 60.25, 62.125),
    )
    info = replace(own.info, preprocessing=replace(preprocessing, **changes))
    return replace(own, info=info, mean_image=mean_image, precision="float32")


@pytest.fixture
def photos() -> list[Image.Image]:
    random = np.random.default_rng(0)
    sizes = [(50, 70), (64, 64), (97, 41)]
    coarse = [random.integers(0, 256, (h // 8, w // 8, 3), dtype=np.uint8) for h, w in sizes]
    return [
        Image.fromarray(small).resize((w, h), Image.Resampling.BICUBIC)
        for small, (h, w) in zip(coarse, sizes, strict=True)
    ]


def assert_predicts_the_same(
    path: Path, classifier: Classifier, photos: list[Image.Image]
) -> ImportedModel:
    imported = import_model(path, classifier.info.architecture.name)
    imported.save(path.with_suffix(".safetensors"))
    back = replace(load(path.with_suffix(".safetensors"), "cpu"), precision="float32")
    assert back.info.preprocessing == classifier.info.preprocessing
    for theirs, ours in zip(back.predict(photos), classifier.predict(photos), strict=True):
        assert [c.label for c in theirs.top_classes] == [c.label for c in ours.top_classes]
        for one, other in zip(theirs.top_classes, ours.top_classes, strict=True):
            assert one.probability == pytest.approx(other.probability, abs=1e-5)
    return imported


def test_a_file_predicts_the_same_when_it_is_imported(
    onnx_exports: OnnxExports, tmp_path: Path, photos: list[Image.Image]
) -> None:
    """No flag is needed: class names and the whole preprocessing are in the file."""
    classifier = classifier_with("lenet5")
    metadata = file_metadata(classifier, takes="normalized", weights_license="CC-BY-4.0")
    model = onnx.load(onnx_exports("lenet5").path)
    assert {entry.key for entry in model.metadata_props} == set(metadata)
    helper.set_model_props(model, metadata)
    onnx.save(model, tmp_path / "net.onnx")
    imported = assert_predicts_the_same(tmp_path / "net.onnx", classifier, photos)
    assert (imported.preprocessing_source, imported.class_names_source) == ("file", "file")
    assert imported.notes == ("the license of the weights is CC-BY-4.0, as the file says",)
    published = import_model(tmp_path / "net.onnx", "lenet5", preprocessing="published")
    assert published.info.preprocessing != classifier.info.preprocessing


@pytest.mark.slow
@pytest.mark.parametrize("with_preprocessing", [False, True])
@pytest.mark.parametrize("has_mean_image", [False, True])
def test_an_export_predicts_the_same_when_it_is_imported(
    tmp_path: Path, photos: list[Image.Image], with_preprocessing: bool, has_mean_image: bool
) -> None:
    mean_image = 255 * torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    classifier = classifier_with(
        "cifar_quick", mean_image if has_mean_image else None, has_mean_image=has_mean_image
    )
    path = tmp_path / "net.onnx"
    export_model(classifier, path, "onnx", with_preprocessing=with_preprocessing)
    assert_predicts_the_same(path, classifier, photos)


@pytest.mark.parametrize("opset", [15, 21])
def test_other_opsets(onnx_exports: OnnxExports, opset: int) -> None:
    model = onnx.load(onnx_exports("lenet5").path)
    content, run, _ = with_opset(model, opset, FileOptions(metadata={"key": "text"}))
    converted = onnx.load_from_string(content)
    assert [(one.domain, one.version) for one in converted.opset_import] == [("", opset)]
    assert converted.ir_version == {15: 8, 21: 10}[opset]
    assert {entry.key: entry.value for entry in converted.metadata_props} == {"key": "text"}
    images = random_images(narrow_classifier("lenet5").network, 3) / 255
    expected = torch_runner(narrow_classifier("lenet5").network)(images)
    np.testing.assert_allclose(run(images), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_opsets_that_cannot_be_written(
    onnx_exports: OnnxExports, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(onnx_exports("lenet5").path)
    for opset in (14, 99):
        with pytest.raises(UsageError, match=rf"--opset {opset} must be from 15 to \d+"):
            with_opset(model, opset, FileOptions())

    def broken(content: bytes) -> None:
        raise RuntimeError("no such opset")

    monkeypatch.setattr("alexnet.interop.onnx.export.onnx_runner", broken)
    with pytest.raises(UsageError, match="--opset 17 cannot be written, or not be run by the inst"):
        with_opset(model, 17, FileOptions())
