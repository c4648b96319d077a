"""What a reporter may raise: `StopTraining`, which ends the run, or an error of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alexnet.errors import DivergedError
from alexnet.reporter import StopTraining
from alexnet.training.checkpointing import CheckpointManager
from alexnet.training.epoch import check_weights
from alexnet.training.state import TrainState


@contextmanager
def reporter_call(state: TrainState, checkpoints: CheckpointManager, epoch: int) -> Iterator[None]:
    """A context for a call of the reporter between two steps.

    `StopTraining` ends the run after the epoch. Anything else is passed on when a checkpoint is
    saved, so that the run can be resumed from here. None is saved where several processes train,
    which would have to take part, and when a second signal asks to end at once.

    Args:
        state: of the run.
        checkpoints: of the run.
        epoch: that the call reports, counted from 1; it may be unfinished.
    """
    try:
        yield
    except StopTraining:
        state.last_epoch = epoch
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        if checkpoints.setup.world.size == 1 and not checkpoints.stop.signal_number:
            error.add_note(_saved(state, checkpoints, epoch))
        raise


def _saved(state: TrainState, checkpoints: CheckpointManager, epoch: int) -> str:
    """Save a checkpoint, unless the run has diverged; returns what is to be told of it."""
    try:
        check_weights(state)
        if state.epoch == epoch:
            checkpoints.save_if_best(state)
        checkpoints.save(state)
    except DivergedError as error:
        return f"The run is not saved: {error}"
    return (
        f"The run is saved after step {state.step:,} of {checkpoints.setup.total_steps:,}; "
        f"resume with: alexnet.resume({str(checkpoints.folder.path)!r})"
    )
