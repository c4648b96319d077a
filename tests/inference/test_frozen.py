"""A frozen classifier predicts what the optimized one does, to the bit, and is made anew."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.checkpoints.model_file import save_model
from alexnet.inference import answering
from alexnet.inference.answering import CACHE, MAX_KEPT, kept_path, load_answering
from alexnet.inference.classifier import Classifier
from alexnet.inference.freeze import freeze
from alexnet.inference.frozen import FrozenClassifier, read_frozen
from alexnet.inference.predictor import Crops, Predictor
from alexnet.models.zoo import ZOO
from alexnet.ops.library import KernelLibrary
from support.narrow_nets import narrow_classifier
from support.slow import first_fast

WITH_OTHER_LAYERS = ("alexnet_2012", "alexnet_notebook", "lenet5", "cifar_quick")
"""A norm within channels, batch norm after pooling, gray images, average pooling."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, on a machine without a GPU."""
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(answering, "may_have_gpu", lambda: False)
    return tmp_path / "cache" / CACHE


@pytest.fixture
def model(tmp_path: Path, int8_kernels: KernelLibrary) -> Path:
    """The model file of a narrow AlexNet."""
    return save(narrow_classifier("alexnet"), tmp_path / "model.safetensors")


def save(classifier: Classifier, path: Path) -> Path:
    """The path, with the classifier's model file."""
    save_model(path, classifier.network.state_dict(), classifier.info, classifier.mean_image)
    return path


def pixels(predictor: Predictor, count: int) -> np.ndarray:
    """Random stored images uint8 [count, S, S, 3]."""
    side = predictor.info.preprocessing.resize_size
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


def kept(cache: Path) -> Iterator[Path]:
    return cache.glob("*")


@pytest.mark.parametrize("name", first_fast(tuple(ZOO), fast=1))
def test_every_network_of_int8_layers_alone_can_be_frozen(
    name: str, int8_kernels: KernelLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, path = narrow_classifier(name).optimized(), tmp_path / "frozen.safetensors"
    assert freeze(classifier, path) is (name not in WITH_OTHER_LAYERS)
    if name in WITH_OTHER_LAYERS:
        assert not path.exists()
        return
    frozen = read_frozen(path, int8_kernels)
    assert frozen
    assert frozen.info == classifier.info
    assert frozen.answering_network == classifier.answering_network
    images = pixels(classifier, 3)
    monkeypatch.setattr("alexnet.inference.frozen.maps_at_a_time", lambda values: 2)
    for crops in (1, 10):
        expected = classifier.probabilities(images, crops)
        assert np.array_equal(frozen.probabilities(images, crops), expected)
        assert np.ptp(expected) > 0.01
        assert np.array_equal(frozen.probabilities(torch.from_numpy(images), crops), expected)


@pytest.mark.parametrize("crop_size", [131, 137])
@pytest.mark.parametrize("crops", [1, 10])
def test_resizing_padding_and_mean_image_are_those_of_the_classifier(
    crops: Crops, crop_size: int, int8_kernels: KernelLibrary, tmp_path: Path
) -> None:
    plain = narrow_classifier("alexnet")
    preprocessing = replace(
        plain.info.preprocessing,
        resize_size=132, padding=4, crop_size=crop_size, input_size=131, std=(50.0, 60.0, 70.0),
    )  # fmt: skip
    mean_image = torch.rand(3, 131, 131) * 255
    for image in (None, mean_image):
        settings = replace(preprocessing, has_mean_image=image is not None)
        info = replace(plain.info, preprocessing=settings)
        classifier = replace(plain, info=info, mean_image=image).optimized()
        assert freeze(classifier, tmp_path / "file")
        frozen = read_frozen(tmp_path / "file", int8_kernels)
        assert frozen
        images = pixels(classifier, 2)
        assert np.array_equal(
            frozen.probabilities(images, crops), classifier.probabilities(images, crops)
        )


def test_the_second_answer_is_frozen_and_the_same(cache: Path, model: Path) -> None:
    first = load_answering(model, "auto", exact=False)
    second = load_answering(model, "auto", exact=False)
    assert (type(first), type(second)) == (Classifier, FrozenClassifier)
    images = pixels(first, 70)  # more than are computed at a time
    assert np.array_equal(first.probabilities(images), second.probabilities(images))
    assert isinstance(load_answering(model, "auto", exact=True), Classifier)


def test_a_changed_model_is_frozen_again(cache: Path, model: Path) -> None:
    before = load_answering(model, "cpu", exact=False)
    status = model.stat()
    other = narrow_classifier("alexnet")
    with torch.no_grad():
        for parameter in other.network.parameters():
            parameter.neg_()
    save(other, model)
    os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns))  # of the same size and time
    after = load_answering(model, "cpu", exact=False)
    assert isinstance(after, Classifier)
    images = pixels(before, 1)
    assert not np.array_equal(before.probabilities(images), after.probabilities(images))
    again = load_answering(model, "cpu", exact=False)
    assert isinstance(again, FrozenClassifier)
    assert np.array_equal(again.probabilities(images), after.probabilities(images))


@pytest.mark.parametrize(
    "damage", first_fast(("a bit", "cut", "emptied", "another header", "a folder"), fast=1)
)
def test_a_damaged_file_is_made_anew(damage: str, cache: Path, model: Path) -> None:
    expected = load_answering(model, "cpu", exact=False)
    (file,) = kept(cache)
    content = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(content[:-100])
    elif damage == "emptied":
        file.write_bytes(b"")
    elif damage == "a bit":
        content[-1000] ^= 4
        file.write_bytes(content)
    elif damage == "another header":
        file.write_bytes(content.replace(b'\\"relu_norm_pool\\"', b'\\"norm_relu_pool\\"', 1))
    else:
        file.unlink()
        file.mkdir()
    found = load_answering(model, "cpu", exact=False)
    assert isinstance(found, Classifier)
    images = pixels(expected, 1)
    assert np.array_equal(found.probabilities(images), expected.probabilities(images))
    is_whole = isinstance(load_answering(model, "cpu", exact=False), FrozenClassifier)
    assert is_whole is (damage != "a folder")


def test_a_cache_that_cannot_be_written_costs_only_time(
    cache: Path, model: Path, tmp_path: Path
) -> None:
    cache.parent.write_text("a file is in its place")
    for _ in range(2):
        assert isinstance(load_answering(model, "cpu", exact=False), Classifier)
    assert sorted(tmp_path.iterdir()) == sorted([cache.parent, model])


@pytest.mark.slow
def test_the_oldest_are_removed(cache: Path, tmp_path: Path, int8_kernels: KernelLibrary) -> None:
    models = [
        save(narrow_classifier("alexnet"), tmp_path / f"{i}.safetensors")
        for i in range(MAX_KEPT + 2)
    ]
    for i, path in enumerate(models):
        load_answering(path, "cpu", exact=False)
        file = kept_path(path, "cpu")
        assert file
        os.utime(file, (i, i))
        load_answering(models[0], "cpu", exact=False)  # is used all the time
    assert len(list(kept(cache))) == MAX_KEPT
    is_kept = [isinstance(load_answering(path, "cpu", exact=False), FrozenClassifier)
               for path in (models[0], models[-1], models[1])]  # fmt: skip
    assert is_kept == [True, True, False]


def test_where_a_gpu_may_compute_nothing_is_kept(
    cache: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "may_have_gpu", lambda: True)
    for _ in range(2):
        assert isinstance(load_answering(model, "auto", exact=False), Classifier)
    assert not list(kept(cache))
    load_answering(model, "cpu", exact=False)
    assert isinstance(load_answering(model, "cpu", exact=False), FrozenClassifier)


@pytest.mark.slow
def test_other_kernels_have_their_own(
    cache: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_answering(model, "cpu", exact=False)
    monkeypatch.setenv("ALEXNET_KERNELS", "0")
    assert isinstance(load_answering(model, "cpu", exact=False), Classifier)
    monkeypatch.delenv("ALEXNET_KERNELS")
    monkeypatch.setenv("ALEXNET_ISA", "baseline")
    for _ in range(2):  # it has no int8
        assert isinstance(load_answering(model, "cpu", exact=False), Classifier)
    assert len(list(kept(cache))) == 1


@pytest.mark.slow
def test_predict_does_not_import_torch_the_second_time(
    cache: Path, model: Path, flowers: Path
) -> None:
    code = """
import sys
from alexnet.inference import answering
answering.may_have_gpu = lambda: False
from alexnet.cli import main
code = main(sys.argv[1:])
print("torch" in sys.modules, file=sys.stderr)
sys.exit(code)
"""
    words = "predict", model, *sorted((flowers / "test").rglob("*.jpg")), "--json"
    done = [
        subprocess.run(
            [sys.executable, "-c", code, *map(str, words)],
            capture_output=True,
            text=True,
            check=True,
        )
        for _ in range(2)
    ]
    assert [one.stderr.splitlines()[-1] for one in done] == ["True", "False"]
    assert done[0].stdout == done[1].stdout
    assert '"number_type": "int8"' in done[0].stdout


def test_inputs_of_another_type_shape_or_order_are_refused(
    int8_kernels: KernelLibrary, tmp_path: Path
) -> None:
    assert freeze(narrow_classifier("alexnet").optimized(), tmp_path / "file")
    frozen = read_frozen(tmp_path / "file", int8_kernels)
    assert frozen
    side = frozen.info.preprocessing.input_side
    inputs = np.zeros((2, side, side, 3), np.float32)
    assert frozen.logits(inputs).shape == (2, len(frozen.class_names))
    wide = np.zeros((2, side, side, 4), np.float32)
    for wrong in (inputs.astype(np.float64), wide, wide[..., :3], inputs.transpose(0, 3, 1, 2)):
        with pytest.raises(ValueError, match=r"^images must be float32"):
            frozen.logits(wrong)
