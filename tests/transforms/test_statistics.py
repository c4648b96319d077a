"""For a grey network, mean and std are those of the grey values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.config.recipe import DataOptions, Recipe
from alexnet.errors import ConfigError
from alexnet.models.variants import ModelOptions
from alexnet.models.zoo import ZOO
from alexnet.reporter import NullReporter
from alexnet.training.build import build_architecture
from alexnet.training.setup import set_up_training
from alexnet.transforms.crops import LUMA_WEIGHTS


def test_mean_and_std_of_grey_values(tiny: Recipe) -> None:
    recipe = replace(
        tiny, arch="lenet5", model=ModelOptions(), data_options=DataOptions(resize_size=32)
    )
    job = set_up_training(recipe, NullReporter())
    grey = job.store.images(job.splits.train).astype(np.float64) @ np.array(LUMA_WEIGHTS)
    preprocessing = job.info.preprocessing
    assert preprocessing.mean[0] == pytest.approx(grey.mean(), rel=1e-6)
    assert preprocessing.std[0] == pytest.approx(grey.std(), rel=1e-6)
    assert Path(job.store.folder).is_dir()


def test_an_input_that_is_not_a_square_is_refused(tiny: Recipe) -> None:
    wide = replace(ZOO["lenet5"], input=(1, 32, 64), name="wide")
    recipe = replace(tiny, arch=wide, model=ModelOptions())
    with pytest.raises(ConfigError, match=r"^wide takes images of 32x64 pixels, .* --input-size$"):
        build_architecture(recipe)
    square = replace(recipe, model=ModelOptions(input_size=32))
    assert build_architecture(square).input == (1, 32, 32)
