"""Exported files, the report beside them, and files that compute other logits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.errors import UsageError
from alexnet.interop.exporter import EXPORTERS, export_model
from alexnet.interop.metadata import CLASS_NAMES as CLASS_NAMES_KEY
from alexnet.interop.parity import Runner, normalize_array, random_images, torch_runner
from alexnet.models.zoo import ZOO
from support.narrow_nets import CLASS_NAMES, narrow_classifier
from support.onnx_files import OnnxExports

CLOSE = 1e-5
"""Demanded here; a file is rejected at ten times this."""
FAST = ("alexnet_2012",)
"""torch.export takes a second for each; test_export_module.py has a small one."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in ZOO]
)
def test_torch_export(tmp_path: Path, name: str) -> None:
    classifier = narrow_classifier(name)
    report = export_model(classifier, tmp_path / "net.pt2", "torch", with_preprocessing=True)
    assert report.is_close
    assert report.relative_difference < CLOSE
    images = random_images(classifier.network, 4, seed=5)
    texts = {CLASS_NAMES_KEY: ""}
    program = torch.export.load(tmp_path / "net.pt2", extra_files=texts).module()
    assert json.loads(texts[CLASS_NAMES_KEY]) == list(CLASS_NAMES)
    normalized = normalize_array(images, classifier.info.preprocessing)
    ours = torch_runner(classifier.network)(normalized)
    theirs = program(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=CLOSE * np.abs(ours).max())


def test_the_report_beside_the_file(onnx_exports: OnnxExports) -> None:
    path, report = onnx_exports("lenet5")
    saved = json.loads(path.with_name("lenet5.onnx.json").read_text())
    assert saved["parity"]["max_abs_difference"] == report.parity.max_abs_difference
    assert saved["parity"]["tolerance"] == 1e-4
    assert saved["input_shape"] == [1, 32, 32]
    assert saved["class_names"] == list(CLASS_NAMES)
    assert saved["has_preprocessing"] is False
    assert any(version.startswith("onnxscript ") for version in saved["versions"])
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "lenet5.onnx",
        "lenet5.onnx.json",
    ]


@pytest.mark.parametrize("error", [1.0, float("nan")])
def test_a_file_with_other_logits_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: float
) -> None:
    def wrong(module: torch.nn.Module, *options: object) -> tuple[bytes, Runner, str]:
        return b"file", lambda images: torch_runner(module)(images) + error, "a test"

    monkeypatch.setitem(EXPORTERS, "torch", wrong)
    report = export_model(narrow_classifier("lenet5"), tmp_path / "a" / "net.pt2", "torch")
    assert not report.is_close
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["net.pt2.json"]


@pytest.mark.parametrize("name", ["net.pt2", "net.pt2.json"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match=f"{name} exists already"):
        export_model(narrow_classifier("lenet5"), tmp_path / "net.pt2", "torch")
    assert (tmp_path / name).read_text() == "mine"


def test_an_opset_is_for_onnx_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--opset is for ONNX files only, not for --format torch"):
        export_model(narrow_classifier("lenet5"), tmp_path / "net.pt2", "torch", opset=15)
