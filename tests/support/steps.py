"""Training steps of a recipe, in one process or in every process of a world."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexnet.config.augmentation import Augmentation
from alexnet.config.distributed import DistributedOptions
from alexnet.config.recipe import OptimizerOptions, Recipe
from alexnet.models.variants import ModelOptions
from alexnet.reporter import NullReporter
from alexnet.training.setup import TrainingSetup, set_up_training
from alexnet.training.step import train_step
from alexnet.training.step_figures import RunningMetrics, step_sums

STEPS = 3


def first_batch(setup: TrainingSetup) -> tuple[Tensor, Tensor]:
    """The first batch of a run."""
    pixels, labels = next(setup.batches.epoch(0))
    return torch.from_numpy(pixels), torch.from_numpy(labels)


def with_step(
    metrics: RunningMetrics, loss: Tensor, logits: Tensor, labels: Tensor, targets: Tensor | None
) -> RunningMetrics:
    """The sums of an epoch with one more step; `targets` if its images were mixed."""
    sums = step_sums(loss, logits, labels, targets)
    return metrics.plus(sums.tolist(), targets is not None)


def paper(tiny: Recipe) -> Recipe:
    """The paper's norm and dropout, and an image more than two processes share evenly."""
    return replace(
        tiny,
        arch="alexnet",
        model=ModelOptions(width=0.05, input_size=67),
        optimizer=OptimizerOptions(lr=0.02),
        augment=Augmentation(noise_std=2.0, rotation=10.0, random_erasing=0.5),
        batch_size=9,
        distributed=DistributedOptions(),
    )


def follow(recipe: Recipe, freeze_at: int | None = None) -> dict[str, Any]:
    """Losses and logits of some steps, and the model's weights after them.

    Args:
        recipe: what is trained.
        freeze_at: the step from which on the layers are frozen that are in its second epoch.
    """
    setup = set_up_training(recipe, NullReporter())
    setup.freeze(0)
    losses, all_logits = [], []
    setup.learner.train()
    for step, (pixels, labels) in enumerate(setup.loader.epoch(0)):
        if step == freeze_at:
            setup.freeze(1)
            setup.learner.train()
        loss, logits, _ = train_step(setup, pixels, labels, step, recipe.optimizer.lr)
        losses.append(loss.item())
        all_logits.append(of_whole_batch(setup, logits, len(labels)))
        if step + 1 == STEPS:
            break
    setup.gather()
    weights = {name: t.detach().clone() for name, t in setup.model.state_dict().items()}
    return {"losses": losses, "logits": torch.cat(all_logits), "weights": weights}


def of_whole_batch(setup: TrainingSetup, rows: Tensor, count: int) -> Tensor:
    """The rows of all processes, in the order of the batch."""
    places = setup.own(torch.arange(count))
    gathered, order = map(setup.rows_world.all_gather_rows, (rows, places))
    return gathered[order.argsort()]


def assert_close(found: dict[str, Any], expected: dict[str, Any], tolerance: float = 1e-5) -> None:
    """Losses, logits and weights are equal up to rounding."""
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=tolerance)
    close(found["logits"], expected["logits"], tolerance)
    for name, weight in expected["weights"].items():
        close(found["weights"][name], weight, tolerance)


def close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    """Equal up to rounding."""
    torch.testing.assert_close(found, expected, rtol=10 * tolerance, atol=tolerance)


def assert_same_bits(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Losses and weights are the same."""
    assert found["losses"] == expected["losses"]
    assert all(torch.equal(t, expected["weights"][n]) for n, t in found["weights"].items())
