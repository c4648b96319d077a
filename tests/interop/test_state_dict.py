"""State dicts, strictly: every tensor matches, or the first that does not is named."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from alexnet.checkpoints.layer_names import TORCHVISION_NAMES
from alexnet.errors import AlexNetError, ModelFileError, UsageError
from alexnet.interop.defaults import chosen_architecture
from alexnet.interop.state_dict import read_state_dict
from alexnet.models.layers import Activation, FullyConnected
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO
from support.narrow_nets import narrow_classifier

ARCH = variant(ZOO["alexnet_owt"], ModelOptions(width=0.05))
"""A state dict must have these widths; it has 7 classes instead of 1000."""


def torchvision_state() -> dict[str, Tensor]:
    """Seven classes under torchvision's names."""
    names = {ours: theirs for theirs, ours in TORCHVISION_NAMES.items()}
    own = narrow_classifier("alexnet_owt").network.state_dict()
    return {f"{names[n.split('.')[0]]}.{n.split('.')[1]}": t for n, t in own.items()}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_torchvisions_net(tmp_path: Path, suffix: str) -> None:
    path, state = tmp_path / f"net{suffix}", torchvision_state()
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    matched = read_state_dict(path, ARCH)
    classifier = narrow_classifier("alexnet_owt")
    own = classifier.network.state_dict()
    assert matched.architecture == classifier.info.architecture
    assert list(matched.weights) == list(own)
    assert all(torch.equal(own[name], tensor) for name, tensor in matched.weights.items())


def test_the_only_architecture_that_fits_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "net.ckpt"
    narrow = variant(ZOO["alexnet_owt"], ModelOptions(width=0.0625))  # a sixteenth of each width
    torch.save({"state_dict": Network(narrow).state_dict()}, path)
    arch, notes = chosen_architecture("", str(path), "file")
    assert (arch.name, notes) == (
        "alexnet_owt",
        ("net.ckpt is alexnet_owt: no other architecture fits",),
    )


@pytest.mark.slow
def test_all_architectures_that_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "net.ckpt"
    narrow = variant(ZOO["alexnet_caffe"], ModelOptions(width=0.125))
    torch.save(Network(narrow).state_dict(), path)
    with pytest.raises(UsageError, match=r"it can be .*alexnet_caffe, caffenet; see alexnet"):
        chosen_architecture("", str(path), "file")


def test_an_input_size_is_looked_at_too(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    own = variant(ZOO["alexnet_bn"], ModelOptions(width=0.05, input_size=67), num_classes=7)
    torch.save(Network(own).state_dict(), path)
    arch, _ = chosen_architecture("", str(path), "file", 67)
    assert arch.name == "alexnet_bn"
    message = (
        r"^net\.pt is alexnet_bn for another input: .*; inputs of 67 to 98 pixels .* --input-size"
    )
    with pytest.raises(UsageError, match=message):
        chosen_architecture("", str(path), "file")


def test_what_no_architecture_can_read_is_told_as_such(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pt")
    with pytest.raises(ModelFileError, match=r"^.*whole\.pt is not .* it holds a whole model"):
        chosen_architecture("", str(tmp_path / "whole.pt"), "file")
    with pytest.raises(ModelFileError, match=r"^there is no file .*none\.pt$"):
        chosen_architecture("", str(tmp_path / "none.pt"), "file")


def small_kernels(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: t[..., :3, :3].contiguous() if t.ndim == 4 else t for n, t in state.items()}


def with_head_of_two(state: dict[str, Tensor]) -> dict[str, Tensor]:
    body = {n: t for n, t in state.items() if not n.startswith("classifier.6")}
    first, second = torch.nn.Linear(204, 16), torch.nn.Linear(16, 7)
    head = torch.nn.Sequential(first, torch.nn.ReLU(), second).state_dict()
    return body | {f"classifier.6.{n}": t for n, t in head.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (small_kernels, r"conv1\.weight has shape 4x3x3x3, expected 4x3x11x11$"),
        (with_head_of_two, r"it has fc8\.weight twice, .* two networks, .* such as a head of two,"),
    ],
)
def test_the_nearest_architecture_is_named_where_none_fits(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]], message: str
) -> None:
    torch.save(change(torchvision_state()), tmp_path / "net.pth")
    start = r"^no published architecture fits .* the nearest: net\.pth is not alexnet_owt: "
    with pytest.raises(UsageError, match=start + message):
        chosen_architecture("", str(tmp_path / "net.pth"), "file")


def test_a_head_of_two_layers_has_a_table_of_its_own(tmp_path: Path) -> None:
    state = with_head_of_two(torchvision_state())
    torch.save(state, tmp_path / "net.pth")
    layers = (*ARCH.layers, Activation("relu8"), FullyConnected("fc9", 7))
    matched = read_state_dict(tmp_path / "net.pth", replace(ARCH, name="mine", layers=layers))
    assert torch.equal(matched.weights["fc8.weight"], state["classifier.6.0.weight"])
    assert torch.equal(matched.weights["fc9.weight"], state["classifier.6.2.weight"])


def without(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {n: t for n, t in state.items() if n != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: without(s, "features.3.bias"), r"it lacks conv2\.bias \(8\)"),
        (lambda s: without(s, "classifier.6.weight"), r"it lacks fc8\.weight \(1000x204\)"),
        (lambda s: {**s, "features.3.weight": torch.zeros(8, 3, 5, 5)},
         r"conv2\.weight has shape 8x3x5x5, expected 8x4x5x5"),
        (lambda s: {**s, "features.0.weight": torch.zeros(4, 2, 11, 11)},
         r"conv1\.weight has shape 4x2x11x11, expected 4x3x11x11"),
        (lambda s: {**s, "features.0.weight": torch.zeros(4, 3, 7, 7)},
         r"conv1\.weight has shape 4x3x7x7, expected 4x3x11x11"),
        (lambda s: {**s, "norm1.scale": torch.zeros(())}, r"it also has norm1\.scale \(scalar\)"),
        (lambda s: {**s, "classifier.6.weight": torch.zeros(0, 204)},
         r"fc8\.weight has shape 0x204, expected 1000x204"),
    ],
)  # fmt: skip
def test_the_first_mismatch_is_named(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]], message: str
) -> None:
    torch.save(change(torchvision_state()), tmp_path / "net.pth")
    with pytest.raises(ModelFileError, match=rf"^net\.pth is not alexnet_owt: {message}$"):
        read_state_dict(tmp_path / "net.pth", ARCH)


def test_batch_norm_without_counters(tmp_path: Path) -> None:
    own = narrow_classifier("alexnet_bn").network.state_dict()
    state = {name: t for name, t in own.items() if not name.endswith("tracked")}
    torch.save(state, tmp_path / "bn.pth")
    arch = variant(ZOO["alexnet_bn"], ModelOptions(width=0.05))
    matched = read_state_dict(tmp_path / "bn.pth", arch, 131)
    assert set(matched.weights) == set(state)
    assert matched.architecture.num_classes == 7


def test_the_shared_features_lack_the_classifier(shared: Path) -> None:
    path = shared / "data" / "alexnet_owt" / "features.pth"
    message = r"^features\.pth is not alexnet_owt: it lacks fc6\.weight \(4096x9216\)$"
    with pytest.raises(ModelFileError, match=message):
        read_state_dict(path, ZOO["alexnet_owt"])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("alexnet_owt", ModelOptions(width=0.07)),
        ("alexnet_owt", ModelOptions(width=0.05, channels=1)),
        ("alexnet", ModelOptions(width=0.05, channels=1)),
        ("alexnet_bn", ModelOptions(width=0.05)),
        ("lenet5", ModelOptions(channels=3)),
    ],
)
def test_widths_and_colors_come_from_the_file(
    tmp_path: Path, name: str, options: ModelOptions
) -> None:
    narrow = variant(ZOO[name], options, num_classes=7)
    torch.save(Network(narrow).state_dict(), tmp_path / "net.pth")
    matched = read_state_dict(tmp_path / "net.pth", ZOO[name])
    assert matched.architecture == narrow
    assert ["channels in its convolutions" in note for note in matched.notes] == (
        [] if name == "lenet5" else [True]
    )


def test_another_input_size_is_the_way_out(tmp_path: Path) -> None:
    narrow = variant(ZOO["alexnet"], ModelOptions(width=0.05, input_size=131))
    torch.save(Network(narrow).state_dict(), tmp_path / "net.pth")
    message = r"fc6\.weight has shape .* an input of 227 pixels; inputs of 131 to 162 pixels give"
    with pytest.raises(ModelFileError, match=message):
        read_state_dict(tmp_path / "net.pth", ZOO["alexnet"])
    assert read_state_dict(tmp_path / "net.pth", ZOO["alexnet"], 131).architecture == narrow


def test_no_input_size_is_named_where_none_helps(tmp_path: Path) -> None:
    state = Network(variant(ZOO["lenet5"], ModelOptions(width=0.5))).state_dict()
    dense = next(name for name, tensor in state.items() if tensor.ndim == 2)
    torch.save({**state, dense: state[dense][:, :-1].contiguous()}, tmp_path / "net.pth")
    with pytest.raises(ModelFileError, match=r"has shape \d+x\d+, expected \d+x\d+$"):
        read_state_dict(tmp_path / "net.pth", ZOO["lenet5"])


@pytest.mark.parametrize("width", [1 / 16, 1 / 8])
def test_the_widths_of_another_published_net_are_recognized(tmp_path: Path, width: float) -> None:
    """Every shape of torchvision's net fits the tutorial's, which has response norm."""
    narrow = variant(ZOO["alexnet_owt"], ModelOptions(width=width))
    torch.save(Network(narrow).state_dict(), tmp_path / "net.pth")
    message = r"is not alexnet_table: .* as those of alexnet_owt; import it with --arch alexnet_owt"
    with pytest.raises(ModelFileError, match=message):
        read_state_dict(tmp_path / "net.pth", ZOO["alexnet_table"])


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("kind", ["torch", "pickle"])
def test_code_is_rejected_and_not_run(tmp_path: Path, kind: str) -> None:
    trap = Trap(tmp_path / "sprung")
    path = tmp_path / "evil.pth"
    if kind == "torch":
        torch.save({**torchvision_state(), "trap": trap}, path)
    else:
        path.write_bytes(pickle.dumps(trap))
    with pytest.raises(ModelFileError, match=r"evil\.pth cannot be read as weights"):
        read_state_dict(path, ARCH)
    assert not (tmp_path / "sprung").exists()


def test_a_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(torchvision_state(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AlexNetError, match=r"net\.pth cannot be read as weights"):
        read_state_dict(path, ARCH)
