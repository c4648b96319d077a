"""A learning-rate range test: the loss while the learning rate rises from step to step.

Source: Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3; the
suggestion is in the manner of fastai's "valley".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from alexnet.config.recipe import Recipe
from alexnet.errors import DivergedError, TrainingError
from alexnet.evaluation.metrics import rank_of_label
from alexnet.reporter import Reporter, StepReport
from alexnet.training.setup import TrainingSetup, set_up_training
from alexnet.training.step import train_step

MIN_LR, MAX_LR = 1e-6, 10.0
NUM_STEPS = 100
SMOOTHING = 0.9
"""Weight of the past in the smoothed loss."""
DIVERGED = 4.0
"""The test ends when the smoothed loss is so many times its minimum."""
MIN_STEPS = 10
"""Without as many there is no suggestion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LRRangeTest:
    """What a range test found."""

    lrs: tuple[float, ...]
    """Of each step, rising by a constant factor."""
    losses: tuple[float, ...]
    """Smoothed, of each step."""
    suggestion: float
    """The learning rate in the middle of the longest fall of the loss."""


def find_lr(recipe: Recipe, reporter: Reporter) -> LRRangeTest:
    """Train for up to a hundred steps while the learning rate rises from 1e-6 to 10.

    CutMix and mixup are left out, since their steps have another loss. Writes nothing but the image
    store.

    Raises:
        AlexNetError: the recipe, the data or the weights cannot work.
        TrainingError: the loss is not finite in the first steps.
    """
    recipe = replace(recipe, augment=replace(recipe.augment, cutmix=0.0, mixup=0.0))
    setup = set_up_training(recipe, reporter)
    setup.freeze(0)
    setup.network.train()
    lrs: list[float] = []
    losses: list[float] = []
    average = 0.0
    for step, (pixels, labels) in zip(range(NUM_STEPS), endless_batches(setup), strict=False):
        lr = MIN_LR * (MAX_LR / MIN_LR) ** (step / (NUM_STEPS - 1))
        try:
            loss, logits, _ = train_step(setup, pixels, labels, step, lr)
        except DivergedError:
            break
        average = SMOOTHING * average + (1 - SMOOTHING) * loss.item()
        lrs.append(lr)
        losses.append(average / (1 - SMOOTHING ** (step + 1)))
        reporter.on_step(range_report(step, losses[-1], rank_of_label(logits, labels) >= 1))
        if losses[-1] > DIVERGED * min(losses):
            break
    if len(losses) < MIN_STEPS:
        raise TrainingError("the loss is not finite at the lowest learning rates; check the data")
    return LRRangeTest(lrs=tuple(lrs), losses=tuple(losses), suggestion=suggest_lr(lrs, losses))


def endless_batches(setup: TrainingSetup) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of one epoch after the other."""
    epoch = 0
    while True:
        yield from setup.loader.epoch(epoch)
        epoch += 1


def range_report(step: int, loss: float, wrong: Tensor) -> StepReport:
    """A step of the test for a progress bar; `wrong` says which images are classified wrongly."""
    return StepReport(
        step=step + 1,
        total_steps=NUM_STEPS,
        epoch=1,
        total_epochs=1,
        loss=loss,
        top1_error=wrong.double().mean().item(),
        num_images=len(wrong),
    )


def suggest_lr(lrs: Sequence[float], losses: Sequence[float]) -> float:
    """The learning rate in the middle of the longest fall: from its first to its last step.

    The fall is the longest sequence of steps, not necessarily adjacent, with falling losses.
    """
    first, last = longest_fall(losses)
    return lrs[(first + last) // 2]


def longest_fall(losses: Sequence[float]) -> tuple[int, int]:
    """First and last index of the longest strictly falling subsequence that begins last."""
    lengths, starts = [1] * len(losses), list(range(len(losses)))
    for i, loss in enumerate(losses):
        for j in range(i):
            if losses[j] > loss and lengths[j] + 1 >= lengths[i]:
                lengths[i], starts[i] = lengths[j] + 1, starts[j]
    last = lengths.index(max(lengths))
    return starts[last], last
