"""Imports by file suffix, class names, and files that no import is for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from alexnet.errors import ModelFileError, UsageError
from alexnet.interop.importer import import_model, read_class_names
from alexnet.models.zoo import ZOO
from support.narrow_nets import narrow_architecture, narrow_classifier
from support.onnx_files import OnnxExports, edited_onnx


@pytest.fixture
def state_dict_file(tmp_path: Path) -> Path:
    torch.save(narrow_classifier("cifar_quick").network.state_dict(), tmp_path / "net.pth")
    return tmp_path / "net.pth"


@pytest.fixture(autouse=True)
def narrow_zoo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state dict must have the widths of the zoo's architecture, so that is narrow here."""
    monkeypatch.setitem(ZOO, "cifar_quick", narrow_architecture("cifar_quick"))


def test_a_state_dict(state_dict_file: Path) -> None:
    imported = import_model(state_dict_file, "cifar_quick")
    assert imported.info.class_names == tuple(f"class {i}" for i in range(7))
    assert imported.info.recipe.init_from == "net.pth"
    assert imported.parity is None


def test_a_saved_import_is_not_imported_again(state_dict_file: Path) -> None:
    own = state_dict_file.with_name("own.safetensors")
    import_model(state_dict_file, "cifar_quick").save(own)
    with pytest.raises(UsageError, match="is a model of this program already"):
        import_model(own, "cifar_quick")


def test_as_many_class_names_as_classes(state_dict_file: Path) -> None:
    message = "--class-names has 2 names, but net.pth has 7 classes"
    with pytest.raises(UsageError, match=message):
        import_model(state_dict_file, "cifar_quick", class_names=("a", "b"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(
    onnx_exports: OnnxExports, tmp_path: Path, value: float
) -> None:
    def edit(graph: onnx.GraphProto) -> None:
        conv = next(node for node in graph.node if node.op_type == "Conv")
        for tensor in graph.initializer:
            if tensor.name == conv.input[2]:
                array = np.full_like(numpy_helper.to_array(tensor), value)
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    path = edited_onnx(onnx_exports("lenet5").path, tmp_path / "net.onnx", edit)
    message = r"^net\.onnx: conv1\.bias has values that are not finite$"
    with pytest.raises(ModelFileError, match=message):
        import_model(path, "lenet5")


def test_unknown_suffix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"net\.tflite does not end in one of \.onnx, \.keras"):
        import_model(tmp_path / "net.tflite", "alexnet_owt")


def test_bgr_is_for_onnx_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--channel-order bgr is for ONNX files only, not for a"):
        import_model(tmp_path / "a.pth", "alexnet_owt", channel_order="bgr")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "has no class names"), (b"\xff\xfe\x00", "is not UTF-8 text")],
)
def test_class_names_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(ModelFileError, match=message):
        read_class_names(tmp_path / "names.txt")
    with pytest.raises(ModelFileError, match="there is no file"):
        read_class_names(tmp_path / "none.txt")
    with pytest.raises(ModelFileError, match="cannot be read as class names"):
        read_class_names(tmp_path)


def test_class_names_as_people_save_them(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes("\ufeffrose\r\n ox eye \r\n\r\n".encode())
    assert read_class_names(tmp_path / "names.txt") == ("rose", "ox eye")
