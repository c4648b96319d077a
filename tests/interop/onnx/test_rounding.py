"""ONNX files in float16 and int8."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from torch import nn

from alexnet.errors import UsageError
from alexnet.inference.classifier import Classifier
from alexnet.interop.agreement import ImageAgreement
from alexnet.interop.export_module import FileOptions
from alexnet.interop.exporter import export_model
from alexnet.interop.importer import import_model
from alexnet.interop.metadata import AGREEMENT
from alexnet.interop.onnx import rounding
from alexnet.interop.onnx.rounding import CalibrationInputs, check_range, half_model
from alexnet.interop.onnx.runtime import onnx_runner
from alexnet.interop.parity import normalize_array, random_images, torch_runner
from alexnet.interop.real_images import RealImages
from support.narrow_nets import narrow_classifier
from support.onnx_files import OnnxExports


def test_float16_keeps_the_names_and_is_imported(onnx_exports: OnnxExports, tmp_path: Path) -> None:
    """Response norm stays in float32: its squares could exceed float16."""
    half = half_model(onnx.load(onnx_exports("alexnet_caffe").path))
    onnx.checker.check_model(half, full_check=True)
    stored = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert stored["conv1.weight"] == stored["fc8.weight"] == TensorProto.FLOAT16
    ends = [*half.graph.input, *half.graph.output]
    assert [(one.name, one.type.tensor_type.elem_type) for one in ends] == [
        ("images", TensorProto.FLOAT),
        ("logits", TensorProto.FLOAT),
    ]
    norm = next(node for node in half.graph.node if node.op_type == "LRN")
    before = next(node for node in half.graph.node if norm.input[0] in node.output)
    assert (before.op_type, before.attribute[0].i) == ("Cast", TensorProto.FLOAT)

    classifier = narrow_classifier("alexnet_caffe")
    images = normalize_array(random_images(classifier.network, 2), classifier.info.preprocessing)
    expected = torch_runner(classifier.network)(images)
    run, _ = onnx_runner(half.SerializeToString())
    np.testing.assert_allclose(run(images), expected, atol=5e-3 * np.abs(expected).max())
    onnx.save(half, tmp_path / "half.onnx")
    back = import_model(tmp_path / "half.onnx", "alexnet_caffe")
    assert "the file's float16 numbers are read as float32" in back.notes


def test_values_beyond_float16_are_refused() -> None:
    own = narrow_classifier("lenet5")
    pixels = np.full((1, 32, 32, 3), 255, np.uint8)
    check_range(own, pixels)
    bias = own.network.state_dict()["conv1.bias"]
    bias.fill_(1e5)
    with pytest.raises(UsageError, match=r"values of conv1 reach 1\d\d,\d+, and float16 ends"):
        check_range(own, pixels)


@pytest.mark.slow
def test_a_within_channel_norm_squares_its_input() -> None:
    own = narrow_classifier("alexnet_2012")
    own.network.norm2 = nn.Identity()  # it would make the values small
    own.network.state_dict()["conv2.bias"].fill_(3e3)
    pixels = np.full((1, *[own.info.preprocessing.resize_size] * 2, 3), 255, np.uint8)
    with pytest.raises(UsageError, match="values of cnorm2 reach"):
        check_range(own, pixels)


def test_calibration_ends_after_the_last_batch() -> None:
    inputs = CalibrationInputs(iter([np.zeros(1)]))
    assert inputs.get_next() == {"images": np.zeros(1)}
    assert inputs.get_next() is None


@pytest.mark.parametrize(("static", "dynamic", "kept"), [(8, 9, b"dynamic"), (9, 8, b"static")])
def test_the_rounding_that_agrees_better_is_kept(
    monkeypatch: pytest.MonkeyPatch, static: int, dynamic: int, kept: bytes
) -> None:
    same = {"static": static, "dynamic": dynamic}

    def finished(_: object, __: object, model: str, name: str, ___: object) -> object:
        agreement = ImageAgreement(
            precision=name,
            images="photos",
            num_images=9,
            num_same_top1=same[model],
            max_probability_difference=0.0,
        )
        return model.encode(), agreement

    monkeypatch.setattr(rounding, "network_model", lambda *_: None)
    monkeypatch.setattr(rounding, "static_int8_model", lambda *_: "static")
    monkeypatch.setattr(rounding, "dynamic_int8_model", lambda *_: "dynamic")
    monkeypatch.setattr(rounding, "_finished", finished)
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    images = RealImages("photos", pixels, pixels)
    content, found = rounding.rounded_bytes(
        narrow_classifier("lenet5"), FileOptions(), "int8", images
    )
    assert (content, found.precision) == (kept, f"int8, {kept.decode()}")
    assert found.num_same_top1 == 9


@pytest.mark.slow
@pytest.mark.parametrize("with_preprocessing", [False, True])
@pytest.mark.parametrize("flag", ["half", "int8"])
def test_a_rounded_file_end_to_end(
    tmp_path: Path, flowers: Path, flag: str, with_preprocessing: bool
) -> None:
    classifier: Classifier = narrow_classifier("cifar_quick")
    path = tmp_path / "net.onnx"
    report = export_model(
        classifier,
        path,
        "onnx",
        with_preprocessing=with_preprocessing,
        half=flag == "half",
        int8=flag == "int8",
        data=str(flowers),
    )
    found = report.agreement
    assert report.is_close
    assert found is not None
    assert found.precision == "float16" if flag == "half" else found.precision.startswith("int8, ")
    assert found.num_images == 30
    assert found.num_same_top1 >= 28
    assert found.max_probability_difference < 0.02
    texts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    stored = json.loads(texts[AGREEMENT])
    assert stored["num_same_top1"] == found.num_same_top1
    saved = json.loads(path.with_name("net.onnx.json").read_text())
    assert saved["agreement"] == stored
    assert path.with_name("predict_net.py").exists()
