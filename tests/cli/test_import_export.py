"""`alexnet import` and `alexnet export` as typed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import onnxruntime
import pytest
import torch

import alexnet
from alexnet.checkpoints.model_file import save_model
from alexnet.cli import main
from alexnet.interop import exporter as exporting
from alexnet.interop.parity import Runner, random_pixels, runner
from alexnet.runtime import extras
from support.narrow_nets import CLASSES, narrow


@dataclass(frozen=True)
class Told:
    code: int
    out: str
    err: str


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> object:
    def command(*words: object) -> Told:
        code = main([str(word) for word in words])
        told = capsys.readouterr()
        return Told(code, told.out, told.err)

    return command


@pytest.fixture
def model(tmp_path: Path) -> Path:
    classifier = narrow("lenet5")
    path = tmp_path / "run" / "model.safetensors"
    save_model(path, classifier.network.state_dict(), classifier.info)
    return path


def test_out_to_onnx_and_back(say, model: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    told = say("export", model.parent, "--format", "onnx")
    assert told.code == 0
    assert "largest difference from onnxruntime" in told.out
    assert "torchvision" not in told.err
    file = model.with_suffix(".onnx")
    session = onnxruntime.InferenceSession(file)
    assert session.get_inputs()[0].shape == ["batch", 1, 32, 32]
    assert json.loads(Path(f"{file}.json").read_text())["is_close"] is True

    names = tmp_path / "names.txt"
    names.write_text("\n".join(CLASSES))
    back = tmp_path / "back.safetensors"
    words = ("import", file, "--arch", "lenet5", "--out", back, "--class-names", names, "--json")
    told = say(*words)
    assert told.code == 0
    facts = json.loads(told.out)
    assert (facts["architecture"], facts["num_classes"], facts["input"]) == (
        "lenet5",
        7,
        [1, 32, 32],
    )
    assert facts["parity"]["relative_difference"] < 1e-5
    pixels = torch.from_numpy(random_pixels(narrow("lenet5").network, 2))
    ours = alexnet.load(back, "cpu")
    assert ours.class_names == CLASSES
    torch.testing.assert_close(ours.network(pixels), narrow("lenet5").network(pixels))
    again = say(*words)
    assert (again.code, again.out) == (2, "")
    assert f"{back} is there already" in again.err


def test_export_to_torch_tells_what_goes_in(say, model: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "net.pt2"
    told = say("export", model, "--format", "torch", "--out", out, "--with-preprocessing")
    assert told.code == 0
    assert "images of 0 to 255, [batch, 1, 32, 32]" in told.out
    assert out.exists()
    told = say("export", model, "--format", "torch", "--out", out)
    assert told.code == 2
    assert "net.pt2 is there already" in told.err
    told = say("export", model, "--format", "onnx", "--out", out)
    assert told.code == 2
    assert "must end in .onnx" in told.err


def test_a_failed_comparison_exits_with_1(  # type: ignore[no-untyped-def]
    say, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(module: torch.nn.Module, shape: object) -> tuple[bytes, Runner, str]:
        return b"file", lambda images: runner(module)(images) * 2, "a test"

    monkeypatch.setattr(exporting, "torch_bytes", wrong)
    told = say("export", model, "--format", "torch", "--json")
    assert told.code == 1
    assert json.loads(told.out)["is_close"] is False
    assert "was not saved" in told.err
    assert not model.with_suffix(".pt2").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("import",), "name one file to import, or --weights torchvision"),
        (("import", "a.pth", "--weights", "torchvision"), "name one file to import"),
        (("import", "a.pth"), "--arch names the architecture"),
        (("import", "a.pth", "--arch", "alexnt"), "did you mean alexnet"),
        (("import", "none.pth", "--arch", "alexnet"), "there is no file none.pth"),
        (("import", "none.keras"), "there is no file none.keras"),
        (("import", "none.onnx", "--arch", "alexnet"), "there is no file none.onnx"),
        (("import", "a.pth", "--arch", "alexnet", "--input-size", "-1"), "must be above 0"),
        (("export", "none.safetensors", "--format", "onnx"), "there is no file none.safetensors"),
        (("export", "none.safetensors"), "--format"),
    ],
)
def test_mistakes_are_one_sentence(  # type: ignore[no-untyped-def]
    say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    told = say(*words)
    assert (told.code, told.out) == (2, "")
    assert message in told.err
    assert len(told.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_an_imported_model_names_no_data(say, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    state, out = tmp_path / "net.pth", tmp_path / "m.safetensors"
    torch.save(alexnet.create_model("cifar_quick").state_dict(), state)
    told = say("import", state, "--arch", "cifar_quick", "--out", out)
    assert (told.code, "minus (0, 0, 0), divided by (255, 255, 255)" in told.out) == (0, True)
    told = say("evaluate", out)
    assert told.code == 2
    assert "names no data set; say which with --data" in told.err


def test_class_names_must_be_as_many(say, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    torch.save(alexnet.create_model("lenet5").state_dict(), tmp_path / "net.pth")
    (tmp_path / "names.txt").write_text("a\nb\n")
    words = ("import", tmp_path / "net.pth", "--arch", "lenet5")
    told = say(*words, "--class-names", tmp_path / "names.txt", "--out", tmp_path / "m.safetensors")
    assert told.code == 2
    assert "--class-names has 2 names, and net.pth has 10 classes" in told.err
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize(
    ("package", "words", "line"),
    [
        ("onnx", ("import", "a.onnx", "--arch", "alexnet"), "pip install 'alexnet[onnx]'"),
        ("onnxscript", ("export", "MODEL", "--format", "onnx"), "pip install 'alexnet[onnx]'"),
        ("h5py", ("import", "a.keras"), "pip install 'alexnet[keras]'"),
    ],
)
def test_a_missing_package_is_named(  # type: ignore[no-untyped-def]
    say, model: Path, monkeypatch: pytest.MonkeyPatch, package: str, words: tuple[str], line: str
) -> None:
    real = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == package else real(name))
    told = say(*(model if word == "MODEL" else word for word in words))
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
