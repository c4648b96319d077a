"""The range test: falls by hand and under noise, rising rates, and nothing left behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.config.recipe import OptimizerOptions, Recipe
from alexnet.plots.range_test import range_test
from alexnet.training.lr_finder import NUM_STEPS, find_lr, smooth, suggest_lr
from support.runs import Witness

LRS = [1e-6 * 1e7 ** (i / 99) for i in range(100)]


def range_curve(noise: float, seed: int) -> np.ndarray:
    """Flat up to 1e-4, a fall by 1 up to 3e-3, and a blow-up from 3e-2 on."""
    x = np.log10(LRS)
    fall = np.clip((x + 4) / (np.log10(3e-3) + 4), 0, 1)
    blow_up = 10 * np.clip(x - np.log10(3e-2), 0, None) ** 2
    return 2.3 - fall + blow_up + np.random.default_rng(seed).normal(0, noise, len(x))


@pytest.mark.parametrize("noise", [0, 0.01, 0.05, 0.1, 0.2])
def test_the_suggestion_is_within_the_fall_whatever_the_noise(noise: float) -> None:
    for seed in range(10):
        suggestion = suggest_lr(LRS, range_curve(noise, seed).tolist())
        assert suggestion is not None
        assert 2e-4 < suggestion < 1.5e-3


def test_tiny_falls_of_a_flat_part_do_not_count() -> None:
    """They are 28 steps on end, and the real fall has rises in it."""
    losses = range_curve(0.05, 0)
    losses[:28] = 2.3 - np.arange(28) * 1e-4
    suggestion = suggest_lr(LRS, losses.tolist())
    assert suggestion is not None
    assert 3e-4 < suggestion < 1e-3


def test_there_is_no_suggestion_without_a_fall() -> None:
    flat = np.random.default_rng(0).normal(2.3, 0.1, 100)
    rising = np.linspace(2, 3, 100)
    assert [suggest_lr(LRS, losses.tolist()) for losses in (flat, rising)] == [None, None]
    assert range_test(LRS, flat.tolist(), None).axes[0].get_legend() is None


def test_smoothing_keeps_a_fall_where_it_is() -> None:
    assert smooth([0.0] * 10 + [9.0] * 10)[5:14].tolist() == [*range(9)]


@pytest.mark.slow
@pytest.mark.usefixtures("small_place")
def test_the_rate_rises_until_the_loss_blows_up(
    small: Recipe, tmp_path: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = find_lr(replace(small, optimizer=OptimizerOptions(optimizer="sgd")), witness)
    assert len(found.lrs) == len(found.losses) == len(witness.steps) <= NUM_STEPS
    ratios = [b / a for a, b in zip(found.lrs, found.lrs[1:], strict=False)]
    assert ratios == pytest.approx([1e7 ** (1 / 99)] * len(ratios))
    assert found.suggestion is not None
    assert 1e-5 < found.suggestion < 1
    assert list(tmp_path.iterdir()) == []
    figure = range_test(found.lrs, found.losses, found.suggestion, "test")
    (curve, mark) = figure.axes[0].lines
    assert list(curve.get_xdata()) == list(found.lrs)
    assert list(mark.get_xdata()) == [found.suggestion]
