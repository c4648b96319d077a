"""Train on one batch until it is learned: whatever is wrong shows before a long run."""

from __future__ import annotations

from dataclasses import dataclass, replace

from alexnet.config.augmentation import NO_AUGMENTATION
from alexnet.config.recipe import Recipe
from alexnet.reporter import Reporter
from alexnet.training.setup import set_up_training
from alexnet.training.step import train_step
from alexnet.training.step_figures import count_wrong

MAX_STEPS = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class OverfitStep:
    """One step on the batch, before its update."""

    step: int
    """Counted from 1."""
    loss: float
    top1_error: float
    """Top-1 error on the batch, 0 to 1."""


def overfit_one_batch(recipe: Recipe, reporter: Reporter) -> list[OverfitStep]:
    """Train on the first batch, the same in every step, until its error is 0 or for 300 steps.

    Without augmentation, dropout and label smoothing, at the recipe's learning rate. Writes nothing
    but the image store.

    Returns:
        The steps; the last has the error 0 if the batch was learned.

    Raises:
        AlexNetError: the recipe, the data or the weights cannot work, or the loss is not finite.
    """
    setup = set_up_training(without_noise(recipe), reporter)
    setup.freeze(0)
    setup.learner.train()
    pixels, labels = next(setup.loader.epoch(0))
    steps: list[OverfitStep] = []
    for step in range(MAX_STEPS):
        loss, logits, _ = train_step(setup, pixels, labels, step, recipe.optimizer.lr)
        wrong, _, count = count_wrong(logits, setup.own(labels), setup.rows_world)
        steps.append(OverfitStep(step=step + 1, loss=loss.item(), top1_error=wrong / count))
        if wrong == 0:
            break
    return steps


def without_noise(recipe: Recipe) -> Recipe:
    """The recipe without what keeps a network from memorizing a batch: dropout, augmentation, .."""
    model = replace(recipe.model, dropout=0.0)
    return replace(recipe, augment=NO_AUGMENTATION, model=model, label_smoothing=0.0)
