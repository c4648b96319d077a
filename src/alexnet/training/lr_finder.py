"""A learning-rate range test: the loss while the learning rate rises from step to step.

Source: Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from alexnet.config.recipe import Recipe
from alexnet.errors import DivergedError, TrainingError
from alexnet.reporter import Reporter, StepReport, StopTraining
from alexnet.training.setup import TrainingSetup, set_up_training
from alexnet.training.step import train_step
from alexnet.training.step_figures import count_wrong

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIN_LR, MAX_LR = 1e-6, 10.0
NUM_STEPS = 100
SMOOTHING = 0.9
"""Weight of the past in the loss that is watched during the test."""
DIVERGED = 4.0
"""The test ends when the watched loss is more than this many times its minimum."""
SMOOTHED_STEPS = 9
"""Number of neighboring steps whose losses are averaged for the curve, which span a factor of 4 in
the learning rate."""
FALL = (0.2, 0.8)
"""Fractions of its depth at which the fall of the loss begins and ends."""
MIN_DEPTH = 7.0
"""Minimum depth of a fall, in standard deviations of the smoothed loss; noise alone is rarely as
deep."""
MEDIAN_DIFFERENCE = 0.6745 * math.sqrt(2)
"""Median absolute difference of two normal numbers, in standard deviations."""
MIN_STEPS = 10
"""Minimum number of steps for a suggestion."""


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class LRRangeTest:
    """The result of a range test."""

    lrs: tuple[float, ...]
    """Learning rate of each step, rising by a constant factor."""
    losses: tuple[float, ...]
    """Smoothed loss of each step."""
    suggestion: float | None
    """The learning rate in the middle of the fall of the loss; None where it does not fall."""

    def __repr__(self) -> str:
        suggestion = f"{self.suggestion:.2g}" if self.suggestion else "none"
        steps, low, high = len(self.lrs), self.lrs[0], self.lrs[-1]
        return f"LRRangeTest(suggestion {suggestion}, {steps} steps from {low:.2g} to {high:.2g})"

    def _repr_html_(self) -> str:
        """The suggestion and the curve, for notebooks."""
        from alexnet.training.html import range_test_html

        return range_test_html(self)

    def plot(self, title: str = "") -> Figure:
        """The smoothed loss over the learning rate, with the suggestion, as a matplotlib figure."""
        from alexnet.plots.range_test import range_test  # matplotlib takes half a second

        return range_test(self.lrs, self.losses, self.suggestion, title)


def find_lr(recipe: Recipe, reporter: Reporter) -> LRRangeTest:
    """Train for up to a hundred steps while the learning rate rises from 1e-6 to 10.

    CutMix and mixup are left out, since their steps have another loss. Writes nothing but the image
    store. Where the reporter ends it by `StopTraining`, the curve is of the steps so far; it has a
    suggestion from the tenth on.

    Raises:
        AlexNetError: the recipe, the data or the weights cannot work.
        TrainingError: the loss is not finite in the first steps.
    """
    recipe = replace(recipe, augment=replace(recipe.augment, cutmix=0.0, mixup=0.0))
    setup = set_up_training(recipe, reporter)
    setup.freeze(0)
    setup.learner.train()
    lrs: list[float] = []
    losses: list[float] = []
    watched: list[float] = []
    average, is_stopped = 0.0, False
    for step, (pixels, labels) in zip(range(NUM_STEPS), endless_batches(setup), strict=False):
        lr = MIN_LR * (MAX_LR / MIN_LR) ** (step / (NUM_STEPS - 1))
        try:
            loss, logits, _ = train_step(setup, pixels, labels, step, lr)
        except DivergedError:
            break
        lrs.append(lr)
        losses.append(loss.item())
        average = SMOOTHING * average + (1 - SMOOTHING) * losses[-1]
        watched.append(average / (1 - SMOOTHING ** (step + 1)))
        wrong, _, count = count_wrong(logits, setup.own(labels), setup.rows_world)
        try:
            reporter.on_step(range_report(step, lr, watched[-1], losses[-1], wrong / count, count))
        except StopTraining:
            is_stopped = True
            break
        if watched[-1] > DIVERGED * min(watched):
            break
    if len(losses) < MIN_STEPS and not is_stopped:
        raise TrainingError("the loss is not finite at the lowest learning rates; check the data")
    suggestion = suggest_lr(lrs, losses) if len(losses) >= MIN_STEPS else None
    curve = tuple(smooth(losses).tolist())
    return LRRangeTest(lrs=tuple(lrs), losses=curve, suggestion=suggestion)


def endless_batches(setup: TrainingSetup) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of all epochs, one after another, without end."""
    epoch = 0
    while True:
        yield from setup.loader.epoch(epoch)
        epoch += 1


def range_report(
    step: int, lr: float, loss: float, step_loss: float, top1_error: float, num_images: int
) -> StepReport:
    """A step of the test for a progress bar; `loss` is the average so far."""
    return StepReport(
        step=step + 1,
        total_steps=NUM_STEPS,
        epoch=1,
        total_epochs=1,
        loss=loss,
        top1_error=top1_error,
        num_images=num_images,
        step_loss=step_loss,
        lr=lr,
    )


def suggest_lr(lrs: Sequence[float], losses: Sequence[float]) -> float | None:
    """The learning rate in the middle of the fall of the loss; None where it does not fall.

    Args:
        lrs: of each step, rising by a constant factor.
        losses: of each step, as measured.
    """
    fall = find_fall(losses)
    return None if fall is None else lrs[sum(fall) // 2]


def find_fall(losses: Sequence[float]) -> tuple[int, int] | None:
    """The steps between which the smoothed loss falls by 20 % to 80 % of its depth.

    The depth is from the highest loss before the lowest one to that. A fall within the noise, as
    neighbouring losses differ, is none. Neither the flat part before the fall counts, however many
    steps it has, nor a rise within the fall.
    """
    smoothed = smooth(losses)
    lowest = int(smoothed.argmin())
    until_lowest = smoothed[: lowest + 1]
    depth = float(until_lowest.max() - smoothed[lowest])
    if depth <= MIN_DEPTH * noise(losses[: lowest + 1]):
        return None
    fallen = (until_lowest.max() - until_lowest) / depth
    begin, end = FALL
    return int(np.flatnonzero(fallen <= begin)[-1]), int(np.flatnonzero(fallen >= end)[0])


def smooth(losses: Sequence[float]) -> np.ndarray:
    """Means of nine neighbouring losses, which do not lag behind: float64 [len(losses)]."""
    reach = SMOOTHED_STEPS // 2
    windows = [losses[max(0, i - reach) : i + reach + 1] for i in range(len(losses))]
    return np.array([np.mean(window) for window in windows])


def noise(losses: Sequence[float]) -> float:
    """Standard deviation of a smoothed loss, by the median difference of neighbours."""
    if len(losses) < 2:
        return 0.0
    difference = np.median(np.abs(np.diff(losses)))
    return float(difference / MEDIAN_DIFFERENCE / math.sqrt(SMOOTHED_STEPS))
