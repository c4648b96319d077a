"""`alexnet import` and `alexnet export` as typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.numpy import save_file

import alexnet
from alexnet.checkpoints.model_file import save_model
from alexnet.inference.classifier import Classifier
from alexnet.interop import torchvision_export
from alexnet.interop.export_module import FileOptions
from alexnet.interop.exporter import EXPORTERS
from alexnet.interop.parity import Runner, random_images, torch_runner
from alexnet.runtime import extras
from support.commands import Command, CommandResult
from support.narrow_nets import CLASS_NAMES, narrow_classifier
from support.runs import Witness


@pytest.fixture
def model(tmp_path: Path) -> Path:
    classifier = narrow_classifier("lenet5")
    path = tmp_path / "run" / "model.safetensors"
    save_model(path, classifier.network.state_dict(), classifier.info)
    return path


def run_advice(told: CommandResult, **names: object) -> Any:
    """What the Python after "next" gives."""
    (line,) = (line for line in told.err.splitlines() if line.startswith("next "))
    return eval(line.removeprefix("next      in Python: "), names)


@pytest.mark.slow
def test_out_to_onnx_and_back(command: Command, model: Path, tmp_path: Path) -> None:
    told = command("export", model.parent, "--format", "onnx")
    assert told.code == 0
    assert "largest difference from onnxruntime" in told.out
    for line in (
        "images    stretch to 32 x 32 (Lanczos), center crop 32, "
        "gray (0.299 R + 0.587 G + 0.114 B), values of 0 to 255, minus (0), divided by (255)",
        "input     float32 [batch, 1, 32, 32]",
        "output    logits [batch, 7] of rose, tulip, daisy, iris, lily, ...",
    ):
        assert line in told.out.splitlines()
    assert "softmax   of the logits divided by 1.25 gives the probabilities" in told.out
    assert "torchvision" not in told.err
    file, script = model.with_suffix(".onnx"), model.with_name("predict_model.py")
    assert f"next      python {script} IMAGE" in told.err
    assert script.exists()
    session = onnxruntime.InferenceSession(file)
    assert session.get_inputs()[0].shape == ["batch", 1, 32, 32]
    assert json.loads(Path(f"{file}.json").read_text())["is_close"] is True

    back = tmp_path / "back.safetensors"
    words = ("import", file, "--arch", "lenet5", "--out", back, "--json")
    told = command(*words)
    assert told.code == 0
    facts = json.loads(told.out)
    assert (facts["architecture"], facts["num_classes"]) == ("lenet5", 7)
    assert facts["input_shape"] == [1, 32, 32]
    assert (facts["class_names_source"], facts["preprocessing_source"]) == ("file", "file")
    assert facts["parity"]["relative_difference"] < 1e-5
    own = narrow_classifier("lenet5").network
    assert facts["num_parameters"] == sum(p.numel() for p in own.parameters())
    images = torch.from_numpy(random_images(own, 2))
    imported = alexnet.load(back, "cpu")
    assert imported.class_names == CLASS_NAMES
    torch.testing.assert_close(imported.network(images), own(images))
    again = command(*words)
    assert (again.code, again.out) == (2, "")
    assert f"{back} exists already" in again.err


@pytest.mark.slow
def test_export_to_torch_says_what_goes_in(command: Command, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.pt2"
    told = command("export", model, "--format", "torch", "--out", out)
    assert told.code == 0
    assert "divided by (255)\ninput     float32 [batch, 1, 32, 32]\n" in told.out
    assert out.exists()
    assert "class names, preprocessing and temperature\n" in told.out  # no import reads a program
    logits = run_advice(told, torch=torch, images=torch.zeros(2, 1, 32, 32))
    assert logits.shape == (2, 7)
    told = command("export", model, "--format", "torch", "--out", out)
    assert told.code == 2
    assert "net.pt2 exists already" in told.err
    told = command("export", model, "--format", "onnx", "--out", out)
    assert told.code == 2
    assert "must end in .onnx" in told.err


def test_a_failed_comparison_exits_with_1(
    command: Command, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(classifier: Classifier, options: FileOptions) -> tuple[bytes, Runner, str]:
        return b"file", lambda x: torch_runner(classifier.network)(x) * 2, "a test"

    monkeypatch.setitem(EXPORTERS, "torch", wrong)
    told = command("export", model, "--format", "torch", "--json")
    assert told.code == 1
    assert json.loads(told.out)["is_close"] is False
    assert "computes something else than the model and was not saved" in told.err
    assert not model.with_suffix(".pt2").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("import",), "name one file to import, or --weights torchvision"),
        (("import", "a.pth", "--weights", "torchvision"), "name one file to import"),
        (("import", "a.pth"), "there is no file a.pth"),
        (("import", "a.pth", "--arch", "alexnt"), "did you mean alexnet"),
        (("import", "none.pth", "--arch", "alexnet"), "there is no file none.pth"),
        (("import", "none.keras"), "there is no file none.keras"),
        (("import", "none.onnx", "--arch", "alexnet"), "there is no file none.onnx"),
        (("import", "a.pth", "--arch", "alexnet", "--input-size", "-1"), "must be at least 1"),
        (("import", "a.pth", "--pictures", "caffe"), "--pictures"),
        (("export", "none.safetensors", "--format", "onnx"), "there is no file none.safetensors"),
        (("export", "none.safetensors"), "--format"),
    ],
)
def test_mistakes_are_one_sentence(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    told = command(*words)
    assert (told.code, told.out) == (2, "")
    assert message in told.err
    assert len(told.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_an_import_never_advises_to_remove_its_own_file(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_file({"features.0.weight": np.zeros((2, 2), np.float32)}, "model.safetensors")
    words = ("import", "model.safetensors", "--arch", "alexnet_owt")
    for others in ((), ("--out", tmp_path / "model.safetensors")):
        told = command(*words, *others)
        assert "is the file to import itself; name the model file with --out" in told.err


def test_a_model_of_this_program_needs_no_import(
    command: Command, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (model.parent, model):
        told = command("import", path)
        assert (told.code, told.out) == (2, "")
        assert f"{path} is a model of this program already; no import is needed" in told.err
    monkeypatch.chdir(model.parent)
    assert "name one file to import" in command("import").err


def test_preprocessing_by_flag_and_an_import_that_names_no_data(
    command: Command, tmp_path: Path
) -> None:
    state, out = tmp_path / "net.pth", tmp_path / "m.safetensors"
    torch.save(alexnet.create_model("cifar_quick").state_dict(), state)
    words = ("import", state, "--arch", "cifar_quick")
    told = command(*words, "--out", tmp_path / "other.safetensors", "--preprocessing", "caffe")
    assert f"next      alexnet predict {tmp_path / 'other.safetensors'} IMAGE\n" in told.err
    assert "minus (122.679, 116.669, 104.007), divided by (1, 1, 1)" in told.out
    assert "as --preprocessing says" in told.out
    told = command(*words, "--out", out)
    assert (told.code, "minus (0, 0, 0), divided by (255, 255, 255)" in told.out) == (0, True)
    assert "as published for this architecture: the file does not say" in told.out
    reporter = Witness()
    alexnet.import_model(state, "cifar_quick", reporter=reporter)
    assert reporter.notes == [
        "net.pth does not say how images are preprocessed; taken: stretch to 32 x 32 (Lanczos), "
        "center crop 32, RGB, values of 0 to 255, minus (0, 0, 0), divided by (255, 255, 255)"
    ]
    told = command(*words, "--input-size", "33", "--out", tmp_path / "33.safetensors")
    assert "architecture, scaled from 32 to 33 pixels: the file does not say" in told.out
    assert "class 0, class 1, class 2, class 3, class 4, ... (the file has no names" in told.out
    told = command("evaluate", out)
    assert told.code == 2
    assert "--data" in told.err


def test_out_to_torchvision_and_back(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchvision_export, "check_structure", lambda arch: None)
    own, run = narrow_classifier("alexnet_owt"), tmp_path / "own.safetensors"
    own.save(run)
    out, back = tmp_path / "net.pth", tmp_path / "back.safetensors"
    told = command("export", run, "--format", "torchvision", "--out", out)
    assert told.code == 0
    line = "beside    class names, preprocessing and temperature, in net.pth.json, which alexnet "
    assert line + "import reads, too\n" in told.out
    words = ("import", out, "--arch", "alexnet_owt", "--out", back)
    told = command(*words)
    assert told.code == 0
    assert "          as net.pth.json says\n" in told.out
    assert "rose, tulip, daisy, iris, lily, ... (from net.pth.json)\n" in told.out
    assert alexnet.load(back).info.temperature == own.info.temperature == 1.25
    back.unlink()
    told = command(*words, "--class-names", f"{out}.json", "--json")
    facts = json.loads(told.out)
    assert (facts["class_names_source"], facts["preprocessing_source"]) == ("user", "report")
    Path(f"{out}.json").unlink()
    imported = alexnet.import_model(
        out, "alexnet_owt", class_names=list(CLASS_NAMES), reporter=None
    )
    assert imported.info.temperature == 1


def test_bgr_is_not_for_keras_files(command: Command, tmp_path: Path) -> None:
    told = command("import", tmp_path / "a.keras", "--channel-order", "bgr")
    assert told.code == 2
    assert "--channel-order bgr is not for Keras files such as a.keras" in told.err


def test_class_names_must_be_as_many(command: Command, tmp_path: Path) -> None:
    torch.save(alexnet.create_model("lenet5").state_dict(), tmp_path / "net.pth")
    (tmp_path / "names.txt").write_text("a\nb\n")
    words = ("import", tmp_path / "net.pth", "--arch", "lenet5", "--class-names")
    told = command(*words, tmp_path / "names.txt", "--out", tmp_path / "m.safetensors")
    assert told.code == 2
    assert "--class-names has 2 names, but net.pth has 10 classes" in told.err
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize(
    ("package", "words", "line"),
    [
        ("onnx", ("import", "a.onnx", "--arch", "alexnet"), 'pip install "alexnet[onnx]"'),
        ("onnxscript", ("export", "MODEL", "--format", "onnx"), 'pip install "alexnet[onnx]"'),
        ("h5py", ("import", "a.keras"), 'pip install "alexnet[keras]"'),
    ],
)
def test_a_missing_package_is_named(
    command: Command,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    words: tuple[str, ...],
    line: str,
) -> None:
    real = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == package else real(name))
    told = command(*(model if word == "MODEL" else word for word in words))
    assert (told.code, told.out) == (2, "")
    assert f"needs the package {package}, which is not installed; {line}" in told.err


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom alexnet.cli import main\n"
        "for verb in ('import', 'export'):\n"
        "    try: main([verb, '--help'])\n"
        "    except SystemExit: pass\n"
        "print([m for m in ('torch', 'onnx', 'h5py', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_out_to_keras_and_back(command: Command, model: Path, tmp_path: Path) -> None:
    told = command("export", model.parent, "--format", "keras")
    assert told.code == 0
    assert "largest difference from the file, read back" in told.out
    assert "float32 [batch, 32, 32, 1]" in told.out
    assert "minus" not in told.out  # the file normalizes
    file, back = model.with_suffix(".keras"), tmp_path / "back.safetensors"
    told = command("import", file, "--arch", "lenet5", "--out", back)
    assert (told.code, told.err.startswith("next      alexnet predict")) == (0, True)
    assert "as the file says" in told.out
    own, imported = alexnet.load(model, "cpu"), alexnet.load(back, "cpu")
    assert imported.class_names == own.class_names
    assert imported.info.preprocessing == own.info.preprocessing
    weights = imported.network.state_dict()
    assert all(torch.equal(t, weights[name]) for name, t in own.network.state_dict().items())
    told = command("export", model, "--format", "keras", "--out", tmp_path / "net.h5")
    assert (told.code, told.out) == (2, "")
    assert "must end in .keras or .weights.h5" in told.err
