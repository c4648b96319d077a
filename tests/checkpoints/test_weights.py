"""Weights of other programs: read without running anything, renamed, taken where they fit."""

from __future__ import annotations

import os
import pickle
import random
import zipfile
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from alexnet.checkpoints.file_format import LEGACY_MAGIC
from alexnet.checkpoints.layer_names import TORCHVISION_NAMES
from alexnet.checkpoints.weights import load_matching_weights, weights_file
from alexnet.checkpoints.weights import read_weights as read_foreign
from alexnet.errors import ModelFileError
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import architecture

OWT = architecture("alexnet_owt")


def read_weights(path: Path) -> dict[str, Tensor]:
    return read_foreign(path, OWT).tensors


def network(name: str = "alexnet_owt", width: float = 0.05, classes: int = 7) -> Network:
    """A small net with weights of its own."""
    torch.manual_seed(1)
    return Network(variant(architecture(name), ModelOptions(width=width), num_classes=classes))


def foreign(width: float = 0.05, classes: int = 7) -> dict[str, Tensor]:
    """The weights of a small net under torchvision's names, all different from `network`'s."""
    theirs = {ours: theirs for theirs, ours in TORCHVISION_NAMES.items()}
    state = network(width=width, classes=classes).state_dict()
    return {
        f"{theirs[name.split('.')[0]]}.{name.split('.')[1]}": torch.randn(t.shape)
        for name, t in state.items()
    }


@pytest.mark.parametrize("wrap", ["plain", "legacy", "safetensors", "module.", "state_dict"])
def test_torchvisions_names_become_ours(tmp_path: Path, wrap: str) -> None:
    state, path = foreign(), tmp_path / "weights.pth"
    match wrap:
        case "safetensors":
            path = tmp_path / "weights.safetensors"
            save_file(state, path)
        case "module.":
            torch.save({f"module.{name}": t for name, t in state.items()}, path)
        case "state_dict":
            torch.save({"state_dict": state, "epoch": 3}, path)
        case _:
            torch.save(state, path, _use_new_zipfile_serialization=wrap != "legacy")
    net = network()
    report = load_matching_weights(net, read_weights(path))
    assert set(report.loaded) == set(net.state_dict())
    assert (report.unused, report.missing) == ((), ())
    for theirs, ours in TORCHVISION_NAMES.items():
        assert torch.equal(net.get_parameter(f"{ours}.weight"), state[f"{theirs}.weight"])
        assert torch.equal(net.get_parameter(f"{ours}.bias"), state[f"{theirs}.bias"])


def test_what_does_not_fit_is_listed_with_both_shapes() -> None:
    net = network(classes=7)
    weights = {
        f"{TORCHVISION_NAMES[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": tensor
        for name, tensor in foreign(classes=9).items()
    }
    weights["extra.weight"] = torch.zeros(2, 2)
    own = net.get_parameter("fc8.weight").detach().clone()
    features = own.shape[1]
    report = load_matching_weights(net, weights)
    assert set(report.unused) == {
        f"fc8.weight (9x{features}, here 7x{features})",
        "fc8.bias (9, here 7)",
        "extra.weight (2x2, no such tensor here)",
    }
    assert set(report.missing) == {"fc8.weight", "fc8.bias"}
    assert torch.equal(net.get_parameter("fc8.weight"), own)
    assert torch.equal(net.get_parameter("fc7.weight"), weights["fc7.weight"])


def test_half_precision_is_taken_as_float() -> None:
    net = network()
    load_matching_weights(net, {"fc8.bias": torch.full((7,), 0.5, dtype=torch.float16)})
    assert net.get_parameter("fc8.bias").dtype == torch.float32
    assert net.get_parameter("fc8.bias").tolist() == [0.5] * 7


def test_weights_that_do_not_fit_are_rejected() -> None:
    with pytest.raises(ModelFileError, match=r"none of the weights fit alexnet_owt; first: w \(2"):
        load_matching_weights(network(), {"w": torch.zeros(2)})


def test_step_counters_alone_are_nothing() -> None:
    other = network("alexnet_bn", width=0.1).state_dict()
    mismatched = {n: t for n, t in other.items() if not n.startswith(("fc8.", "bn6", "bn7"))}
    assert any(name.endswith("num_batches_tracked") for name in mismatched)
    with pytest.raises(ModelFileError, match="none of the weights fit alexnet_bn"):
        load_matching_weights(network("alexnet_bn", width=0.05), mismatched)


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("kind", ["torch", "pickle"])
def test_code_in_a_pickle_is_rejected_and_not_run(tmp_path: Path, kind: str) -> None:
    state = {"conv1.weight": torch.zeros(2), "trap": Trap(tmp_path / "sprung")}
    path = tmp_path / "evil.pth"
    if kind == "torch":
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(ModelFileError, match=r"evil\.pth cannot be read as weights"):
        read_weights(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("state", "content"),
    [
        ({}, "it holds a dict with 0 entries"),
        ([torch.zeros(1)], "it holds a list with 1 entries"),
        ({"epoch": 1, "loss": 0.5}, "its keys are epoch, loss, and none holds the weights"),
        ({"optimizer": {"state": {0: {"exp_avg": torch.zeros(2, 2)}}}}, "its keys are optimizer"),
        (torch.zeros(2), "it holds a single tensor"),
        (Namespace(lr=1), "it holds an object of type Namespace"),
    ],
    ids=str,
)
def test_anything_but_a_dict_of_tensors_is_rejected(
    tmp_path: Path, state: object, content: str
) -> None:
    torch.save(state, tmp_path / "odd.pth")
    message = rf"odd\.pth is not a state dict of tensors: {content}"
    with pytest.raises(ModelFileError, match=message):
        read_weights(tmp_path / "odd.pth")


def test_missing_and_text_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no file"):
        read_weights(tmp_path / "nothing.pth")
    for name in ("text.pth", "text.safetensors"):
        for content in (b"", b"\x80", b"some text", b"\x80\x02junk", LEGACY_MAGIC, b"PK\3\4.."):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(ModelFileError, match=f"{name} cannot be read as weights"):
                read_weights(tmp_path / name)


@pytest.mark.parametrize("is_legacy", [True, False])
def test_whatever_is_damaged_it_is_one_error(tmp_path: Path, is_legacy: bool) -> None:
    """Flipped and cut files are read or refused, and raise nothing else."""
    path, rng = tmp_path / "damaged.pth", random.Random(0)
    state = {"conv1.weight": torch.zeros(2, 3), "conv1.bias": torch.zeros(2)}
    torch.save(state, path, _use_new_zipfile_serialization=not is_legacy)
    whole, refused = path.read_bytes(), 0
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(4):
            damaged[rng.randrange(min(400, len(whole)))] = rng.randrange(256)
        path.write_bytes(damaged[: rng.choice([len(whole), rng.randrange(len(whole))])])
        try:
            read_weights(path)
        except ModelFileError as error:
            refused += "\n" not in str(error)
    assert refused > 30


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(2, 2).to_sparse(), "conv1.weight is not a dense array of real numbers"),
        (torch.zeros(2, 2, dtype=torch.complex64), "not a dense array of real numbers"),
        (torch.tensor([1.0, float("nan")]), "conv1.weight has values that are not finite"),
        (torch.zeros(1).expand(1000), "conv1.weight claims 1,000 numbers and has fewer"),
    ],
    ids=["sparse", "complex", "nan", "expanded"],
)
def test_tensors_that_are_no_weights_are_rejected(
    tmp_path: Path, tensor: Tensor, message: str
) -> None:
    torch.save({"conv1.weight": tensor, "w": torch.zeros(1, 1)}, tmp_path / "weights.pth")
    with pytest.raises(ModelFileError, match=message):
        read_weights(tmp_path / "weights.pth")


def test_one_layer_under_two_names_is_rejected(tmp_path: Path) -> None:
    state = {"conv1.weight": torch.zeros(1, 1), "net.features.0.weight": torch.zeros(1, 1)}
    torch.save(state, tmp_path / "weights.pth")
    message = r"it has conv1\.weight twice, as conv1\.weight and as net\.features\.0\.weight; if"
    with pytest.raises(ModelFileError, match=message):
        read_weights(tmp_path / "weights.pth")


def test_a_file_that_unpacks_to_more_than_it_has_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 20))
    with pytest.raises(ModelFileError, match="bytes unpack to 1,048,576"):
        read_weights(path)


def test_fully_connected_layers_alone_are_no_start() -> None:
    """fc7 is the same in many networks; training would start from random convolutions."""
    net = network()
    state = {name: t for name, t in net.state_dict().items() if not name.startswith("conv")}
    first = r"first: other\.weight \(4x3x7x7, no such tensor here\)$"
    with pytest.raises(ModelFileError, match=f"but none of its convolutions does; {first}"):
        load_matching_weights(net, {"other.weight": torch.zeros(4, 3, 7, 7), **state})
    with pytest.raises(ModelFileError, match=r"first: there is no conv1\.weight$"):
        load_matching_weights(net, state)


def test_a_run_folder_means_its_model_or_its_last_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"is a folder without a model \(model.safetensors\)"):
        weights_file(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    for step in (9, 1000010, 20):
        (tmp_path / "checkpoints" / f"step-{step:06d}.safetensors").touch()
    assert weights_file(tmp_path).name == "step-1000010.safetensors"
    (tmp_path / "model.safetensors").touch()
    assert weights_file(tmp_path) == tmp_path / "model.safetensors"
    assert weights_file(tmp_path / "model.safetensors").name == "model.safetensors"
