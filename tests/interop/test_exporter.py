"""Exported files, the report beside them, and files that compute other logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from alexnet.errors import UsageError
from alexnet.inference.classifier import Classifier
from alexnet.interop.export_module import FileOptions, network_module
from alexnet.interop.export_report import Format
from alexnet.interop.exporter import EXPORTERS, export_model
from alexnet.interop.metadata import CLASS_NAMES as CLASS_NAMES_KEY
from alexnet.interop.parity import Runner, normalize_array, random_images, torch_runner
from alexnet.models.zoo import ZOO
from support.narrow_nets import CLASS_NAMES, narrow_classifier
from support.onnx_files import OnnxExports

CLOSE = 1e-5
"""Demanded here; a file is rejected at ten times this."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_torch_export(tmp_path: Path, name: str) -> None:
    classifier = narrow_classifier(name)
    report = export_model(classifier, tmp_path / "net.pt2", "torch")
    assert report.is_close
    assert report.relative_difference < CLOSE
    images = random_images(classifier.network, 4, seed=5)
    texts = {CLASS_NAMES_KEY: ""}
    program = torch.export.load(tmp_path / "net.pt2", extra_files=texts).module()
    assert json.loads(texts[CLASS_NAMES_KEY]) == list(CLASS_NAMES)
    normalized = normalize_array(images, classifier.info.preprocessing)
    ours = torch_runner(classifier.network)(normalized)
    theirs = program(torch.from_numpy(normalized)).detach().numpy()
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=CLOSE * np.abs(ours).max())


def test_the_report_beside_the_file(onnx_exports: OnnxExports) -> None:
    path, report = onnx_exports("lenet5")
    saved = json.loads(path.with_name("lenet5.onnx.json").read_text())
    assert saved["parity"]["max_abs_difference"] == report.parity.max_abs_difference
    assert saved["parity"]["tolerance"] == 1e-4
    assert saved["input_shape"] == [1, 32, 32]
    assert saved["class_names"] == list(CLASS_NAMES)
    assert (saved["takes"], saved["input"]) == ("normalized", "float32 [batch, 1, 32, 32]")
    assert saved["agreement"] is None
    assert any(version.startswith("onnxscript ") for version in saved["versions"])
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "lenet5.onnx",
        "lenet5.onnx.json",
        "predict_lenet5.py",
    ]
    assert sorted(saved["files"]) == ["lenet5.onnx", "lenet5.onnx.json", "predict_lenet5.py"]


@pytest.mark.parametrize("error", [1.0, float("nan")])
def test_a_file_with_other_logits_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: float
) -> None:
    def wrong(classifier: Classifier, options: FileOptions) -> tuple[bytes, Runner, str]:
        return b"file", lambda x: torch_runner(classifier.network)(x) + error, "a test"

    monkeypatch.setitem(EXPORTERS, "torch", wrong)
    report = export_model(narrow_classifier("lenet5"), tmp_path / "a" / "net.pt2", "torch")
    assert not report.is_close
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["net.pt2.json"]
    assert report.files == ("net.pt2.json",)


def test_the_classifier_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook goes on with the one that it has exported: on its device, in its mode."""

    def fast(classifier: Classifier, options: FileOptions) -> tuple[bytes, Runner, str]:
        return b"file", torch_runner(network_module(classifier)), "a test"

    monkeypatch.setitem(EXPORTERS, "torch", fast)
    classifier = narrow_classifier("lenet5")
    classifier.network.train()
    assert export_model(classifier, tmp_path / "net.pt2", "torch").is_close
    assert all(layer.training for layer in classifier.network.modules())


@pytest.mark.gpu
def test_a_classifier_on_a_gpu_stays_there(tmp_path: Path) -> None:
    classifier = narrow_classifier("lenet5")
    classifier.network.cuda()
    assert export_model(classifier, tmp_path / "net.pt2", "torch").is_close
    assert all(weight.is_cuda for weight in classifier.network.parameters())


@pytest.mark.parametrize("file_format", EXPORTERS)
def test_an_optimized_classifier_is_not_exported(tmp_path: Path, file_format: Format) -> None:
    message = "^an optimized classifier cannot be exported; use the one it was made of$"
    with pytest.raises(UsageError, match=message):
        export_model(narrow_classifier("lenet5").optimized(), tmp_path / "net", file_format)
    assert not list(tmp_path.iterdir())


def test_a_file_of_other_weights_is_told_as_such(onnx_exports: OnnxExports) -> None:
    """As that of a run which was trained further."""
    path, report = onnx_exports("lenet5")
    classifier = narrow_classifier("lenet5")
    with pytest.raises(UsageError, match=r"lenet5\.onnx exists already; remove it"):
        export_model(classifier, path, "onnx")
    with torch.no_grad():
        classifier.network.get_parameter("conv1.bias").add_(1)
    message = r"lenet5\.onnx exists already, made of other weights; remove it"
    with pytest.raises(UsageError, match=message):
        export_model(classifier, path, "onnx")
    assert len(report.weights_checksum) == 8


@pytest.mark.parametrize("file_format", EXPORTERS)
def test_a_file_would_not_have_what_was_edited(tmp_path: Path, file_format: Format) -> None:
    classifier = narrow_classifier("lenet5")
    hook = classifier.network.get_submodule("conv2").register_forward_hook(lambda *_: None)
    with pytest.raises(UsageError, match=r"^the classifier cannot be exported: conv2 has a for"):
        export_model(classifier, tmp_path / "net", file_format)
    hook.remove()
    classifier.network.tanh1 = nn.ReLU()
    with pytest.raises(UsageError, match=r"^the classifier cannot be exported: .*tanh1 is torch's"):
        export_model(classifier, tmp_path / "net", file_format)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["net.onnx", "net.onnx.json", "predict_net.py"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match=f"{name} exists already"):
        export_model(narrow_classifier("lenet5"), tmp_path / "net.onnx", "onnx")
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize(
    ("file", "file_format", "options", "message"),
    [
        ("net.pt2", "torch", {"opset": 15}, "--opset is for ONNX files only, not for --format"),
        ("net.pt2", "torch", {"half": True}, "--half is for ONNX files only"),
        ("net.keras", "keras", {"int8": True}, "--int8 is for ONNX files only"),
        ("net.onnx", "onnx", {"int8": True, "half": True}, "--half and --int8 exclude each other"),
        ("net.onnx", "onnx", {"data": "photos"}, "--data has images to compare a file of --half"),
        ("net.pth", "torchvision", {"with_preprocessing": True}, "a state dict has weights alone"),
    ],
)
def test_what_a_format_cannot_have(
    tmp_path: Path, file: str, file_format: Format, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        export_model(narrow_classifier("lenet5"), tmp_path / file, file_format, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet_owt", "lenet5"])
@pytest.mark.parametrize(("file_format", "suffix"), [("onnx", ".onnx"), ("torch", ".pt2")])
def test_a_whole_model(tmp_path: Path, file_format: Format, suffix: str, name: str) -> None:
    """Color and gray, shortest edge and stretch; the file is compared with Pillow's resize."""
    path = tmp_path / f"net{suffix}"
    report = export_model(narrow_classifier(name), path, file_format, with_preprocessing=True)
    assert (report.takes, report.output) == ("image", "probabilities [7]")
    assert report.parity.output == "probabilities"
    assert report.parity.max_abs_difference < 1e-4
