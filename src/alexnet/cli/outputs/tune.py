"""What `alexnet tune --dry-run --json` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from alexnet.tune.estimate import first_trials, seconds_of_training
from alexnet.tune.plan import Tuning
from alexnet.tune.space import Parameter

NUM_TRIALS = 5
"""That are shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TunePlanOutput:
    """What a tuning would do."""

    folder: str
    recipe: str
    """Its name."""
    data: str
    images: dict[str, int]
    """In each split; trials do not read the test images."""
    notes: tuple[str, ...]
    """On the splits."""
    space: tuple[Parameter, ...]
    first_trials: tuple[dict[str, Any], ...]
    """The values of the first trials, by option; the first one is the recipe itself."""
    epochs: int
    """Of a trial that is not ended early."""
    min_epochs: int
    """Before which no trial is ended early."""
    seconds_of_training: float
    """Of a whole trial with all threads, estimated."""
    confirm_trainings: int
    """Whole trainings after the trials, of the winner and of the recipe."""


def plan_output(tuning: Tuning, folder: str, confirm: int) -> TunePlanOutput:
    """What a tuning would do; some steps are timed."""
    return TunePlanOutput(
        folder=folder,
        recipe=tuning.start.name,
        data=tuning.start.data,
        images=dict(tuning.images),
        notes=tuning.notes,
        space=tuning.space,
        first_trials=tuple(first_trials(tuning, NUM_TRIALS)),
        epochs=tuning.max_epochs,
        min_epochs=tuning.min_epochs,
        seconds_of_training=seconds_of_training(tuning),
        confirm_trainings=2 * confirm,
    )
