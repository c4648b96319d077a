"""What `alexnet tune --dry-run --json` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from alexnet.tune.estimate import first_trials, seconds_of_training
from alexnet.tune.plan import Tuning
from alexnet.tune.space import Parameter

NUM_TRIALS = 5
"""Number of trials that are shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TunePlanOutput:
    """The plan of a tuning."""

    folder: str
    recipe: str
    """The name of the recipe."""
    data: str
    images: dict[str, int]
    """Number of images in each split; trials do not read the test images."""
    notes: tuple[str, ...]
    """Sentences on the splits."""
    space: tuple[Parameter, ...]
    first_trials: tuple[dict[str, Any], ...]
    """The values of the first trials, by option; the first one is the recipe itself."""
    epochs: int
    """Epochs of a trial that is not ended early."""
    min_epochs: int
    """Number of epochs before which no trial is ended early."""
    seconds_of_training: float
    """Estimated seconds of a whole trial with all threads."""
    confirm_trainings: int
    """Number of whole trainings after the trials, of the winner and of the recipe."""


def plan_output(tuning: Tuning, folder: str, confirm: int) -> TunePlanOutput:
    """Plan a tuning; some training steps are timed for the estimates."""
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
