"""More epochs for a run, which goes on from its checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from alexnet.config.recipe import Recipe, StoppingOptions
from alexnet.errors import UsageError
from alexnet.records import EpochRecord
from alexnet.training.epoch import reason_to_stop
from alexnet.training.schedule import past_plan, uses_epochs
from alexnet.training.state import CheckpointInfo


def extend(
    recipe: Recipe,
    info: CheckpointInfo | None,
    *,
    epochs: int | None,
    stopping: StoppingOptions | None,
) -> Recipe:
    """The recipe of a run with another number of epochs, or other options that end it early.

    Where the learning rate depends on the number of epochs, the recipe also keeps what the steps so
    far were planned for, so that it still repeats the whole run.

    Args:
        recipe: of the run so far.
        info: of the checkpoint from which it goes on; None: from the start.
        epochs: of the whole run; None: as before.
        stopping: None: as before.

    Raises:
        UsageError: the run would have ended before.
    """
    step, history = (info.step, info.history) if info else (0, ())
    if changes_end(recipe, epochs, stopping):
        check_has_not_ended(recipe, history, epochs=epochs, stopping=stopping)
    schedule = recipe.schedule
    if epochs not in (None, recipe.epochs) and uses_epochs(schedule):
        schedule = replace(schedule, replanned=past_plan(recipe, step) if step else ())
    return replace(
        recipe,
        epochs=epochs or recipe.epochs,
        stopping=stopping or recipe.stopping,
        schedule=schedule,
    )


def changes_end(recipe: Recipe, epochs: int | None, stopping: StoppingOptions | None) -> bool:
    """Whether a run may end after another epoch than before; `max_minutes` only interrupts it."""
    ends = replace(stopping or recipe.stopping, max_minutes=recipe.stopping.max_minutes)
    return epochs not in (None, recipe.epochs) or ends != recipe.stopping


def check_has_not_ended(
    recipe: Recipe,
    history: Sequence[EpochRecord],
    *,
    epochs: int | None,
    stopping: StoppingOptions | None,
) -> None:
    """Reject options with which the run would have ended before its finished epochs.

    Raises:
        UsageError: names the option.
    """
    if epochs and epochs != recipe.epochs and epochs <= len(history):
        raise UsageError(f"--epochs {epochs} must be above the {len(history)} finished epochs")
    for count in range(1, len(history) + 1):
        if reason := reason_to_stop(stopping or recipe.stopping, history[:count]):
            raise UsageError(f"the run ends after epoch {count}: {reason}; change that option, too")


def describe_extension(before: Recipe, after: Recipe) -> str:
    """The note on what a changed number of epochs means for the result; "" without a change."""
    if before.epochs == after.epochs:
        return ""
    change = f"{before.epochs} -> {after.epochs} epochs"
    if not (uses_epochs(after.schedule) and after.schedule.replanned):
        return f"{change}; the result is that of a run planned for {after.epochs} epochs"
    step, _ = after.schedule.replanned[-1]
    return (
        f"{change}; from step {step + 1} on, the learning rate is that of {after.epochs} epochs, "
        "so the result differs from that of a run planned for as many"
    )
