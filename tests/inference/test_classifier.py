"""A trained model in use: its inputs, images that cannot be read, one crop and ten."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import alexnet
import alexnet.inference.decoding
from alexnet.checkpoints.model_file import load_model, save_model
from alexnet.config.preprocessing import Preprocessing
from alexnet.data.images.decode import decode
from alexnet.errors import AlexNetError, DataError, ModelFileError, UsageError
from alexnet.models.architecture import Architecture
from alexnet.models.network import Network
from alexnet.training.run_folder import RunFolder
from alexnet.transforms.crops import center_crop, ten_crop


@pytest.fixture(scope="module")
def classifier(trained_once: RunFolder) -> alexnet.Classifier:
    """The tiny run's model, without its temperature."""
    classifier = alexnet.load(trained_once.path)
    return replace(classifier, info=replace(classifier.info, temperature=1.0))


@pytest.fixture
def image_path(flowers: Path) -> Path:
    """One of the test images."""
    return flowers / "test" / "rose" / "0000.jpg"


def resized(classifier: alexnet.Classifier, path: Path) -> np.ndarray:
    """An image as the store has it: uint8 [1, S, S, 3]."""
    preprocessing = classifier.info.preprocessing
    with Image.open(path) as image:
        return decode(image, preprocessing.resize, preprocessing.resize_size)[None].copy()


def test_a_run_folder_and_its_model_file_predict_the_same(
    trained: RunFolder, classifier: alexnet.Classifier, image_path: Path
) -> None:
    for path in (trained.model, str(trained.model), str(trained.path)):
        found = alexnet.load(path)
        assert found.predict([image_path]) == alexnet.load(trained.path).predict([image_path])
    assert classifier.class_names == tuple(sorted(p.name for p in image_path.parents[1].iterdir()))


def test_it_computes_in_the_precision_of_the_run(
    trained: RunFolder, classifier: alexnet.Classifier
) -> None:
    config = json.loads(trained.config.read_text())
    assert classifier.precision == config["precision"] == "float32"
    assert not classifier.network.training


@pytest.mark.parametrize("is_optimized", [False, True])
def test_fp16_is_near_float32_and_told(
    classifier: alexnet.Classifier, image_path: Path, is_optimized: bool
) -> None:
    """Probabilities are computed in float32."""
    pixels = resized(classifier, image_path)
    expected = classifier.probabilities(pixels)
    half = replace(classifier, precision="fp16")
    half = half.optimized(int8=False) if is_optimized else half
    assert half.answering_network.number_type == "fp16"
    found = half.probabilities(pixels)
    assert found.dtype == np.float32
    assert not np.array_equal(found, expected)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)


def enlarged(classifier: alexnet.Classifier, factor: float) -> alexnet.Classifier:
    """The same classifier, with the weights of its last three layers times a factor."""
    network = copy.deepcopy(classifier.network)
    kinds = torch.nn.Conv2d | torch.nn.Linear
    with torch.no_grad():
        for layer in [one for one in network.modules() if isinstance(one, kinds)][-3:]:
            layer.weight.mul_(factor)
    info = replace(classifier.info, temperature=factor**3)
    return replace(classifier, network=network, info=info, precision="float32")


@pytest.mark.parametrize("kind", ["cast", "optimized", "converted"])
def test_where_fp16_overflows_float32_answers(
    classifier: alexnet.Classifier, image_path: Path, kind: str
) -> None:
    large, pixels = enlarged(classifier, 1e4), resized(classifier, image_path)
    half = replace(large, precision="fp16")
    half = half.optimized(int8=False) if kind == "optimized" else half
    if kind == "converted":
        half = replace(large, network=copy.deepcopy(large.network).half())
    with pytest.warns(UserWarning, match=r"pass the range of fp16.*--precision float32"):
        found = half.probabilities(pixels)
    np.testing.assert_allclose(found, large.probabilities(pixels), atol=2e-3)
    if kind != "optimized":  # its last layer is in float32
        with pytest.warns(UserWarning, match="pass the range of fp16"):
            assert np.isfinite(half.logits(pixels)).all()


def test_a_layer_whose_weights_pass_the_range_of_fp16_is_optimized_in_float32(
    classifier: alexnet.Classifier, image_path: Path
) -> None:
    large, pixels = enlarged(classifier, 1e7), resized(classifier, image_path)
    found = replace(large, precision="fp16").optimized(int8=False).probabilities(pixels)
    np.testing.assert_allclose(found, large.probabilities(pixels), atol=2e-3)


@pytest.mark.parametrize("precision", ["float32", "fp16"])
def test_outputs_that_are_not_finite_are_no_prediction(
    classifier: alexnet.Classifier, image_path: Path, precision: Any
) -> None:
    """Also where only some are, and -inf alone would be the probability 0."""
    network = copy.deepcopy(classifier.network)
    *_, last = (one for one in network.modules() if isinstance(one, torch.nn.Linear))
    with torch.no_grad():
        last.bias[0] = -torch.inf
    broken = replace(classifier, network=network, precision=precision)
    (found,) = broken.predict(image_path, min_probability=0.5)
    assert found.error == "the network's outputs are not finite"
    assert (found.label, found.probability, found.top_classes) == (None, None, ())


def test_float32_is_not_tf32(
    classifier: alexnet.Classifier, image_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which torch allows a GPU's convolutions by default."""
    seen: list[str] = []

    @contextmanager
    def watch(device: torch.device) -> Iterator[None]:
        seen.append(device.type)
        yield

    monkeypatch.setattr("alexnet.inference.classifier.exact_float32", watch)
    pixels = resized(classifier, image_path)
    classifier.probabilities(pixels)
    classifier.logits_from(classifier.layer_inputs(pixels))
    classifier.logits(pixels)
    assert seen == ["cpu"] * 4
    replace(classifier, precision="bf16").probabilities(pixels)
    assert len(seen) == 4


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-5), ("float16", 2e-2)])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_it_computes_in_the_type_of_its_weights(
    trained: RunFolder, image_path: Path, precision: Any, dtype: str, tolerance: float
) -> None:
    classifier = replace(alexnet.load(trained.path), precision="float32")
    pixels = resized(classifier, image_path)
    expected = classifier.logits(pixels), classifier.probabilities(pixels, 10)
    features = classifier.layer_inputs(pixels)
    classifier.network.to(getattr(torch, dtype))
    typed = replace(classifier, precision=precision)
    assert typed.answering_network.number_type == {"float16": "fp16"}.get(dtype, dtype)
    assert np.abs(typed.logits(pixels) - expected[0]).max() < tolerance
    assert np.abs(typed.probabilities(pixels, 10) - expected[1]).max() < tolerance
    assert np.abs(typed.layer_inputs(pixels) - features).max() < tolerance * features.max()
    assert np.abs(typed.logits_from(features) - expected[0]).max() < tolerance


def test_paths_images_and_arrays_predict_the_same(
    classifier: alexnet.Classifier, image_path: Path
) -> None:
    with Image.open(image_path) as image:
        image.load()
        inputs = [image_path, str(image_path), image, np.asarray(image)]
        predictions = classifier.predict(inputs)
    assert [p.image for p in predictions] == [
        str(image_path),
        str(image_path),
        "image 2",
        "image 3",
    ]
    assert len({p.top_classes for p in predictions}) == 1
    assert {p.error for p in predictions} == {""}


def test_the_most_probable_class_is_first(classifier: alexnet.Classifier, image_path: Path) -> None:
    (all_of_them,) = classifier.predict([image_path], top=99)
    probabilities = [one.probability for one in all_of_them.top_classes]
    assert len(probabilities) == 12
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)
    assert {one.label for one in all_of_them.top_classes} == set(classifier.class_names)
    assert classifier.predict([image_path], top=2)[0].top_classes == all_of_them.top_classes[:2]
    assert len(classifier.predict([image_path])[0].top_classes) == 5


def test_rows_of_predictions(classifier: alexnet.Classifier, image_path: Path) -> None:
    """As `alexnet predict --csv` writes them, for a table of pandas."""
    found = classifier.predict([image_path, b"damaged"], top=2)
    best, second = found[0].top_classes
    name = str(image_path)
    missing = {"image": "image 1", "rank": None, "label": None, "probability": None}
    assert found.rows() == [
        {"image": name, "rank": 1, "label": best.label, "probability": best.probability},
        {"image": name, "rank": 2, "label": second.label, "probability": second.probability},
        missing,
    ]
    assert [one.probability for one in found] == [best.probability, None]
    unsure = classifier.predict(image_path, min_probability=1.0)
    expected = {"image": name, "rank": 1, "label": None, "probability": best.probability}
    assert unsure.rows() == [expected]


def test_a_prediction_is_unsure_below_the_probability_that_is_asked_for(
    classifier: alexnet.Classifier, image_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"nothing")
    (best,) = classifier.predict(image_path, top=1)
    probability = best.top_classes[0].probability
    assert (best.label, best.is_unsure) == (best.top_classes[0].label, False)
    (at,) = classifier(image_path, min_probability=probability)
    assert (at.label, at.is_unsure) == (best.label, False)
    below, bad = classifier.predict(
        [image_path, tmp_path / "bad.jpg"], min_probability=probability + 1e-6
    )
    assert (below.label, below.is_unsure) == (None, True)
    assert below.top_classes[:1] == best.top_classes
    assert (bad.label, bad.is_unsure) == (None, False)


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), True, "0.5", None])
def test_a_probability_that_is_none(classifier: alexnet.Classifier, value: float) -> None:
    with pytest.raises(UsageError, match=r"^min_probability must be from 0 to 1, not"):
        classifier.predict([], min_probability=value)


def test_one_crop_gives_the_softmax_of_the_center(
    classifier: alexnet.Classifier, image_path: Path
) -> None:
    pixels = resized(classifier, image_path)
    crop = center_crop(torch.from_numpy(pixels), classifier.info.preprocessing)
    with torch.inference_mode():
        expected = classifier.network(crop).softmax(1).numpy()
    assert np.allclose(classifier.probabilities(pixels), expected, atol=1e-6)


def test_ten_crops_give_the_mean_of_ten_softmaxes(
    classifier: alexnet.Classifier, image_path: Path
) -> None:
    pixels = resized(classifier, image_path)
    crops = ten_crop(torch.from_numpy(pixels), classifier.info.preprocessing)
    with torch.inference_mode():
        expected = torch.cat([classifier.network(crop).softmax(1) for crop in crops]).mean(0)
    found = classifier.probabilities(pixels, 10)
    assert np.allclose(found[0], expected.numpy(), atol=1e-6)
    assert not np.allclose(found, classifier.probabilities(pixels), atol=1e-5)
    (prediction,) = classifier.predict([image_path], crops=10)
    assert prediction.top_classes[0].probability == pytest.approx(float(expected.max()), abs=1e-6)


def test_probabilities_are_the_softmax_of_the_logits_divided_by_the_temperature(
    classifier: alexnet.Classifier, flowers: Path
) -> None:
    paths = sorted((flowers / "test").rglob("*.jpg"))
    pixels = np.concatenate([resized(classifier, path) for path in paths])
    logits = torch.from_numpy(classifier.logits(pixels))
    assert np.allclose(classifier.probabilities(pixels), logits.softmax(1), rtol=1e-6, atol=0)
    ranking = logits.argsort(dim=1, descending=True, stable=True)
    for temperature in (0.3, 4.0):
        warm = replace(classifier, info=replace(classifier.info, temperature=temperature))
        scaled = torch.from_numpy(warm.probabilities(pixels))
        expected = (logits.double() / temperature).softmax(1).float()
        torch.testing.assert_close(scaled, expected, rtol=1e-7, atol=0)
        assert torch.equal(scaled.argsort(dim=1, descending=True, stable=True), ranking)
    ten = warm.probabilities(pixels, crops=10)
    assert ten.max() < classifier.probabilities(pixels, crops=10).max(), "scaled, then averaged"


def test_pixels_may_be_read_only(classifier: alexnet.Classifier, image_path: Path) -> None:
    pixels = resized(classifier, image_path)
    pixels.flags.writeable = False
    assert classifier.probabilities(pixels).shape == (1, 12)


def test_pixels_may_be_a_tensor(classifier: alexnet.Classifier, flowers: Path) -> None:
    """Such as a batch of a loader, which `classifier(images)` takes, too."""
    split = alexnet.load_splits(flowers, resize_size=72, reporter=None)["test"]
    images, _ = next(iter(DataLoader(split, batch_size=3)))
    expected = classifier.probabilities(images.numpy())
    assert np.array_equal(classifier.probabilities(images), expected)
    assert np.array_equal(classifier.logits(images), classifier.logits(images.numpy()))
    assert len(classifier(images)) == 3
    assert classifier(split[0][0])[0].label == classifier.class_names[expected[0].argmax()]


def test_the_batch_size_changes_nothing(classifier: alexnet.Classifier, flowers: Path) -> None:
    paths = sorted((flowers / "test").rglob("*.jpg"))
    pixels = np.concatenate([resized(classifier, path) for path in paths])
    found = classifier.probabilities(pixels, batch=5)
    assert np.allclose(found, classifier.probabilities(pixels), atol=1e-6)
    assert classifier.probabilities(pixels[:0]).shape == (0, 12)


@pytest.mark.parametrize(
    ("pixels", "found"),
    [
        (np.zeros((2, 16, 16, 3), np.uint8), "uint8 [2, 16, 16, 3]"),
        (np.zeros((72, 72, 3), np.uint8), "uint8 [72, 72, 3]"),
        (np.zeros((1, 3, 72, 72), np.uint8), "uint8 [1, 3, 72, 72]"),
        (np.zeros((1, 72, 72, 3), np.float32), "float32 [1, 72, 72, 3]"),
        (torch.zeros((1, 72, 72, 3)), "float32 [1, 72, 72, 3]"),
        (torch.zeros((1, 3, 72, 72), dtype=torch.uint8), "uint8 [1, 3, 72, 72]"),
        ("rose.jpg", "a str"),
    ],
)
def test_pixels_of_another_type_or_shape(
    classifier: alexnet.Classifier, pixels: Any, found: str
) -> None:
    assert classifier.info.preprocessing.resize_size == 72
    message = f"uint8 [N, 72, 72, 3], not {found}; classifier(images) takes images of any size"
    for compute in (classifier.probabilities, classifier.logits, classifier.layer_inputs):
        with pytest.raises(UsageError, match=re.escape(message)):
            compute(pixels)


def test_as_many_outputs_as_class_names(trained: RunFolder, image_path: Path) -> None:
    classifier = alexnet.load(trained.path)
    count = len(classifier.class_names)
    message = f"^the network has {count + 4} outputs and the model {count} class names$"
    network = alexnet.create_model(classifier.info.architecture, num_classes=count + 4)
    with pytest.raises(UsageError, match=message):
        replace(classifier, network=network)
    name = classifier.info.architecture.output_layer
    inputs = classifier.network.get_submodule(name).in_features
    setattr(classifier.network, name, torch.nn.Linear(inputs, count + 4))
    with pytest.raises(UsageError, match=message):
        classifier.predict([image_path])
    names = tuple(map(str, range(count + 4)))
    other = replace(classifier, info=replace(classifier.info, class_names=names))
    assert other.predict([image_path])[0].label in names


def test_a_classifier_whose_outputs_only_a_result_tells(
    classifier: alexnet.Classifier, image_path: Path
) -> None:
    class Headed(Network):
        def __init__(self, arch: Architecture) -> None:
            super().__init__(arch)
            self.head = torch.nn.Conv1d(1, 2, arch.num_classes)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(super().forward(images)[:, None])[..., 0]

    arch = classifier.info.architecture
    edited = Network(arch)
    head = torch.nn.Sequential(
        torch.nn.Unflatten(1, (1, -1)), torch.nn.LazyConv1d(2, 16), torch.nn.AdaptiveAvgPool1d(1)
    )
    setattr(edited, arch.output_layer, torch.nn.Sequential(head, torch.nn.Flatten()))
    for network in (Headed(arch).eval(), edited.eval()):
        two = replace(classifier.info, class_names=("a", "b"))
        assert alexnet.Classifier(network, two)(image_path)[0].label in ("a", "b")
        three = alexnet.Classifier(network, replace(two, class_names=("a", "b", "c")))
        with pytest.raises(UsageError, match=r"^the network has 2 outputs and the model 3 class"):
            three(image_path)


def test_the_parts_of_a_classifier_are_checked(classifier: alexnet.Classifier) -> None:
    network, info = classifier.network, classifier.info
    for arguments, message in [
        (
            (network, ["a", "b"]),
            r"needs the ModelInfo of its network, not \['a', 'b'\]: alexnet\.ch",
        ),
        (
            (torch.nn.Linear(2, 2), info),
            "needs a network of alexnet.create_model, not one of Linear",
        ),
        (
            (network, replace(info, preprocessing=Preprocessing())),
            r"gives \(3, 227, 227\), and its",
        ),
        (
            (network, info, torch.zeros(3, 2, 2)),
            "lacks its mean image, or has one that is not used",
        ),
    ]:
        with pytest.raises(UsageError, match=message):
            alexnet.Classifier(*arguments)


def test_a_network_in_training_is_in_training_afterwards(
    classifier: alexnet.Classifier, image_path: Path
) -> None:
    pixels = resized(classifier, image_path)
    expected, network = classifier.logits(pixels), classifier.network.train()
    first = next(network.children()).eval()
    modes = {module: module.training for module in network.modules()}
    try:
        assert np.array_equal(classifier.logits(pixels), expected)
        classifier(image_path)
        classifier.logits_from(classifier.features(image_path))
        assert {module: module.training for module in network.modules()} == modes
        assert network.training
        assert not first.training
    finally:
        network.eval()


def test_an_image_that_cannot_be_read_gets_an_error_and_the_others_are_predicted(
    classifier: alexnet.Classifier, image_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    (tmp_path / "cut.jpg").write_bytes(image_path.read_bytes()[:500])
    bad = [tmp_path / "bad.jpg", tmp_path / "cut.jpg", tmp_path / "missing.jpg"]
    inputs = [image_path, *bad, image_path]
    predictions = classifier.predict(inputs)
    assert [p.image for p in predictions] == [str(path) for path in inputs]
    assert [bool(p.error) for p in predictions] == [False, True, True, True, False]
    assert [bool(p.top_classes) for p in predictions] == [True, False, False, False, True]
    assert predictions[0].top_classes == predictions[4].top_classes
    assert classifier.predict(bad)[0].error
    assert classifier.predict([]) == []


def test_grayscale_arrays_are_images(classifier: alexnet.Classifier) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (30, 40), dtype=np.uint8)
    one, two = classifier.predict([grey, np.stack([grey] * 3, -1)])
    assert one.top_classes == two.top_classes


def test_a_model_without_one_of_its_tensors_is_rejected(trained: RunFolder, tmp_path: Path) -> None:
    weights, info, mean = load_model(trained.model)
    path = tmp_path / "model.safetensors"
    del weights["conv2.weight"]
    save_model(path, weights, info, mean)
    with pytest.raises(ModelFileError, match=r"does not fit its own architecture: .*conv2.weight"):
        alexnet.load(path)


def test_a_mean_image_is_subtracted(trained: RunFolder, image_path: Path, tmp_path: Path) -> None:
    """A mean image of one color gives what that mean color gives."""
    weights, info, _ = load_model(trained.model)
    preprocessing = info.preprocessing
    image = (
        torch.tensor(preprocessing.mean)[:, None, None]
        .expand(3, preprocessing.input_side, preprocessing.input_side)
        .contiguous()
    )
    path = tmp_path / "model.safetensors"
    preprocessing = replace(preprocessing, mean=(0.0, 0.0, 0.0), has_mean_image=True)
    save_model(path, weights, replace(info, preprocessing=preprocessing), image)
    (ours,) = alexnet.load(path).predict([image_path], crops=10)
    (plain,) = alexnet.load(trained.path).predict([image_path], crops=10)
    assert [c.label for c in ours.top_classes] == [c.label for c in plain.top_classes]
    assert ours.top_classes[0].probability == pytest.approx(
        plain.top_classes[0].probability, abs=1e-6
    )


def test_progress_is_reported_after_every_batch(
    classifier: alexnet.Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with images that cannot be read; images that are no files are counted over batches."""
    monkeypatch.setattr(alexnet.inference.decoding, "DECODE_BATCH", 3)
    grays: list[np.ndarray | bytes] = [np.full((9, 9), 30 * i, np.uint8) for i in range(7)]
    grays[4] = b"no image"
    calls: list[tuple[int, int]] = []
    predictions = classifier.predict(grays, on_progress=lambda *call: calls.append(call))
    assert calls == [(3, 7), (6, 7), (7, 7)]
    assert [p.image for p in predictions] == [f"image {i}" for i in range(7)]
    assert [bool(p.error) for p in predictions] == [i == 4 for i in range(7)]
    for i, prediction in enumerate(predictions):
        (alone,) = classifier.predict([grays[i]])
        assert [c.label for c in alone.top_classes] == [c.label for c in prediction.top_classes]


def test_one_lazy_image_many_times_is_decoded_by_one_thread_at_a_time(
    classifier: alexnet.Classifier, image_path: Path
) -> None:
    with Image.open(image_path) as image:
        predictions = classifier.predict([image] * 32)
    (expected,) = classifier.predict([image_path])
    for prediction in predictions:
        assert prediction.error == ""
        assert prediction.top_classes[0].label == expected.top_classes[0].label


def test_a_failure_of_the_system_is_raised(
    classifier: alexnet.Classifier, image_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What says nothing about the image ends the prediction, out of the decoding thread."""

    def out_of_memory(*arguments: object) -> np.ndarray:
        raise MemoryError

    monkeypatch.setattr(alexnet.inference.decoding, "decode", out_of_memory)
    with pytest.raises(DataError, match="cannot be read now"):
        classifier.predict([image_path])


def test_errors_of_loading(tmp_path: Path, trained: RunFolder) -> None:
    with pytest.raises(ModelFileError, match="there is no file"):
        alexnet.load(tmp_path / "nothing")
    with pytest.raises(ModelFileError, match="alexnet_owt is an architecture without weights"):
        alexnet.load("alexnet_owt")
    shutil.copytree(trained.path / "plots", tmp_path / "plots")
    with pytest.raises(ModelFileError):
        alexnet.load(tmp_path / "plots")
    with pytest.raises(AlexNetError, match="device 'gpu7'"):
        alexnet.load(trained.path, device="gpu7")
