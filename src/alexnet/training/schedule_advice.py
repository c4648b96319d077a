"""Advice on options that have no effect in so few epochs, one sentence each, before training."""

from __future__ import annotations

from alexnet.config.recipe import Recipe
from alexnet.io.text import count_text

GOOD_WARMUP = 0.1
"""Fraction of the epochs that is suggested for the warmup."""


def schedule_advice(recipe: Recipe, steps_per_epoch: int) -> list[str]:
    """Sentences on options that have no effect in so few epochs; empty if all have one."""
    lines = [
        warmup_advice(recipe, steps_per_epoch),
        late_advice(recipe),
        patience_advice(recipe),
    ]
    return [line for line in lines if line]


def warmup_advice(recipe: Recipe, steps_per_epoch: int) -> str:
    """The sentence on a warmup that is as long as the run; "" for a shorter one."""
    schedule, total = recipe.schedule, recipe.epochs * steps_per_epoch
    warmup = schedule.warmup_steps + round(schedule.warmup_epochs * steps_per_epoch)
    if warmup < total:
        return ""
    lr = recipe.optimizer.lr
    missed = "" if warmup == total else f", to {lr * total / warmup:.2g} instead of {lr:g}"
    epochs = f"{GOOD_WARMUP * recipe.epochs:.2g}"
    no_steps = " --warmup-steps 0" if schedule.warmup_steps else ""
    return (
        f"the warmup of {count_text(warmup, 'step')} is not shorter than the run of "
        f"{count_text(total, 'step')}, so the learning rate rises to the end and never "
        f"falls{missed}; a shorter warmup is --warmup-epochs {epochs}{no_steps}"
    )


def late_advice(recipe: Recipe) -> str:
    """The sentence on what is planned for after the last epoch; "" if nothing is."""
    schedule = recipe.schedule
    milestones = [m for m in schedule.milestones if m >= recipe.epochs]
    planned = {
        "--freeze-after-epoch": recipe.freeze_after_epoch if recipe.freeze_up_to else None,
        "--unfreeze-after-epoch": recipe.unfreeze_after_epoch,
        "--low-lr-after-epoch": recipe.low_lr_after_epoch,
        "--last-color-epoch": recipe.augment.last_color_epoch,
    }
    late = [f"{flag} {epoch}" for flag, epoch in planned.items() if (epoch or 0) >= recipe.epochs]
    if schedule.schedule == "step" and milestones:
        late.insert(0, f"--milestones {' '.join(map(str, milestones))}")
    if not late:
        return ""
    return f"the run ends after {count_text(recipe.epochs, 'epoch')}, so these have no effect: " + (
        ", ".join(late)
    )


def patience_advice(recipe: Recipe) -> str:
    """The sentence on a patience that a run as short cannot use up; "" for a shorter one.

    The first epoch always has the lowest error so far, and after the last one nothing is left to
    stop.
    """
    is_plateau = recipe.schedule.schedule == "plateau"
    patiences = {
        "--patience": recipe.stopping.patience,
        "--plateau-patience": recipe.schedule.plateau_patience if is_plateau else None,
    }
    longer = [
        f"{flag} {patience}"
        for flag, patience in patiences.items()
        if patience is not None and patience >= recipe.epochs - 1
    ]
    if not longer:
        return ""
    epochs = count_text(recipe.epochs, "epoch")
    return f"{' and '.join(longer)} cannot end in a run of {epochs}, and so has no effect"
