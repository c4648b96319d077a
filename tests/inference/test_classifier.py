"""A trained model in use: what it takes, what it says of what it cannot read, one view and ten."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import alexnet
from alexnet.checkpoints.model_file import load_model, save_model
from alexnet.data.images.decode import decode
from alexnet.errors import AlexNetError, ModelFileError, UsageError
from alexnet.training.run_folder import RunFolder
from alexnet.transforms.crops import center_crop, ten_crop


@pytest.fixture(scope="module")
def classifier(trained: RunFolder) -> alexnet.Classifier:
    """The tiny run's model."""
    return alexnet.load(trained.path)


@pytest.fixture
def picture(flowers: Path) -> Path:
    """One of the test pictures."""
    return flowers / "test" / "rose" / "0000.jpg"


def stored(classifier: alexnet.Classifier, path: Path) -> np.ndarray:
    """A picture as the store would have it: uint8 [1, S, S, 3]."""
    rule = classifier.info.preprocessing
    with Image.open(path) as image:
        return decode(image, rule.resize, rule.resize_size)[None].copy()


def test_a_run_folder_and_its_model_file_are_the_same(
    trained: RunFolder, classifier: alexnet.Classifier, picture: Path
) -> None:
    for path in (trained.model, str(trained.model), str(trained.path)):
        assert alexnet.load(path).predict([picture]) == classifier.predict([picture])
    assert classifier.class_names == tuple(sorted(p.name for p in picture.parents[1].iterdir()))


def test_it_computes_as_the_run_did(trained: RunFolder, classifier: alexnet.Classifier) -> None:
    config = json.loads(trained.config.read_text())
    assert classifier.precision == config["precision"] == "float32"
    assert not classifier.network.training


def test_paths_pictures_and_arrays_are_the_same(
    classifier: alexnet.Classifier, picture: Path
) -> None:
    with Image.open(picture) as image:
        image.load()
        asked = [picture, str(picture), image, np.asarray(image)]
        predictions = classifier.predict(asked)
    assert [p.picture for p in predictions] == [
        str(picture),
        str(picture),
        "picture 2",
        "picture 3",
    ]
    assert len({p.top_classes for p in predictions}) == 1
    assert {p.error for p in predictions} == {""}


def test_guesses_are_the_likeliest_first(classifier: alexnet.Classifier, picture: Path) -> None:
    (all_of_them,) = classifier.predict([picture], top=99)
    shares = [guess.probability for guess in all_of_them.top_classes]
    assert len(shares) == 12
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert {guess.label for guess in all_of_them.top_classes} == set(classifier.class_names)
    assert classifier.predict([picture], top=2)[0].top_classes == all_of_them.top_classes[:2]
    assert len(classifier.predict([picture])[0].top_classes) == 5


def test_one_view_is_the_softmax_of_the_centre(
    classifier: alexnet.Classifier, picture: Path
) -> None:
    pixels = stored(classifier, picture)
    view = center_crop(torch.from_numpy(pixels), classifier.info.preprocessing)
    with torch.inference_mode():
        expected = classifier.network(view).softmax(1).numpy()
    assert np.allclose(classifier.probabilities(pixels), expected, atol=1e-6)


def test_ten_views_are_the_mean_of_ten_softmaxes(
    classifier: alexnet.Classifier, picture: Path
) -> None:
    pixels = stored(classifier, picture)
    crops = ten_crop(torch.from_numpy(pixels), classifier.info.preprocessing)
    with torch.inference_mode():
        expected = torch.cat([classifier.network(view).softmax(1) for view in crops]).mean(0)
    found = classifier.probabilities(pixels, 10)
    assert np.allclose(found[0], expected.numpy(), atol=1e-6)
    assert not np.allclose(found, classifier.probabilities(pixels), atol=1e-5)
    (prediction,) = classifier.predict([picture], crops=10)
    assert prediction.top_classes[0].probability == pytest.approx(float(expected.max()), abs=1e-6)


def test_read_only_pixels_are_fine(classifier: alexnet.Classifier, picture: Path) -> None:
    pixels = stored(classifier, picture)
    pixels.flags.writeable = False
    assert classifier.probabilities(pixels).shape == (1, 12)


def test_batches_change_nothing(classifier: alexnet.Classifier, flowers: Path) -> None:
    paths = sorted((flowers / "test").rglob("*.jpg"))
    pixels = np.concatenate([stored(classifier, path) for path in paths])
    found = classifier.probabilities(pixels, batch=5)
    assert np.allclose(found, classifier.probabilities(pixels), atol=1e-6)
    assert classifier.probabilities(pixels[:0]).shape == (0, 12)


def test_a_picture_that_cannot_be_read_has_a_problem_and_the_rest_go_on(
    classifier: alexnet.Classifier, picture: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    (tmp_path / "cut.jpg").write_bytes(picture.read_bytes()[:500])
    bad = [tmp_path / "bad.jpg", tmp_path / "cut.jpg", tmp_path / "missing.jpg", tmp_path]
    asked = [picture, *bad, picture]
    predictions = classifier.predict(asked)
    assert [p.picture for p in predictions] == [str(path) for path in asked]
    assert [bool(p.error) for p in predictions] == [False, True, True, True, True, False]
    assert [bool(p.top_classes) for p in predictions] == [True, False, False, False, False, True]
    assert predictions[0].top_classes == predictions[5].top_classes
    assert classifier.predict(bad)[0].error
    assert classifier.predict([]) == []


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 5), np.uint8),
        np.zeros((4, 4, 1), np.uint8), np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8), np.zeros((1, 4, 4, 3), np.uint8),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)  # fmt: skip
def test_an_array_that_is_no_picture_has_a_problem(
    classifier: alexnet.Classifier, picture: Path, array: np.ndarray
) -> None:
    bad, good = classifier.predict([array, picture])
    assert "uint8" in bad.error
    assert good.top_classes


def test_grey_arrays_are_pictures(classifier: alexnet.Classifier) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (30, 40), dtype=np.uint8)
    one, two = classifier.predict([grey, np.stack([grey] * 3, -1)])
    assert one.top_classes == two.top_classes


def test_one_path_instead_of_a_list_is_refused(
    classifier: alexnet.Classifier, picture: Path
) -> None:
    with pytest.raises(UsageError, match="list"):
        classifier.predict(str(picture))


def test_a_model_that_does_not_fit_its_table_is_refused(trained: RunFolder, tmp_path: Path) -> None:
    weights, info, mean = load_model(trained.model)
    path = tmp_path / "model.safetensors"
    del weights["conv2.weight"]
    save_model(path, weights, info, mean)
    with pytest.raises(ModelFileError, match=r"does not fit its own table: .*conv2.weight"):
        alexnet.load(path)


def test_a_mean_image_is_subtracted(trained: RunFolder, picture: Path, tmp_path: Path) -> None:
    """A mean picture of one colour gives what that mean colour gives."""
    weights, info, _ = load_model(trained.model)
    rule = info.preprocessing
    image = torch.tensor(rule.mean)[:, None, None].expand(3, rule.side, rule.side).contiguous()
    path = tmp_path / "model.safetensors"
    rule = replace(rule, mean=(0.0, 0.0, 0.0), has_mean_image=True)
    save_model(path, weights, replace(info, preprocessing=rule), image)
    (ours,) = alexnet.load(path).predict([picture], crops=10)
    (plain,) = alexnet.load(trained.path).predict([picture], crops=10)
    assert [g.label for g in ours.top_classes] == [g.label for g in plain.top_classes]
    assert ours.top_classes[0].probability == pytest.approx(
        plain.top_classes[0].probability, abs=1e-6
    )


def test_errors_of_loading(tmp_path: Path, trained: RunFolder) -> None:
    with pytest.raises(ModelFileError, match="there is no file"):
        alexnet.load(tmp_path / "nothing")
    shutil.copytree(trained.path / "plots", tmp_path / "plots")
    with pytest.raises(ModelFileError):
        alexnet.load(tmp_path / "plots")
    with pytest.raises(AlexNetError, match="device 'gpu7'"):
        alexnet.load(trained.path, device="gpu7")
