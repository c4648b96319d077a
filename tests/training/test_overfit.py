"""One batch is learned by heart, or not if nothing can learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.config.augmentation import Augmentation
from alexnet.config.recipe import OptimizerOptions, Recipe
from alexnet.training.overfit import overfit_one_batch
from support.runs import Witness


def test_a_batch_is_learned_without_what_hinders_it(
    tiny: Recipe, tmp_path: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hindered = replace(
        tiny,
        label_smoothing=0.5,
        augment=Augmentation(cutmix=1.0, noise_std=50),
        optimizer=OptimizerOptions(optimizer="adamw", lr=1e-3),
    )
    steps = overfit_one_batch(hindered, witness)
    assert steps[-1].top1_error == 0
    assert [s.step for s in steps] == list(range(1, len(steps) + 1))
    assert all(s.top1_error > 0 for s in steps[:-1])
    assert steps[-1].loss < steps[0].loss
    assert list(tmp_path.iterdir()) == []


def test_a_rate_of_almost_nothing_learns_nothing(
    tiny: Recipe, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alexnet.training.overfit.MAX_STEPS", 4)
    slow = replace(tiny, optimizer=OptimizerOptions(optimizer="sgd", lr=1e-9))
    steps = overfit_one_batch(slow, witness)
    assert len(steps) == 4
    assert steps[-1].top1_error > 0
