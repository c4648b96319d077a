"""Exported Keras files: what is in them, the way back, and what Keras computes from them."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from alexnet.checkpoints.model_file import ModelInfo
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import Recipe
from alexnet.errors import UsageError
from alexnet.inference.classifier import Classifier
from alexnet.interop.exporter import export_model
from alexnet.interop.keras.arrays import keras_arrays
from alexnet.interop.keras.reader import read_keras
from alexnet.interop.match import MatchedModel
from alexnet.interop.parity import normalize_array, random_images, torch_runner
from alexnet.models.architecture import Architecture
from alexnet.models.layers import (
    AdaptivePool,
    BatchNorm,
    Conv,
    Flatten,
    FullyConnected,
    Layer,
    Pool,
)
from alexnet.models.network import Network
from support.narrow_nets import CLASS_NAMES, narrow_classifier

EXPORTABLE = ("lenet5", "cifar_quick", "alexnet_bn", "alexnet_notebook", "alexnet_owt")
FAST = ("lenet5", "cifar_quick", "alexnet_bn")
NETS = [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in EXPORTABLE]
SUFFIXES = (".keras", ".weights.h5")


def classifier_of(name: str) -> Classifier:
    """The narrow net with a preprocessing that Keras's layers alone do not tell."""
    classifier = narrow_classifier(name)
    found = classifier.info.preprocessing
    mean, std = (120.1, 110.2, 100.3), (60.7, 59.1, 58.3)
    other = replace(found, resize="shortest_edge", resize_size=300, mean=mean, std=std)
    return replace(classifier, info=replace(classifier.info, preprocessing=other))


def small_classifier(*layers: Layer, side: int = 9, **changes: Any) -> Classifier:
    """A net of a few layers with random weights and 7 classes."""
    arch = Architecture("small", "", (3, side, side), (*layers, FullyConnected("fc", 7)))
    torch.manual_seed(0)
    network = Network(arch).eval()
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    preprocessing = Preprocessing(resize_size=side, crop_size=side, std=(50.0, 60.0, 70.0))
    preprocessing = replace(preprocessing, **changes)
    info = ModelInfo(
        architecture=arch,
        class_names=CLASS_NAMES,
        preprocessing=preprocessing,
        recipe=Recipe(arch="lenet5"),
        temperature=0.75,
    )
    has_image = preprocessing.has_mean_image
    return Classifier(network, info, torch.full(arch.input, 99.0) if has_image else None)


def read(path: Path, arch: Architecture) -> MatchedModel:
    return read_keras(path, arch, read_arrays=lambda _, path: keras_arrays(path))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_way_back_is_exact(tmp_path: Path, name: str, suffix: str) -> None:
    classifier = classifier_of(name)
    path = tmp_path / f"net{suffix}"
    report = export_model(classifier, path, "keras", batch_sizes=(2,))
    takes = "pixels" if suffix == ".keras" else "normalized"
    assert (report.is_close, report.takes) == (True, takes)
    assert report.parity.max_abs_difference <= 1e-5 * report.parity.max_abs_logit
    arch = classifier.info.architecture
    matched = read(path, arch)
    own = classifier.network.state_dict()
    assert matched.weights.keys() == own.keys()
    for key, tensor in matched.weights.items():
        assert torch.equal(tensor, own[key]), key
    assert matched.architecture == arch
    assert matched.preprocessing == classifier.info.preprocessing
    assert matched.temperature == classifier.info.temperature
    assert matched.class_names == CLASS_NAMES
    assert matched.notes == ()


def test_what_keras_finds_in_the_file(tmp_path: Path) -> None:
    classifier = classifier_of("alexnet_bn")
    export_model(classifier, tmp_path / "net.keras", "keras", batch_sizes=())
    with zipfile.ZipFile(tmp_path / "net.keras") as archive:
        names = archive.namelist()
        metadata, config = (json.loads(archive.read(name)) for name in names[:2])
        archive.extract("model.weights.h5", tmp_path)
    assert names == ["metadata.json", "config.json", "model.weights.h5"]
    assert set(metadata) == {"keras_version", "date_saved", "alexnet"}
    layers = [(entry["class_name"], entry["config"]) for entry in config["config"]["layers"]]
    assert [class_name for class_name, _ in layers[:6]] == [
        "InputLayer", "Normalization", "Conv2D", "BatchNormalization", "Activation", "MaxPooling2D",
    ]  # fmt: skip
    assert layers[0][1]["batch_shape"] == [None, 131, 131, 3]
    np.testing.assert_allclose(layers[1][1]["variance"], [60.7**2, 59.1**2, 58.3**2])
    conv2 = next(options for _, options in layers if options["name"] == "conv2")
    assert (conv2["groups"], conv2["padding"], conv2["use_bias"]) == (2, "same", False)
    own = classifier.network.state_dict()
    with h5py.File(tmp_path / "model.weights.h5") as file:
        kernel = file["layers/conv2d_1/vars/0"][()]
        variance = file["layers/batch_normalization/vars/3"][()]
        dense = file["layers/dense/vars/0"][()]
    np.testing.assert_array_equal(kernel, own["conv2.weight"].permute(2, 3, 1, 0).numpy())
    np.testing.assert_array_equal(variance, own["bn1.running_var"].numpy())
    c = len(own["conv5.weight"])
    rows = own["fc6.weight"].reshape(-1, c, 3, 3).permute(2, 3, 1, 0).reshape(9 * c, -1)
    np.testing.assert_array_equal(dense, rows.numpy())


def test_a_file_that_keras_has_saved_again(tmp_path: Path) -> None:
    """Keras writes metadata of its own: the layers then say the mean and std."""
    classifier = classifier_of("lenet5")
    export_model(classifier, tmp_path / "net.keras", "keras", batch_sizes=())
    with (
        zipfile.ZipFile(tmp_path / "net.keras") as old,
        zipfile.ZipFile(tmp_path / "again.keras", "w") as new,
    ):
        for name in old.namelist()[1:]:
            new.writestr(name, old.read(name))
        new.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
    matched = read(tmp_path / "again.keras", classifier.info.architecture)
    found = matched.preprocessing
    assert found is not None
    assert (found.resize, found.resize_size, matched.class_names) == ("stretch", 32, ())
    np.testing.assert_allclose((found.mean[0], found.std[0]), (120.1, 60.7), rtol=1e-6)


def test_layers_that_normalize_otherwise_overrule_the_metadata(tmp_path: Path) -> None:
    classifier = classifier_of("lenet5")
    export_model(classifier, tmp_path / "net.keras", "keras", batch_sizes=())
    with (
        zipfile.ZipFile(tmp_path / "net.keras") as old,
        zipfile.ZipFile(tmp_path / "edited.keras", "w") as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'"mean": [120.1]', b'"mean": [80.0]'))
    found = read(tmp_path / "edited.keras", classifier.info.architecture).preprocessing
    assert found is not None
    assert found.mean[0] == pytest.approx(80)


@pytest.mark.parametrize(
    "layers",
    [
        (Conv("a", 4, 3, 2, padding=1, extra_padding=1), Flatten("f")),
        (Conv("a", 4, 4, extra_padding=3), Flatten("f")),
        (Conv("a", 4, 4, padding=1, extra_padding=1), Flatten("f", "hwc")),
        (Conv("a", 6, 3, groups=3, bias=False), AdaptivePool("p", 7), Flatten("f")),
        (AdaptivePool("p", 3, "max"), Flatten("f"), BatchNorm("bn", 1e-2), FullyConnected("c", 5)),
        (Pool("p", 2, 2, ceil=True, reduce="average"), Flatten("f")),
        (Pool("p", 3, 3, ceil=True), Flatten("f")),
    ],
)
def test_paddings_and_pools(tmp_path: Path, layers: tuple[Layer, ...]) -> None:
    classifier = small_classifier(*layers)
    report = export_model(classifier, tmp_path / "net.keras", "keras", batch_sizes=(2,))
    assert report.is_close
    matched = read(tmp_path / "net.keras", classifier.info.architecture)
    assert all(
        torch.equal(t, classifier.network.state_dict()[n]) for n, t in matched.weights.items()
    )


def test_average_pooling_that_keras_on_torch_does_otherwise_is_told(tmp_path: Path) -> None:
    layers = Pool("p", 2, 2, ceil=True, reduce="average"), Flatten("f")
    report = export_model(small_classifier(*layers), tmp_path / "net.keras", "keras")
    (note,) = report.notes
    assert note.startswith("p need Keras on TensorFlow or JAX: on torch,")
    report = export_model(small_classifier(*layers, side=8), tmp_path / "even.keras", "keras")
    assert report.notes == ()


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((AdaptivePool("p", 4), Flatten("f")), "p makes 4 values of 9, which no pooling"),
        ((Pool("p", 4, 2, ceil=True), Flatten("f")), "p makes 4 windows of 9 pixels, which no"),
    ],
)
def test_pools_that_keras_has_not(tmp_path: Path, layers: tuple[Layer, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        export_model(small_classifier(*layers), tmp_path / "net.keras", "keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["alexnet", "alexnet_2012", "alexnet_table", "caffenet"])
def test_a_response_norm_is_refused(tmp_path: Path, name: str) -> None:
    message = r"norm1 \(response_norm\), for which Keras has no layer; --format onnx writes it"
    with pytest.raises(UsageError, match=message):
        export_model(narrow_classifier(name), tmp_path / "net.keras", "keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_mean_image_is_in_the_metadata_only(tmp_path: Path, suffix: str) -> None:
    classifier = small_classifier(Conv("a", 4, 3), Flatten("f"), has_mean_image=True)
    path = tmp_path / f"net{suffix}"
    report = export_model(classifier, path, "keras")
    assert (report.is_close, report.takes) == (True, "normalized")
    matched = read(path, classifier.info.architecture)
    assert matched.preprocessing == classifier.info.preprocessing
    assert matched.mean_image is not None
    assert torch.equal(matched.mean_image, torch.full((3, 9, 9), 99.0))
    with pytest.raises(UsageError, match="--with-preprocessing does not fit"):
        export_model(classifier, tmp_path / f"b{suffix}", "keras", with_preprocessing=True)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_input_size_comes_back(tmp_path: Path, suffix: str) -> None:
    """It is that of the exported network, where the published size fits the weights, too."""
    classifier = small_classifier(Conv("conv", 4, 3, stride=2), Flatten("flatten"))
    path = tmp_path / f"net{suffix}"
    export_model(classifier, path, "keras", batch_sizes=())
    arch = classifier.info.architecture
    assert read(path, replace(arch, input=(3, 10, 10))).architecture == arch


@pytest.mark.parametrize("text", [b"[1]", b"{", b'{"alexnet": 3}', b"\xff"])
def test_metadata_that_are_not_ours(tmp_path: Path, text: bytes) -> None:
    classifier = classifier_of("lenet5")
    export_model(classifier, tmp_path / "net.weights.h5", "keras", batch_sizes=())
    with h5py.File(tmp_path / "net.weights.h5", "r+") as file:
        del file["alexnet"]
        file["alexnet"] = np.frombuffer(text, np.uint8)
    matched = read(tmp_path / "net.weights.h5", classifier.info.architecture)
    assert (matched.preprocessing, matched.class_names) == (None, ())


@pytest.mark.parametrize("name", EXPORTABLE)
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Keras and of its backend
def test_keras_computes_the_same_logits(tmp_path: Path, name: str) -> None:
    """Where Keras is installed; a whole model, and its weights in a model of the same layers."""
    keras = pytest.importorskip("keras")
    classifier = classifier_of(name)
    if keras.backend.backend() == "torch" and name == "cifar_quick":
        pytest.skip("Keras on torch counts the padding of average pooling")
    for suffix in SUFFIXES:
        export_model(classifier, tmp_path / f"net{suffix}", "keras", batch_sizes=())
    images = random_images(classifier.network, 2)
    normalized = normalize_array(images, classifier.info.preprocessing)
    expected = torch_runner(classifier.network)(normalized)
    model = keras.models.load_model(tmp_path / "net.keras")
    other = keras.models.clone_model(model)
    other.load_weights(tmp_path / "net.weights.h5")
    for net in (model, other):
        logits = net.predict(images.transpose(0, 2, 3, 1), verbose=0)
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
