"""Imports by file suffix, number of class names, and files that no import is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from alexnet.checkpoints.model_file import load_model
from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import ModelFileError, UsageError
from alexnet.interop import importer
from alexnet.interop.importer import import_model
from alexnet.interop.match import MatchedModel
from alexnet.interop.published_preprocessing import published_preprocessing
from alexnet.interop.state_dict import read_state_dict
from alexnet.models.network import Network
from alexnet.models.variants import variant
from alexnet.models.zoo import ZOO
from support.narrow_nets import CLASS_NAMES, narrow_architecture, narrow_classifier
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


def test_a_thousand_classes_without_names_are_imagenets(tmp_path: Path) -> None:
    network = Network(variant(ZOO["cifar_quick"], num_classes=1000))
    torch.save(network.state_dict(), tmp_path / "net.pth")
    imported = import_model(tmp_path / "net.pth", "cifar_quick")
    assert imported.class_names_source == "imagenet"
    assert imported.info.class_names[:2] == ("tench", "goldfish")
    assert imported.info.class_names[134] == "crane (n02012849)"
    own = tuple(f"mine {i}" for i in range(1000))
    with_background = ("background", *own)
    for names in (own, with_background):
        imported = import_model(tmp_path / "net.pth", "cifar_quick", class_names=names)
        assert (imported.info.class_names, imported.class_names_source) == (own, "user")


NAMES = ["b", "a", "c", "d", "e", "f", "g"]


@pytest.mark.parametrize(
    "facts",
    [
        {"class_names": NAMES},
        {"args": {"classes": tuple(NAMES)}},
        {"class_to_idx": {name: NAMES.index(name) for name in sorted(NAMES)}},
        {"idx_to_class": dict(enumerate(NAMES)), "classes": ["of another network"]},
    ],
    ids=str,
)
def test_class_names_in_a_checkpoint(state_dict_file: Path, facts: dict[str, object]) -> None:
    torch.save({"state_dict": torch.load(state_dict_file), **facts}, state_dict_file)
    imported = import_model(state_dict_file, "cifar_quick")
    assert (imported.info.class_names, imported.class_names_source) == (tuple(NAMES), "file")


@pytest.mark.parametrize(
    ("facts", "note"),
    [
        ({"class_to_idx": {"a": 0, "b": 2}}, ""),
        ({"classes": 7}, ""),
        ({"classes": ["a", "b", 3, 4, 5, 6, 7]}, ""),
        ({"classes": NAMES[:2]}, "(classes) are not used: they are 2, and the network has 7 outp"),
    ],
)
def test_class_names_that_do_not_fit(
    state_dict_file: Path, facts: dict[str, object], note: str
) -> None:
    torch.save({"state_dict": torch.load(state_dict_file), **facts}, state_dict_file)
    imported = import_model(state_dict_file, "cifar_quick")
    assert imported.class_names_source == "default"
    assert note in "".join(imported.notes)
    assert bool(note) is bool(imported.notes)


def test_a_saved_import_is_not_imported_again(state_dict_file: Path) -> None:
    own = state_dict_file.with_name("own.safetensors")
    import_model(state_dict_file, "cifar_quick").save(own)
    with pytest.raises(UsageError, match="is a model of this program already"):
        import_model(own, "cifar_quick")


def test_as_many_class_names_as_classes(state_dict_file: Path) -> None:
    message = "--class-names has 2 names, but net.pth has 7 classes"
    with pytest.raises(UsageError, match=message):
        import_model(state_dict_file, "cifar_quick", class_names=("a", "b"))


OWN = Preprocessing(resize_size=40, crop_size=36, input_size=32, mean=(1, 2, 3))


@pytest.fixture
def told_by_file(state_dict_file: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A file whose reader also finds class names and a preprocessing in it."""

    def make(**facts: object) -> Path:
        def read(*args: Any, **named: Any) -> MatchedModel:
            return replace(read_state_dict(*args, **named), **facts)

        monkeypatch.setattr(importer, "read_state_dict", read)
        return state_dict_file

    return make


def test_the_files_own_facts_are_used(told_by_file: Callable[..., Path]) -> None:
    path = told_by_file(preprocessing=OWN, class_names=CLASS_NAMES)
    imported = import_model(path, "cifar_quick")
    assert (imported.info.preprocessing, imported.info.class_names) == (OWN, CLASS_NAMES)
    assert (imported.preprocessing_source, imported.class_names_source) == ("file", "file")


def test_the_user_overrides_the_file(told_by_file: Callable[..., Path]) -> None:
    path = told_by_file(preprocessing=OWN, class_names=CLASS_NAMES)
    names = tuple("abcdefg")
    imported = import_model(path, "cifar_quick", class_names=names, preprocessing="published")
    published = published_preprocessing("published", imported.info.architecture)
    assert (imported.info.preprocessing, imported.info.class_names) == (published, names)
    assert (imported.preprocessing_source, imported.class_names_source) == ("user", "user")


def test_a_mean_image_in_a_file_is_saved(told_by_file: Callable[..., Path], tmp_path: Path) -> None:
    own, mean = replace(OWN, has_mean_image=True), torch.rand(3, 32, 32)
    path = told_by_file(preprocessing=own, mean_image=mean)
    import_model(path, "cifar_quick").save(tmp_path / "own.safetensors")
    _, info, found = load_model(tmp_path / "own.safetensors")
    assert info.preprocessing == own
    assert found is not None
    assert torch.equal(found, mean)
    imported = import_model(path, "cifar_quick", preprocessing="notebook")
    assert imported.mean_image is None


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            {"class_names": ("a", "b")},
            "net.pth names 2 classes, but has 7 outputs; name them with --class-names FILE",
        ),
        (
            {"preprocessing": Preprocessing(crop_size=28)},
            r"the preprocessing in net.pth cannot be used: .* choose another with --preprocessing",
        ),
    ],
)
def test_facts_in_a_file_that_do_not_fit(
    told_by_file: Callable[..., Path], facts: dict[str, object], message: str
) -> None:
    path = told_by_file(**facts)
    with pytest.raises(ModelFileError, match=message):
        import_model(path, "cifar_quick")
    names = tuple("abcdefg")
    import_model(path, "cifar_quick", class_names=names, preprocessing="published")


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


def test_an_unknown_format(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    with pytest.raises(ModelFileError, match=r"net\.tflite .*: it is a file of an unknown format"):
        import_model(tmp_path / "net.tflite", "alexnet_owt")


@pytest.mark.parametrize("name", ["net", "net.ckpt", "net.t7", "net.pth.tar", "net.keras"])
def test_the_content_tells_the_format(state_dict_file: Path, name: str) -> None:
    other = state_dict_file.rename(state_dict_file.with_name(name))
    assert import_model(other, "cifar_quick").info.architecture.num_classes == 7


def test_averaged_weights_are_chosen(state_dict_file: Path) -> None:
    state = torch.load(state_dict_file)
    averaged = {f"ema.module.{name}": tensor + 1 for name, tensor in state.items()}
    torch.save({"model": state, **averaged}, state_dict_file)
    plain = import_model(state_dict_file, "cifar_quick")
    assert torch.equal(plain.weights["fc4.bias"], state["fc4.bias"])
    assert plain.notes == (
        "net.pth: model.conv1.weight, .. are taken and ema.module.conv1.weight, .. left out; "
        "alexnet import --weights ema takes the averaged weights (EMA)",
    )
    average = import_model(state_dict_file, "cifar_quick", average=True)
    assert torch.equal(average.weights["fc4.bias"], state["fc4.bias"] + 1)
    (state_dict_file.with_name("net.onnx")).touch()
    with pytest.raises(
        UsageError, match=r"--weights ema is for state dicts only, not for net\.onnx"
    ):
        import_model(state_dict_file.with_name("net.onnx"), "lenet5", average=True)
