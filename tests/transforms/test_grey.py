"""A grey net's mean and deviation are those of the grey picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.config.recipe import NetOptions, PictureOptions, Recipe
from alexnet.reporter import Silent
from alexnet.training.setup import make_ready
from alexnet.transforms.crops import GREY_WEIGHTS


def test_mean_and_deviation_of_grey(tiny: Recipe) -> None:
    recipe = replace(
        tiny, arch="lenet5", net=NetOptions(), pictures=PictureOptions(store_pixels=32)
    )
    job = make_ready(recipe, Silent())
    grey = job.store.images[job.splits.train].astype(np.float64) @ np.array(GREY_WEIGHTS)
    rule = job.info.preprocessing
    assert rule.mean[0] == pytest.approx(grey.mean(), rel=1e-6)
    assert rule.divisor[0] == pytest.approx(grey.std(), rel=1e-6)
    assert Path(job.store.folder).is_dir()
