"""State dicts that torchvision's `alexnet` loads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from alexnet.checkpoints.model_file import ModelInfo
from alexnet.config.recipe import Recipe
from alexnet.errors import UsageError
from alexnet.inference.classifier import Classifier
from alexnet.interop import torchvision_export
from alexnet.interop.class_names import read_class_names
from alexnet.interop.exporter import export_model
from alexnet.interop.importer import import_model
from alexnet.interop.published_preprocessing import published_preprocessing
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Conv, FullyConnected
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO
from support.narrow_nets import CLASS_NAMES, narrow_classifier


class TheirAlexNet(nn.Module):
    """The modules of torchvision's `alexnet`, by its names, with the widths of `arch`."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = (x.channels for x in arch.layers if isinstance(x, Conv))
        f1, f2, f3 = (x.features for x in arch.layers if isinstance(x, FullyConnected))
        self.features = nn.Sequential(
            nn.Conv2d(3, c1, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(c1, c2, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(c2, c3, 3, padding=1), nn.ReLU(),
            nn.Conv2d(c3, c4, 3, padding=1), nn.ReLU(),
            nn.Conv2d(c4, c5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(c5 * 36, f1), nn.ReLU(),
            nn.Dropout(), nn.Linear(f1, f2), nn.ReLU(),
            nn.Linear(f2, f3),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return y


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_their_network_loads_it_strictly_and_agrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """A narrow network, whose widths are not refused here."""
    monkeypatch.setattr(torchvision_export, "check_structure", lambda arch: None)
    classifier, path = narrow_classifier("alexnet_owt"), tmp_path / f"net{suffix}"
    report = export_model(classifier, path, "torchvision", batch_sizes=(1,))
    assert (report.is_close, report.parity.max_abs_difference) == (True, 0)
    assert report.files == (path.name, f"{path.name}.json")
    weights = load_file(path) if suffix == ".safetensors" else torch.load(path, weights_only=True)
    theirs = TheirAlexNet(classifier.info.architecture).eval()
    theirs.load_state_dict(weights, strict=True)
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(theirs(images), classifier.network(images))
    names = read_class_names(tmp_path / f"{path.name}.json")
    back = import_model(path, "alexnet_owt", class_names=names)
    assert back.info.class_names == CLASS_NAMES
    own = classifier.network.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in back.weights.items())


OWT = variant(ZOO["alexnet_owt"], num_classes=17)


@pytest.mark.parametrize(
    ("arch", "problem"),
    [
        (ZOO["alexnet"], "conv1 is not as there"),
        (ZOO["lenet5"], r"it takes 1 channel\(s\)"),
        (variant(OWT, ModelOptions(width=0.5)), "conv1 is not as there"),
        (variant(OWT, ModelOptions(activation="tanh")), "relu1 is not as there"),
        (replace(OWT, layers=OWT.layers[:-1]), "fc8 is not as there"),
    ],
)
def test_other_networks_are_refused(arch: Architecture, problem: str) -> None:
    with pytest.raises(UsageError, match=f"{problem} in this model .*--format onnx write any"):
        torchvision_export.check_structure(arch)


def test_classes_inputs_and_dropout_do_not_matter() -> None:
    torchvision_export.check_structure(variant(OWT, ModelOptions(input_size=128, dropout=0.1)))


@pytest.mark.slow
def test_a_network_of_the_published_widths(tmp_path: Path) -> None:
    arch = variant(OWT, ModelOptions(input_size=64))
    info = ModelInfo(
        architecture=arch,
        class_names=tuple(f"class {i}" for i in range(17)),
        preprocessing=published_preprocessing("published", arch),
        recipe=Recipe(arch="alexnet_owt"),
    )
    classifier = Classifier(Network(arch).eval(), info)
    report = export_model(classifier, tmp_path / "net.pth", "torchvision", batch_sizes=(1,))
    assert report.is_close
    TheirAlexNet(arch).load_state_dict(torch.load(tmp_path / "net.pth", weights_only=True))
