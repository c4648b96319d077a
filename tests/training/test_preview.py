"""Augmented images to look at: which images, how many, and on which scale."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.config.presets import preset
from alexnet.reporter import NullReporter
from alexnet.training.preview import augmentation_preview


@pytest.mark.parametrize("num_samples", [0, 3])
def test_a_row_is_a_stored_image_and_samples_of_it(flowers: Path, num_samples: int) -> None:
    recipe = replace(preset("quickstart"), data=str(flowers))
    rows, names = augmentation_preview(recipe, 2, num_samples, NullReporter())
    assert len(rows) == len(names) == 2
    for stored, *samples in rows:
        assert len(samples) == num_samples
        for image in (stored, *samples):
            assert image.dtype == np.uint8
        for sample in samples:  # the same image on the same scale, elsewhere cropped
            assert abs(sample.mean() - stored.mean()) < 40
    again, _ = augmentation_preview(recipe, 2, num_samples, NullReporter())
    for row, same in zip(rows, again, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(row, same, strict=True))
