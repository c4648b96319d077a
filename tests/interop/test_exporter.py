"""Exported files compute what the model does, and ONNX files come back as the network they were."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import UsageError
from alexnet.interop import exporter as exporting
from alexnet.interop.exporter import export_model
from alexnet.interop.importer import import_model, loaded
from alexnet.interop.match import MatchedModel
from alexnet.interop.onnx.runtime import onnx_runner
from alexnet.interop.parity import Runner, normalised, random_pixels, runner
from alexnet.interop.published_preprocessing import preprocessing_of
from alexnet.models.zoo import ZOO
from support.narrow_nets import CLASSES, narrow, narrow_table

CLOSE = 1e-5
"""What is demanded here; a file is refused at ten times this."""


@pytest.mark.parametrize("name", ZOO)
def test_onnx_round_trip(tmp_path: Path, name: str) -> None:
    """Every net of the zoo goes out and comes back with the table, the classes and the logits."""
    classifier = narrow(name)
    out = tmp_path / "net.onnx"
    report = export_model(classifier, out, "onnx")
    assert report.is_close
    assert report.relative_difference < CLOSE
    assert report.parity.batch_sizes == (1, 2, 5)
    assert report.parity.largest_logit > 0
    back = import_model(out, name, class_names=CLASSES)
    assert back.info.architecture == classifier.info.architecture
    assert back.parity is not None
    assert back.parity.relative_difference < CLOSE
    network = loaded(MatchedModel(back.info.architecture, back.weights))
    images = normalised(random_pixels(network, 3, seed=9), classifier.info.preprocessing)
    ours, theirs = runner(classifier.network)(images), runner(network)(images)
    print(name, report.relative_difference, np.abs(ours - theirs).max() / np.abs(ours).max())
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=CLOSE * np.abs(ours).max())


def test_weights_come_back_in_the_same_bits(tmp_path: Path) -> None:
    """Also a bias of zeros, which the exporter leaves out, and two equal ones, which it shares."""
    classifier = narrow("alexnet_caffe")
    own = classifier.network.state_dict()
    own["conv3.bias"].zero_()
    own["conv5.bias"].copy_(own["conv2.bias"][: len(own["conv5.bias"])])
    export_model(classifier, tmp_path / "net.onnx", "onnx", batch_sizes=(1,))
    back = import_model(tmp_path / "net.onnx", "alexnet_caffe")
    assert {name: torch.equal(own[name], t) for name, t in back.weights.items()} == dict.fromkeys(
        own, True
    )


FAST = ("alexnet_2012", "alexnet_notebook")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in ZOO]
)
def test_torch_export(tmp_path: Path, name: str) -> None:
    classifier = narrow(name)
    report = export_model(classifier, tmp_path / "net.pt2", "torch", with_preprocessing=True)
    assert report.is_close
    assert report.relative_difference < CLOSE
    pixels = random_pixels(classifier.network, 4, seed=5)
    program = torch.export.load(tmp_path / "net.pt2").module()
    ours = runner(classifier.network)(normalised(pixels, classifier.info.preprocessing))
    theirs = program(torch.from_numpy(pixels)).detach().numpy()
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=CLOSE * np.abs(ours).max())


def test_preprocessing_inside_the_graph(tmp_path: Path) -> None:
    """Pixels of 0 to 255 in, and the same logits as from the model's own preprocessing."""
    classifier = replace(narrow("lenet5"), precision="float32")
    export_model(classifier, tmp_path / "net.onnx", "onnx", with_preprocessing=True)
    run, _ = onnx_runner((tmp_path / "net.onnx").read_bytes())
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    logits = torch.from_numpy(run(grey[:, None].astype(np.float32)))
    ours = classifier.probabilities(pixels)
    np.testing.assert_allclose(logits.softmax(1).numpy(), ours, atol=1e-5)


def test_a_mean_picture_goes_inside_too(tmp_path: Path) -> None:
    classifier = narrow("cifar_quick")
    rule = Preprocessing(resize_size=32, crop_size=32, has_mean_image=True)
    mean = torch.rand(3, 32, 32) * 255
    classifier = replace(
        classifier, info=replace(classifier.info, preprocessing=rule), mean_image=mean
    )
    export_model(classifier, tmp_path / "net.pt2", "torch", with_preprocessing=True)
    pixels = random_pixels(classifier.network, 2)
    program = torch.export.load(tmp_path / "net.pt2").module()
    ours = classifier.network(torch.from_numpy(pixels) - mean).detach()
    theirs = program(torch.from_numpy(pixels)).detach()
    torch.testing.assert_close(theirs, ours, rtol=0, atol=float(ours.abs().max()) * CLOSE)


def test_the_report_beside_the_file(tmp_path: Path) -> None:
    report = export_model(narrow("lenet5"), tmp_path / "a" / "net.pt2", "torch")
    plain = json.loads((tmp_path / "a" / "net.pt2.json").read_text())
    assert plain["parity"]["largest_difference"] == report.parity.largest_difference
    assert plain["parity"]["tolerance"] == 1e-4
    assert plain["input"] == [1, 32, 32]
    assert plain["classes"] == list(CLASSES)
    assert plain["has_preprocessing"] is False
    assert any(version.startswith("torch 2") for version in plain["versions"])
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "net.pt2",
        "net.pt2.json",
    ]


@pytest.mark.parametrize("error", [1.0, float("nan")])
def test_a_file_that_computes_something_else_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: float
) -> None:
    def wrong(module: torch.nn.Module, shape: object) -> tuple[bytes, Runner, str]:
        return b"file", lambda images: runner(module)(images) + error, "a test"

    monkeypatch.setattr(exporting, "torch_bytes", wrong)
    report = export_model(narrow("lenet5"), tmp_path / "net.pt2", "torch")
    assert not report.is_close
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt2.json"]


@pytest.mark.parametrize("there", ["net.pt2", "net.pt2.json"])
def test_nothing_is_written_over(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(UsageError, match=f"{there} is there already"):
        export_model(narrow("lenet5"), tmp_path / "net.pt2", "torch")
    assert (tmp_path / there).read_text() == "mine"


def test_the_onnx_package_itself_computes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where onnxruntime is not installed."""
    from alexnet.interop.onnx import runtime as onnx_runtime

    monkeypatch.setattr(onnx_runtime, "find_spec", lambda name: None)
    report = export_model(narrow("lenet5"), tmp_path / "net.onnx", "onnx")
    assert report.parity.runtime.endswith("(reference)")
    assert report.is_close


def test_published_preprocessing_of_the_full_sizes() -> None:
    owt = preprocessing_of("published", ZOO["alexnet_owt"])
    assert (owt.resize, owt.resize_size, owt.crop_size) == ("shortest_edge", 256, 224)
    assert owt.mean == pytest.approx((123.675, 116.28, 103.53))
    assert owt.std == pytest.approx((58.395, 57.12, 57.375))
    caffe = preprocessing_of("published", ZOO["caffenet"])
    assert (caffe.resize, caffe.resize_size, caffe.crop_size) == ("stretch", 256, 227)
    assert (caffe.mean, caffe.std) == ((122.679, 116.669, 104.007), (1, 1, 1))
    notebook = preprocessing_of("published", ZOO["alexnet_notebook"])
    assert (notebook.resize, notebook.resize_size, notebook.side) == ("stretch", 224, 224)
    assert (notebook.mean, notebook.std) == ((0, 0, 0), (255, 255, 255))
    assert narrow_table("lenet5").input[0] == 1
    assert preprocessing_of("published", ZOO["lenet5"]).channels == 1
