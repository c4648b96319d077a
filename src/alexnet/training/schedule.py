"""The learning rate: of every step, and of every parameter group."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from alexnet.config.recipe import LRSchedule, Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class LRScheduler:
    """The learning rate of a run as a function of the step."""

    options: LRSchedule
    base_lr: float
    """The highest learning rate."""
    steps_per_epoch: int
    total_steps: int
    low_lr: float = 0.0
    """Learning rate of the parameter groups marked `low_lr`, once `low_lr_after_epoch` epochs are
    done."""
    low_lr_after_epoch: int | None = None
    """Number of epochs after which the groups marked `low_lr` get that learning rate; None: they
    learn like the others."""

    def lr(self, step: int, errors: Sequence[float] = ()) -> float:
        """The learning rate of a step.

        Args:
            step: counted from 0 over the whole run.
            errors: error after each finished epoch, for `plateau`.
        """
        planned = next((n for until, n in self.options.replanned if step < until), None)
        total_steps = planned * self.steps_per_epoch if planned else self.total_steps
        return lr_at(self.options, self.base_lr, step, self.steps_per_epoch, total_steps, errors)

    def set_lr(self, optimizer: torch.optim.Optimizer, step: int, lr: float) -> None:
        """Set every parameter group's learning rate for a step whose overall one is `lr`."""
        after = self.low_lr_after_epoch
        is_low = after is not None and step // self.steps_per_epoch >= after
        set_lr(optimizer, lr, self.low_lr if is_low else None)


def uses_epochs(schedule: LRSchedule) -> bool:
    """Whether the learning rate depends on the number of epochs of the run."""
    return schedule.schedule == "cosine"


def past_plan(recipe: Recipe, step: int) -> tuple[tuple[int, int], ...]:
    """The planned epochs that decided the first `step` learning rates: pairs (steps, epochs)."""
    if not uses_epochs(recipe.schedule):
        return ()
    past: list[tuple[int, int]] = []
    for until, epochs in (*recipe.schedule.replanned, (step, recipe.epochs)):
        if not past or past[-1][0] < step:
            past.append((min(until, step), epochs))
    return tuple(past)


def build_scheduler(recipe: Recipe, steps_per_epoch: int) -> LRScheduler:
    """Build the learning-rate scheduler of a recipe."""
    return LRScheduler(
        options=recipe.schedule,
        base_lr=recipe.optimizer.lr,
        steps_per_epoch=steps_per_epoch,
        total_steps=recipe.epochs * steps_per_epoch,
        low_lr=recipe.low_lr,
        low_lr_after_epoch=recipe.low_lr_after_epoch,
    )


def set_lr(optimizer: torch.optim.Optimizer, lr: float, low_lr: float | None = None) -> None:
    """Set each group's learning rate to its multiple of `lr`, or of `low_lr` if it is marked so.

    `optimizers.parameter_groups` puts `lr_multiplier` and `low_lr` into each group; a group that
    was made without them learns at `lr`.
    """
    for group in optimizer.param_groups:
        is_low = low_lr is not None and group.get("low_lr", False)
        group["lr"] = (low_lr if is_low else lr) * group.get("lr_multiplier", 1.0)


def lr_at(
    schedule: LRSchedule,
    base_lr: float,
    step: int,
    steps_per_epoch: int,
    total_steps: int,
    errors: Sequence[float] = (),
) -> float:
    """The learning rate of a step.

    In a warmup of n steps, step i has the fraction (i + 1) / n of `base_lr`. Cosine falls from the
    end of the warmup to 0 after the last step; without a warmup its first step has `base_lr`.

    Args:
        schedule: its shape.
        base_lr: the highest learning rate.
        step: counted from 0 over the whole run.
        steps_per_epoch: batches in an epoch.
        total_steps: batches in the run.
        errors: error after each finished epoch, for `plateau`.
    """
    warmup = schedule.warmup_steps + round(schedule.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return base_lr * (step + 1) / warmup
    match schedule.schedule:
        case "constant":
            return base_lr
        case "step":
            epoch = step // steps_per_epoch
            return base_lr * schedule.gamma ** sum(epoch >= drop for drop in schedule.milestones)
        case "plateau":
            return base_lr * schedule.gamma ** num_plateau_drops(
                errors, schedule.plateau_patience, schedule.max_drops
            )
        case "cosine":
            angle = math.pi * (step - warmup) / max(1, total_steps - warmup)
            return base_lr * 0.5 * (1 + math.cos(angle))


def num_plateau_drops(errors: Iterable[float], patience: int, max_drops: int) -> int:
    """Number of drops of the learning rate: one per `patience` epochs without a lower error.

    Source: Paper, section 5, where it was done by hand, three times.
    """
    lowest, waited, drops = math.inf, 0, 0
    for error in errors:
        waited = 0 if error < lowest else waited + 1
        lowest = min(lowest, error)
        if waited == patience and drops < max_drops:
            waited, drops = 0, drops + 1
    return drops
