"""The learning rate of every step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch

from alexnet.config.recipe import LRSchedule


def set_rate(optimizer: torch.optim.Optimizer, rate: float, low_lr: float | None = None) -> None:
    """Give every group its multiple of `rate`, and slowed groups that of `low_lr` if given."""
    for group in optimizer.param_groups:
        is_slow = low_lr is not None and group["is_slowed"]
        group["lr"] = (low_lr if is_slow else rate) * group["rate_factor"]


def lr_at(
    schedule: LRSchedule,
    base: float,
    step: int,
    steps_per_epoch: int,
    total_steps: int,
    errors: Sequence[float] = (),
) -> float:
    """The learning rate of a step.

    Args:
        schedule: how it moves.
        base: the rate at its highest.
        step: counted from 0 over the whole run.
        steps_per_epoch: batches in an epoch.
        total_steps: batches in the run.
        errors: validation error after each finished epoch, for `plateau`.

    A warm-up of n steps gives step i the share (i + 1) / n. Cosine falls from the warm-up's end to
    0 after the last step; without a warm-up its first step has the full rate.
    """
    warmup = schedule.warmup_steps + round(schedule.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return base * (step + 1) / warmup
    match schedule.schedule:
        case "constant":
            return base
        case "step":
            epoch = step // steps_per_epoch
            return base * schedule.gamma ** sum(epoch >= drop for drop in schedule.milestones)
        case "plateau":
            return base * schedule.gamma ** num_plateau_drops(
                errors, schedule.patience, schedule.max_drops
            )
        case "cosine":
            angle = math.pi * (step - warmup) / max(1, total_steps - warmup)
            return base * 0.5 * (1 + math.cos(angle))


def num_plateau_drops(errors: Iterable[float], patience: int, limit: int) -> int:
    """How often the rate has dropped: once per `patience` epochs without a new lowest error.

    Source: Paper, section 5, done there by hand, three times.
    """
    lowest, waited, drops = math.inf, 0, 0
    for error in errors:
        waited = 0 if error < lowest else waited + 1
        lowest = min(lowest, error)
        if waited == patience and drops < limit:
            waited, drops = 0, drops + 1
    return drops
