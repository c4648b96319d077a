"""Networks with pretrained weights: what is loaded, what must not be random, and what is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import alexnet
from alexnet.api.networks import create_model
from alexnet.errors import (
    AlexNetError,
    MissingDataError,
    ModelFileError,
    UnknownNameError,
    UsageError,
)
from alexnet.interop import torchvision
from alexnet.models import network as networks
from alexnet.models.architecture import Architecture
from alexnet.models.layers import AdaptivePool, Conv, Flatten, FullyConnected

SMALL = Architecture(
    "small", "", (3, 4, 4),
    (Conv("conv1", 2, 3), Flatten("flatten"), FullyConnected("fc2", 3), FullyConnected("fc3", 4)),
)  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with the weights of SMALL, all 0.5."""
    state = networks.create_model(SMALL).state_dict()
    path = tmp_path / "small.safetensors"
    save_file({name: torch.full(t.shape, 0.5) for name, t in state.items()}, path)
    return path


def values(network: networks.Network, layer: str) -> list[float]:
    return network.get_parameter(f"{layer}.weight").unique().tolist()[:2]


@pytest.mark.filterwarnings("error")
def test_all_layers_are_loaded_or_the_last_is_new(file: Path) -> None:
    network = create_model(SMALL, pretrained=file)
    assert [values(network, name) for name in ("conv1", "fc2", "fc3")] == [[0.5]] * 3
    assert network.training
    network = create_model(SMALL, pretrained=str(file), num_classes=7, reporter=None)
    assert values(network, "fc2") == [0.5]
    assert len(values(network, "fc3")) == 2
    assert network.fc3.out_features == 7
    network = create_model(SMALL, pretrained=file, num_classes=4)
    assert values(network, "fc3") == [0.5]
    assert len(values(create_model(SMALL, pretrained=False), "fc2")) == 2


@pytest.mark.filterwarnings("error")
def test_a_convolution_that_classifies_is_new(tmp_path: Path) -> None:
    layers = (Conv("conv1", 2, 3), Conv("cls", 4, 1), AdaptivePool("gap", 1), Flatten("flatten"))
    table, path = Architecture("convs", "", (3, 4, 4), layers), tmp_path / "convs.safetensors"
    save_file({"conv1.weight": torch.ones(2, 3, 3, 3), "conv1.bias": torch.ones(2)}, path)
    network = create_model(table, pretrained=path, num_classes=7)
    assert values(network, "conv1") == [1.0]
    assert network.cls.out_channels == 7
    with pytest.raises(ModelFileError, match=r"lacks cls of convs"):
        create_model(table, pretrained=path)


def test_missing_layers_are_refused_or_warned_of(file: Path) -> None:
    state = networks.create_model(SMALL).state_dict()
    save_file({n: t.contiguous() for n, t in state.items() if n.startswith("conv")}, file)
    with pytest.raises(ModelFileError, match=r"lacks fc2, fc3 of small, or .*num_classes=N"):
        create_model(SMALL, pretrained=file)
    with pytest.warns(UserWarning, match=r"small.safetensors has no fc2: .* as fc3 is") as told:
        create_model(SMALL, pretrained=file, num_classes=5)
    assert told[0].filename == __file__
    save_file({n: t for n, t in state.items() if n.startswith("fc2")}, file)
    with pytest.raises(ModelFileError, match="no conv1"):
        create_model(SMALL, pretrained=file, num_classes=5)


def test_torchvisions_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"do not fit this alexnet: its conv1.* create_model\("):
        create_model("alexnet", pretrained=True)
    with pytest.raises(MissingDataError, match=r"OFFLINE is set.*put it into .*data_root=$"):
        create_model("alexnet_owt", pretrained=True, width=1.0)
    (tmp_path / "alexnet_owt").mkdir()
    (tmp_path / torchvision.FEATURES_FILE).touch()
    with pytest.raises(MissingDataError, match=r"has the convolutions alone: .*num_classes=N"):
        create_model("alexnet_owt", pretrained=True, data_root=tmp_path)
    monkeypatch.setenv("ALEXNET_DATA", str(tmp_path))
    with pytest.raises(MissingDataError, match=r"has the convolutions alone: .*num_classes=N"):
        create_model("alexnet_owt", pretrained=True)


def test_a_run_is_a_source_and_a_wrong_word_is_told(file: Path, tmp_path: Path) -> None:
    file.rename(tmp_path / "model.safetensors")
    assert values(create_model(SMALL, pretrained=tmp_path), "fc3") == [0.5]
    with pytest.raises(UnknownNameError, match="did you mean torchvision"):
        create_model(SMALL, pretrained="torchvison")
    with pytest.raises(UsageError, match="pretrained= and init_from= both name"):
        alexnet.train("photos/", pretrained=True, init_from="x")


def test_a_network_without_its_last_layer_is_answered() -> None:
    with pytest.raises(UsageError, match=r"intermediate_outputs\(images\) gives .* Classifier"):
        create_model("lenet5", num_classes=0)
    with pytest.raises(AlexNetError, match=r"features_only.*intermediate_outputs\(images\) gives"):
        create_model("lenet5", features_only=True)
