"""The nearest images: same images, classes, what is left out, and the sheet."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import alexnet
from alexnet.errors import UsageError
from alexnet.features.neighbors import NearestImages, nearest_images
from alexnet.features.plots import neighbors_sheet
from alexnet.training.run_folder import RunFolder
from support.figures import drawn_texts, overlapping_texts


@pytest.fixture
def nearest(trained: RunFolder) -> NearestImages:
    return nearest_images(alexnet.load(trained.path))


def test_the_image_itself_is_known_by_its_pixels(nearest: NearestImages, flowers: Path) -> None:
    path = flowers / "train" / "rose" / "0001.jpg"
    (found,) = nearest.find(path, top=4)
    first, *others = found.neighbors
    assert (first.image, first.label) == ("train/rose/0001.jpg", "rose")
    assert (first.distance, first.is_same, first.is_match) == (0, True, True)
    assert (found.label, found.image) == ("rose", str(path))
    (without,) = nearest.find(path, top=3, exclude_same=True)
    assert without.neighbors == tuple(others)
    assert [one.distance for one in others] == sorted(one.distance for one in others)
    assert all(one.distance > 0 for one in others)
    assert [one.is_match for one in others] == [one.label == "rose" for one in others]


def test_neighbors_are_of_the_training_images(nearest: NearestImages, flowers: Path) -> None:
    (found,) = nearest.find(flowers / "test" / "daisy" / "0000.jpg", top=99)
    assert len(found.neighbors) == 36
    assert {one.image.split("/")[0] for one in found.neighbors} == {"train"}
    assert found.label == "daisy"  # as the data says, though it is not searched
    assert [one.is_match for one in found.neighbors] == [
        one.label == "daisy" for one in found.neighbors
    ]


def test_a_query_that_the_data_lacks_is_of_its_predicted_class(nearest: NearestImages) -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8)
    (found,) = nearest.find(image, top=5, num_pixels=1)
    assert found.label is None
    predicted = found.prediction.label
    assert [one.is_match for one in found.neighbors] == [
        one.label == predicted for one in found.neighbors
    ]
    assert found.pixels is not None
    assert found.pixels.shape == (72, 72, 3)


def test_cosine_distances_are_from_0_to_2(trained: RunFolder, flowers: Path) -> None:
    nearest = nearest_images(alexnet.load(trained.path), cosine=True)
    (found,) = nearest.find(flowers / "test" / "daisy" / "0000.jpg", top=36)
    distances = [one.distance for one in found.neighbors]
    assert 0 <= distances[0] <= distances[-1] <= 2


def test_data_of_other_classes_without_splits(
    trained: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    for number, folder in enumerate(("rose", "tulip")):
        shutil.copytree(flowers / "train" / folder, tmp_path / "mine" / f"kind {number}")
    nearest = nearest_images(alexnet.load(trained.path), str(tmp_path / "mine"))
    assert (nearest.searched.split, nearest.searched.rows.tolist()) == ("all", list(range(6)))
    (found,) = nearest.find(flowers / "train" / "rose" / "0000.jpg")
    assert found.label == "kind 0"
    assert {one.is_match for one in found.neighbors} == {None}


def test_an_image_that_cannot_be_read_is_one_result(
    nearest: NearestImages, flowers: Path, tmp_path: Path
) -> None:
    bad, rose = tmp_path / "x.jpg", flowers / "train" / "rose" / "0001.jpg"
    bad.write_bytes(b"no image")
    first, second, third = nearest.find([bad, rose, bad], top=2, num_pixels=1)
    assert (first.image, first.neighbors, first.prediction) == (str(bad), (), None)
    assert first.error == third.error != ""
    assert (second.image, second.label, second.error) == (str(rose), "rose", "")
    assert second == nearest.find(rose, top=2)[0]
    assert second.pixels is not None, "those of the first image that can be read"
    assert [one.error for one in nearest.find(bad)] == [first.error]
    with pytest.raises(UsageError, match="top must be"):
        nearest.find(rose, top=0)


def test_the_sheet_names_classes_and_marks_others(nearest: NearestImages, flowers: Path) -> None:
    paths = [flowers / "test" / name / "0000.jpg" for name in ("rose", "daisy")]
    found = nearest.find(paths, top=12, num_pixels=2)
    figure = neighbors_sheet(found, nearest)
    assert overlapping_texts(figure) == []
    words = [text for text, _ in drawn_texts(figure)]
    shown = [near for one in found for near in one.neighbors[:10]]
    for near in shown:
        assert (near.label if near.is_match else f"✗ {near.label}") in words
    assert sum(word.startswith("✗") for word in words) == sum(not one.is_match for one in shown)
    assert any(f"of {len(shown)} neighbors" in word for word in words)
    assert len(figure.axes) == 2 * 11
    small = neighbors_sheet([replace(found[0], neighbors=found[0].neighbors[:1])], nearest)
    boxes = [axes.get_position(original=True) for axes in small.axes]
    assert sum(box.width * box.height for box in boxes) > 0.4, "two large images fill it"
