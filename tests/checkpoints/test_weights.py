"""Weights of other programs: read without running anything, renamed, taken where they fit."""

from __future__ import annotations

import os
import pickle
import random
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from alexnet.checkpoints.weights import load_matching_weights, read_weights, to_local_name
from alexnet.errors import ModelFileError
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import architecture

TORCHVISION = {
    "features.0": "conv1", "features.3": "conv2", "features.6": "conv3", "features.8": "conv4",
    "features.10": "conv5", "classifier.1": "fc6", "classifier.4": "fc7", "classifier.6": "fc8",
}  # fmt: skip


def network(name: str = "alexnet_owt", width: float = 0.05, classes: int = 7) -> Network:
    """A small net with weights of its own."""
    torch.manual_seed(1)
    return Network(variant(architecture(name), ModelOptions(width=width), num_classes=classes))


def foreign(width: float = 0.05, classes: int = 7) -> dict[str, Tensor]:
    """The weights of a small net under torchvision's names, all different from `network`'s."""
    theirs = {ours: theirs for theirs, ours in TORCHVISION.items()}
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
    for theirs, ours in TORCHVISION.items():
        assert torch.equal(net.get_parameter(f"{ours}.weight"), state[f"{theirs}.weight"])
        assert torch.equal(net.get_parameter(f"{ours}.bias"), state[f"{theirs}.bias"])


def test_names_that_are_not_torchvisions_stay() -> None:
    assert to_local_name("conv1.weight") == "conv1.weight"
    assert to_local_name("features.1.weight") == "features.1.weight"
    assert to_local_name("bn1.running_mean") == "bn1.running_mean"
    assert to_local_name("epoch") == "epoch"


def test_what_does_not_fit_is_listed_with_both_shapes() -> None:
    net, weights = network(classes=7), {to_local_name(n): t for n, t in foreign(classes=9).items()}
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


@pytest.mark.parametrize("state", [{}, [torch.zeros(1)], {"a": 1}, torch.zeros(2)], ids=str)
def test_anything_but_a_dict_of_tensors_is_rejected(tmp_path: Path, state: object) -> None:
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(ModelFileError, match=r"odd\.pth is not a state dict of tensors"):
        read_weights(tmp_path / "odd.pth")


def test_missing_and_text_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no file"):
        read_weights(tmp_path / "nothing.pth")
    for name in ("text.pth", "text.safetensors"):
        for content in (b"", b"\x80", b"some text"):
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
        (torch.zeros(2, dtype=torch.complex64), "not a dense array of real numbers"),
        (torch.tensor([1.0, float("nan")]), "conv1.weight has values that are not finite"),
        (torch.zeros(1).expand(1000), "conv1.weight claims 1,000 numbers and has fewer"),
    ],
    ids=["sparse", "complex", "nan", "expanded"],
)
def test_tensors_that_are_no_weights_are_rejected(
    tmp_path: Path, tensor: Tensor, message: str
) -> None:
    torch.save({"conv1.weight": tensor}, tmp_path / "weights.pth")
    with pytest.raises(ModelFileError, match=message):
        read_weights(tmp_path / "weights.pth")


def test_one_layer_under_two_names_is_rejected(tmp_path: Path) -> None:
    state = {"conv1.weight": torch.zeros(1), "features.0.weight": torch.zeros(1)}
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(ModelFileError, match="has a layer twice, under two names"):
        read_weights(tmp_path / "weights.pth")


def test_a_file_that_unpacks_to_more_than_it_has_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(1 << 20))
    with pytest.raises(ModelFileError, match="bytes unpack to 1,048,576"):
        read_weights(path)
