"""State dicts that torchvision's `alexnet` loads."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from alexnet.checkpoints.model_file import ModelInfo
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_dict
from alexnet.errors import UsageError
from alexnet.inference.classifier import Classifier, build_classifier
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


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Classifier, Path]:
    """A narrow classifier with a preprocessing of its own, and its state dict."""
    monkeypatch.setattr(torchvision_export, "check_structure", lambda arch: None)
    narrow, path = narrow_classifier("alexnet_owt"), tmp_path / "net.pth"
    arch = variant(narrow.info.architecture, ModelOptions(input_size=128))
    info = replace(
        narrow.info,
        architecture=arch,
        preprocessing=Preprocessing(
            resize="stretch", resize_size=128, crop_size=120, input_size=128, mean=(90.5, 80.1, 70)
        ),
        temperature=0.7,
    )
    classifier = build_classifier(narrow.network.state_dict(), info, None, "cpu")
    export_model(classifier, path, "torchvision", batch_sizes=(1,))
    return classifier, path


def test_an_import_has_the_facts_in_the_report(exported: tuple[Classifier, Path]) -> None:
    classifier, path = exported
    report = Path(f"{path}.json")
    back = import_model(path, "alexnet_owt")
    info = classifier.info
    assert (back.report, back.notes) == (report.name, import_model(path, OWT).notes)
    assert (back.preprocessing_source, back.class_names_source) == ("report", "report")
    assert back.info.class_names == CLASS_NAMES
    assert back.info.preprocessing == info.preprocessing
    assert back.info.temperature == info.temperature
    assert back.info.architecture.input == info.architecture.input
    pixels = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), np.uint8)
    np.testing.assert_array_equal(
        back.classifier("cpu").probabilities(pixels), classifier.probabilities(pixels)
    )
    elsewhere = report.rename(path.with_name("names.json"))
    assert import_model(path, "alexnet_owt").preprocessing_source == "default"
    told = import_model(path, "alexnet_owt", class_names=elsewhere)
    assert (told.info.preprocessing, told.report) == (info.preprocessing, "names.json")
    assert (told.info.class_names, told.class_names_source) == (CLASS_NAMES, "user")


def test_what_the_user_says_comes_before_the_report(exported: tuple[Classifier, Path]) -> None:
    classifier, path = exported
    names = tuple("abcdefg")
    back = import_model(path, "alexnet_owt", class_names=names, preprocessing="caffe")
    assert (back.info.class_names, back.class_names_source) == (names, "user")
    assert (back.info.preprocessing.mean[0], back.preprocessing_source) == (122.679, "user")
    assert back.info.temperature == classifier.info.temperature
    sized = import_model(path, "alexnet_owt", input_size=96)
    assert (sized.info.class_names, sized.class_names_source) == (CLASS_NAMES, "report")
    assert sized.info.temperature == classifier.info.temperature
    assert sized.info.preprocessing == published_preprocessing("published", sized.info.architecture)
    assert sized.preprocessing_source == "default"
    assert sized.notes[-1] == (
        "the preprocessing in net.pth.json is not used: it is for inputs of 3x128x128, and the "
        "network takes 3x96x96; the published one is used, see --preprocessing"
    )
    told = import_model(path, "alexnet_owt", input_size=96, preprocessing="caffe")
    assert told.notes == sized.notes[:-1]


def change_report(path: Path, **entries: object) -> None:
    """Change entries of the report of an exported file."""
    report = Path(f"{path}.json")
    report.write_text(json.dumps(json.loads(report.read_text()) | entries))


def test_a_mean_image_that_the_report_lacks_does_not_stop_an_import(
    exported: tuple[Classifier, Path],
) -> None:
    classifier, path = exported
    own = to_dict(classifier.info.preprocessing)
    change_report(path, preprocessing=own | {"has_mean_image": True})
    back = import_model(path, "alexnet_owt")
    assert (back.info.class_names, back.info.temperature) == (CLASS_NAMES, 0.7)
    assert back.info.architecture.input == (3, 128, 128)
    assert back.preprocessing_source == "default"
    assert "is not used: it has a mean image, which is not in the report;" in back.notes[-1]


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"input_shape": []}, r"its input_shape \[\] is not that of its preprocessing"),
        ({"input_shape": [3, 0, 0]}, r"input_shape \[3, 0, 0\]"),
        ({"input_shape": [3, 64, 96]}, r"input_shape \[3, 64, 96\]"),
        ({"input_shape": [1, 128, 128]}, r"input_shape \[1, 128, 128\]"),
        ({"class_names": ["a"] * 7}, "every class needs a name of its own"),
        ({"class_names": ["a", " ", *"cdefg"]}, "every class needs a name of its own"),
        ({"class_names": ["a", "b"]}, "it names 2 classes, and the network has 7 outputs"),
        ({"temperature": 1e-320}, "temperature .* must be from 0.01 to 100"),
        ({"temperature": math.nan}, "temperature nan must be from 0.01 to 100"),
        ({"temperature": None}, "report.temperature must be float"),
        ({"preprocessing": {"resize": "squash"}}, "report.preprocessing.resize is 'squash'"),
        ({"preprocessing": {"colour": 3}}, "report.preprocessing has no key 'colour'"),
        (
            {"preprocessing": {"resize_size": 9, "crop_size": 9}, "input_shape": [3, 9, 9]},
            "cannot take 9x9 pixels",
        ),
        ({"weights_checksum": 3}, "report.weights_checksum must be"),
    ],
)
def test_a_report_that_cannot_be_used_is_told(
    exported: tuple[Classifier, Path], entries: dict[str, object], reason: str
) -> None:
    path = exported[1]
    change_report(path, **entries)
    back = import_model(path, "alexnet_owt")
    assert (back.report, back.info.temperature, back.class_names_source) == ("", 1, "default")
    assert re.match(rf"net\.pth\.json is not used: .*{reason}", back.notes[-1])


def test_the_report_beside_it_counts_where_the_named_one_is_of_other_weights(
    exported: tuple[Classifier, Path],
) -> None:
    classifier, path = exported
    other, names = path.with_name("other.json"), list("abcdefg")
    plain = json.loads(Path(f"{path}.json").read_text())
    other.write_text(json.dumps(plain | {"weights_checksum": "00000000", "class_names": names}))
    back = import_model(path, "alexnet_owt", class_names=other)
    assert (back.info.class_names, back.class_names_source) == (tuple(names), "user")
    assert back.info.preprocessing == classifier.info.preprocessing
    assert (back.info.temperature, back.report) == (0.7, "net.pth.json")
    assert back.notes[-1] == (
        "the preprocessing and the temperature in other.json are not used: it is the report of "
        "other weights than net.pth"
    )


def test_the_order_of_colors_does_not_change_whose_report_it_is(
    exported: tuple[Classifier, Path],
) -> None:
    path = exported[1]
    back = import_model(path, "alexnet_owt", channel_order="bgr")
    rgb = import_model(path, "alexnet_owt")
    assert (back.report, back.notes) == (rgb.report, rgb.notes)
    assert torch.equal(back.weights["conv1.weight"], rgb.weights["conv1.weight"].flip(1))


def test_a_report_of_other_weights_is_told_and_not_used(exported: tuple[Classifier, Path]) -> None:
    path = exported[1]
    weights = torch.load(path, weights_only=True)
    weights["features.0.bias"][0] += 1
    torch.save(weights, path)
    back = import_model(path, "alexnet_owt")
    assert (back.report, back.info.temperature) == ("", 1)
    assert (back.info.architecture.input, back.class_names_source) == ((3, 224, 224), "default")
    assert back.notes[-1] == (
        "net.pth.json is not used: it is the report of other weights than net.pth"
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"class_names": ["a"]}', "\xff"])
def test_another_file_beside_it_is_no_report(exported: tuple[Classifier, Path], text: str) -> None:
    path = exported[1]
    Path(f"{path}.json").write_text(text, "latin-1")
    back = import_model(path, "alexnet_owt")
    assert (back.preprocessing_source, back.notes) == ("default", import_model(path, OWT).notes)


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
