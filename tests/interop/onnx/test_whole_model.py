"""ONNX files from an image to probabilities, and the script beside them."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from alexnet.errors import ModelFileError
from alexnet.inference.classifier import Classifier
from alexnet.interop.exporter import export_model
from alexnet.interop.importer import import_model
from alexnet.interop.metadata import Takes, file_metadata
from alexnet.interop.onnx.export import serialize
from alexnet.interop.onnx.predict_script import predict_script, script_path
from alexnet.interop.onnx.runtime import onnx_runner
from alexnet.interop.onnx.whole_model import add_preprocessing, cut_network, is_whole
from support.narrow_nets import narrow_classifier
from support.onnx_files import OnnxExports

HALVED = """
<ir_version: 10, opset_import: ["" : 18]>
halved (uint8[height, width, 3] image) => (float[1, 1, 32, 32] images)
<float scale = {0.003921569}, int64[2] sides = {32, 32}, int64[2] axes = {0, 1},
 int64[1] channel = {2}, int64[2] front = {0, 1}>
{
  numbers = Cast <to = 1> (image)
  gray = ReduceMean <keepdims = 0> (numbers, channel)
  scaled = Mul (gray, scale)
  square = CenterCropPad <axes = [0, 1]> (scaled, sides)
  images = Unsqueeze (square, front)
}
"""
"""A preprocessing that torch's exporter, which takes seconds, has not written."""


@pytest.fixture(scope="module")
def whole(onnx_exports: OnnxExports) -> onnx.ModelProto:
    network = onnx.load(onnx_exports("lenet5").path)
    return add_preprocessing(network, onnx.parser.parse_model(HALVED), temperature=1.25)


def run_script(classifier: Classifier, file: Path, takes: Takes, image: Path) -> dict[str, float]:
    """What the script of a file prints for an image, by class."""
    script = script_path(file)
    script.write_text(predict_script(classifier, file.name, takes))
    command = [sys.executable, "-W", "error", str(script), str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=image.parent)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert {row[0] for row in rows} == {str(image)}
    return {name: float(probability) for _, name, probability in rows}


def test_network_between_preprocessing_and_softmax(whole: onnx.ModelProto) -> None:
    onnx.checker.check_model(whole, full_check=True)
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    run, _ = onnx_runner(serialize(whole, {}))
    classifier = narrow_classifier("lenet5")
    pixels = image.mean(2, keepdims=True).repeat(3, 2).round().astype(np.uint8)
    expected = classifier.probabilities(pixels[None])[0]
    np.testing.assert_allclose(run(image), expected, atol=2e-3)


def test_it_is_imported_as_its_network(
    whole: onnx.ModelProto, onnx_exports: OnnxExports, tmp_path: Path
) -> None:
    """With the file's class names, preprocessing and temperature, and without its own resize."""
    classifier = narrow_classifier("lenet5")
    content = serialize(whole, file_metadata(classifier, takes="image"))
    (tmp_path / "net.onnx").write_bytes(content)
    assert is_whole(onnx.load_from_string(content))
    imported = import_model(tmp_path / "net.onnx", "lenet5")
    assert imported.info.preprocessing == classifier.info.preprocessing
    assert imported.info.class_names == classifier.class_names
    assert imported.info.temperature == 1.25
    assert imported.parity is not None
    assert imported.parity.is_close
    network = onnx.load(onnx_exports("lenet5").path)
    assert not is_whole(network)
    cut = cut_network(whole)
    assert [n.op_type for n in cut.graph.node] == [n.op_type for n in network.graph.node]


def test_scripts_run_and_agree(
    whole: onnx.ModelProto, onnx_exports: OnnxExports, tmp_path: Path
) -> None:
    """A transparent image on its side: the whole model's, and that of the network alone."""
    classifier = narrow_classifier("lenet5")
    pixels = np.random.default_rng(1).integers(0, 256, (40, 50, 4), dtype=np.uint8)
    image, exif = tmp_path / "an image.png", Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(image, exif=exif)
    expected = {c.label: c.probability for c in classifier.predict(image, top=5)[0].top_classes}
    (tmp_path / "my net.onnx").write_bytes(onnx_exports("lenet5").path.read_bytes())
    found = run_script(classifier, tmp_path / "my net.onnx", "normalized", image)
    assert found == pytest.approx(expected, abs=2e-3)
    content = serialize(whole, file_metadata(classifier, takes="image"))
    (tmp_path / "whole.onnx").write_bytes(content)
    assert sum(run_script(classifier, tmp_path / "whole.onnx", "image", image).values()) > 0.7


def test_a_script_reads_16_bits_as_predict_does(onnx_exports: OnnxExports, tmp_path: Path) -> None:
    classifier, file = narrow_classifier("lenet5"), tmp_path / "net.onnx"
    file.write_bytes(onnx_exports("lenet5").path.read_bytes())
    values = np.linspace(0, 65535, 40 * 50).reshape(40, 50)
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "deep.png")
    (answer,) = classifier.predict(tmp_path / "deep.png", top=5)
    found = run_script(classifier, file, "normalized", tmp_path / "deep.png")
    assert found == pytest.approx({c.label: c.probability for c in answer.top_classes}, abs=2e-3)
    Image.fromarray(values.astype(np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(subprocess.CalledProcessError):
        run_script(classifier, file, "normalized", tmp_path / "float.tiff")


def test_a_script_names_each_bad_file_and_goes_on(
    whole: onnx.ModelProto,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    classifier = narrow_classifier("lenet5")
    content = serialize(whole, file_metadata(classifier, takes="image"))
    (tmp_path / "net.onnx").write_bytes(content)
    script, good, cut = tmp_path / "predict_net.py", tmp_path / "good.png", tmp_path / "cut.png"
    script.write_text(predict_script(classifier, "net.onnx", "image"))
    pixels = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(good)
    cut.write_bytes(good.read_bytes()[:2000])

    def end(*words: object) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", [str(script), *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(script), run_name="__main__")
        return ended.value.code, *capsys.readouterr()

    code, _, told = end()
    assert (code, told.startswith("usage: predict_net.py [-h] IMAGE")) == (2, True)
    assert end("--help")[0] == 0
    bad = [cut, tmp_path, script, tmp_path / "none.png"]
    code, out, told = end(*bad, good)
    assert code == 1
    assert [line.split(": ")[0] for line in told.splitlines()] == [str(path) for path in bad]
    assert {line.split("\t")[0] for line in out.splitlines()} == {str(good)}
    assert end(good) == (0, out, "")


def test_a_whole_script_has_few_lines() -> None:
    text = predict_script(narrow_classifier("lenet5"), "net.onnx", "image")
    lines = [line for line in text.splitlines() if line and "import" not in line]
    assert len(lines) <= 26
    assert max(map(len, lines)) <= 100


def test_a_file_of_8_bits_is_not_imported(onnx_exports: OnnxExports, tmp_path: Path) -> None:
    from alexnet.interop.onnx.rounding import dynamic_int8_model

    onnx.save(dynamic_int8_model(onnx.load(onnx_exports("lenet5").path)), tmp_path / "net.onnx")
    with pytest.raises(ModelFileError, match="has weights of 8 bits, which are rounded; import"):
        import_model(tmp_path / "net.onnx", "lenet5")


@pytest.mark.slow
@pytest.mark.parametrize("opset", [None, 16, 21])
def test_a_whole_file_end_to_end(tmp_path: Path, opset: int | None) -> None:
    classifier = narrow_classifier("cifar_quick")
    file, image = tmp_path / "net.onnx", tmp_path / "image.jpg"
    pixels = np.random.default_rng(1).integers(0, 256, (70, 110, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(image)
    report = export_model(classifier, file, "onnx", with_preprocessing=True, opset=opset)
    assert report.is_close
    expected = {c.label: c.probability for c in classifier.predict(image, top=5)[0].top_classes}
    assert run_script(classifier, file, "image", image) == pytest.approx(expected, abs=2e-3)
    assert import_model(file, "cifar_quick").info.preprocessing == classifier.info.preprocessing
