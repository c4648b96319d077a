"""Augmented images to look at: which images, how many, and on which scale."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alexnet.config.augmentation import NO_AUGMENTATION, Augmentation
from alexnet.config.presets import preset
from alexnet.data.images.decode import decode
from alexnet.reporter import NullReporter
from alexnet.training.data import prepare_data
from alexnet.training.preview import augmentation_preview
from support.noise_stores import write_images
from support.runs import Witness


@pytest.mark.parametrize("num_samples", [0, 3])
def test_a_row_is_a_stored_image_and_samples_of_it(flowers: Path, num_samples: int) -> None:
    recipe = replace(preset("quickstart"), data=str(flowers))
    shown = augmentation_preview(recipe, 2, num_samples, NullReporter())
    assert len(shown.images) == len(shown.class_names) == len(shown.captions) == 2
    for (stored, *samples), captions in zip(shown.images, shown.captions, strict=True):
        assert len(samples) == len(captions) - 1 == num_samples
        for image in (stored, *samples):
            assert image.dtype == np.uint8
        for sample in samples:  # the same image on the same scale, elsewhere cropped
            assert abs(sample.mean() - stored.mean()) < 40
    again = augmentation_preview(recipe, 2, num_samples, NullReporter())
    for row, same in zip(shown.images, again.images, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(row, same, strict=True))


def test_mixed_images_are_shown_with_their_shares(flowers: Path) -> None:
    """Every caption of a column has the same two weights, and the pixels are their mean."""
    plain = replace(preset("quickstart"), data=str(flowers), augment=NO_AUGMENTATION)
    mixup = replace(plain, augment=replace(NO_AUGMENTATION, mixup=1.0))
    before = augmentation_preview(plain, 3, 4, NullReporter())
    after = augmentation_preview(mixup, 3, 4, NullReporter())
    seen = 0
    for column in range(1, 5):
        originals = [row[column].astype(float) for row in before.images]
        by_name = dict(zip(before.class_names, originals, strict=True))
        for row, captions in zip(after.images, after.captions, strict=True):
            parts = re.findall(r"(\d+) % (.*)", captions[column])
            expected = sum(int(share) / 100 * by_name[name] for share, name in parts)
            seen += bool(parts)
            assert not parts or np.abs(row[column] - expected).max() < 3
    assert seen > 3


def test_a_caption_says_what_was_done(flowers: Path) -> None:
    """What it says of the crop, the flip and the color gives the image."""
    base = preset("quickstart")
    options = replace(base.data_options, crop_size=None)
    augment = Augmentation(color_std=0.5)
    recipe = replace(base, data=str(flowers), data_options=options, augment=augment)
    shown = augmentation_preview(recipe, 1, 6, NullReporter())
    (images, captions), seen = (shown.images[0], shown.captions[0]), set()
    assert captions[0].endswith(".jpg")
    for image, caption in zip(images[1:], captions[1:], strict=True):
        width, height, left, top = map(int, re.findall(r"\d+", caption)[:4])
        crop = images[0][top : top + height, left : left + width].astype(int)
        crop = crop[:, ::-1] if "flipped" in caption else crop
        color = [int(v) for v in caption.split("color ")[1].split()]
        difference = np.clip(crop + color, 0, 255) - image
        assert np.abs(difference).max() <= 1, "rounded"
        seen |= set(caption.split("\n")[:2])
    assert len(seen) > 4


def test_only_shown_images_are_decoded_and_no_store_is_built(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows begin with the same images as those from a store."""
    data = write_images(tmp_path)
    (data / "b" / "1.png").unlink()
    recipe = replace(preset("quickstart"), data=str(data))
    decoded: list[int] = []

    def counted(*args: Any) -> np.ndarray:
        decoded.append(1)
        return decode(*args)

    monkeypatch.setattr("alexnet.data.store.sample.decode", counted)
    told = Witness()
    shown = augmentation_preview(recipe, 2, 1, told)
    assert len(decoded) == 2
    assert not (cache / "stores").exists()
    assert "mean and colors are those of the 2 images shown" in told.notes[-1]
    prepare_data(recipe)
    stored = augmentation_preview(recipe, 2, 1, told)
    assert len(decoded) == 2
    for row, same in zip(shown.images, stored.images, strict=True):
        assert np.array_equal(row[0], same[0])
    assert [c[0] for c in shown.captions] == [c[0] for c in stored.captions]


def test_an_unreadable_image_is_not_shown(tmp_path: Path, cache: Path) -> None:
    data = write_images(tmp_path)
    for i in range(5):
        (data / "a" / f"{i}.png").write_bytes(b"no image")
    recipe = replace(preset("quickstart"), data=str(data))
    options = replace(recipe.data_options, test_fraction=0.0, val_fraction=0.0)
    shown = augmentation_preview(replace(recipe, data_options=options), 1, 0, NullReporter())
    assert shown.captions == [["a/5.png"]]
    assert not (cache / "stores").exists()
