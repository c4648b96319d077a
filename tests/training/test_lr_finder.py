"""The range test: the longest fall by hand, rising rates, and nothing left behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.config.recipe import OptimizerOptions, Recipe
from alexnet.plots.range_test import range_test
from alexnet.training.lr_finder import NUM_STEPS, find_lr, longest_fall, suggest_lr
from support.runs import Witness


@pytest.mark.parametrize(
    ("losses", "fall"),
    [
        ([3.0], (0, 0)),
        ([1.0, 2.0, 3.0], (0, 0)),
        ([5.0, 4.0, 3.0, 9.0], (0, 2)),
        ([5.0, 5.1, 4.0, 4.5, 3.0, 2.0, 9.0, 1.5, 8.0, 9.0], (1, 7)),
        ([1.0, 9.0, 8.0, 8.5, 7.0, 2.0], (1, 5)),
    ],
)
def test_the_longest_fall_by_hand(losses: list[float], fall: tuple[int, int]) -> None:
    assert longest_fall(losses) == fall


def test_the_suggestion_is_the_middle_of_the_fall() -> None:
    """Flat, then a fall over a factor of 10,000, then a blow-up."""
    lrs = [10.0**i for i in range(-8, 3)]
    losses = [2.0, 2.0, 2.0, 1.9, 1.5, 1.0, 0.6, 0.5, 3.0, 9.0, 20.0]
    assert suggest_lr(lrs, losses) == pytest.approx(1e-4)


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
    assert 1e-5 < found.suggestion < 1
    assert list(tmp_path.iterdir()) == []
    figure = range_test(found.lrs, found.losses, found.suggestion, "test")
    (curve, mark) = figure.axes[0].lines
    assert list(curve.get_xdata()) == list(found.lrs)
    assert list(mark.get_xdata()) == [found.suggestion]
