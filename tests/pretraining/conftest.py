"""A small training recipe, and finished pretrainings of both kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.config.recipe import Recipe
from alexnet.pretraining.pretrainer import Pretrained, pretrain
from support.pretraining import small_recipe


@pytest.fixture(scope="session")
def training(tiny: Recipe) -> Recipe:
    """The training that follows, without color augmentation, which needs more images."""
    return replace(tiny, augment=replace(tiny.augment, color_std=0.0))


@pytest.fixture(scope="session")
def pretraining_cache(new_cache: Callable[[], Path]) -> str:
    """The cache in which the store of `training`'s images is built once."""
    return str(new_cache())


@pytest.fixture
def with_store(pretraining_cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test uses the store that has been built already."""
    monkeypatch.setenv("ALEXNET_CACHE", pretraining_cache)


@pytest.fixture(scope="session", params=["autoencoder", "rbm"])
def finished(
    request: pytest.FixtureRequest,
    training: Recipe,
    pretraining_cache: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Pretrained:
    """A small pretraining of each kind without plots; read it, do not change it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALEXNET_CACHE", pretraining_cache)
        out = tmp_path_factory.mktemp("pretrained") / request.param
        return pretrain(small_recipe(request.param, training), out=out, plots=False)
