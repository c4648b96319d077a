"""Training on a GPU without waiting for it: it finds what is not finite, the host reads it later.

A GPU has nothing to do while the host asks it for a value and then queues the next step. So on one
GPU the update itself leaves out a step whose loss or gradient is not finite, and every step after
it, and the host reads the figures of a step when it has queued the next one, or when a checkpoint
needs them. The error is that of a host that waits, but for the gradient's name, and a step later.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from alexnet.training.setup import TrainingSetup
from alexnet.training.state import TrainState
from alexnet.training.step import nonfinite_error
from alexnet.training.step_figures import StepFigures, step_sums


@dataclass
class LateCheck:
    """Whether a step so far had a loss or a gradient that is not finite."""

    found: Tensor
    """float32 [], on the device: 1 from the first such step on."""

    def watch(self, loss: Tensor, norm: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Make the next update skip all weights if this step, or one before, was not finite.

        Args:
            loss: of the batch.
            norm: of all gradients together.
            optimizer: one of torch's fused, or of `optimizers.py`, which look at `found_inf`.
        """
        is_finite = torch.isfinite(loss) & torch.isfinite(norm)
        self.found = torch.maximum(self.found, (~is_finite).float())
        optimizer.found_inf = self.found  # type: ignore[attr-defined]


def build_late_check(setup: TrainingSetup) -> LateCheck | None:
    """The check on the device; None if the host checks before the update.

    On a CPU there is nothing to gain, in fp16 the scale of the loss follows the gradients, and
    several processes ask each other after every step.
    """
    is_late = setup.device.type == "cuda" and not setup.loss_scaler and setup.world.size == 1
    return LateCheck(torch.zeros((), device=setup.device)) if is_late else None


def step_figures(
    setup: TrainingSetup,
    step: int,
    lr: float,
    labels: Tensor,
    loss: Tensor,
    logits: Tensor,
    mixed_targets: Tensor | None,
    late: LateCheck | None,
) -> StepFigures:
    """The figures of a step, whose copy to the host is begun.

    Args:
        setup: of the run.
        step: counted from 0.
        lr: of the step.
        labels: int64 [B], of the whole batch.
        loss: of the batch.
        logits: [n, num_classes], of the images of this process.
        mixed_targets: [n, num_classes] if the images were mixed.
        late: the check of the run, where it has one.
    """
    sums = step_sums(loss, logits, setup.own(labels), mixed_targets, setup.rows_world)
    found = late.found.to(sums) if late else torch.zeros_like(sums[0])
    figures = StepFigures(
        step=step + 1,
        lr=lr,
        num_images=len(labels),
        is_mixed=mixed_targets is not None,
        values=torch.cat([sums, found.reshape(1)]),
    )
    figures.begin_copy()
    return figures


def count_figures(setup: TrainingSetup, state: TrainState, figures: StepFigures) -> None:
    """Add a step to the metrics of its epoch, once; waits until a GPU has finished it.

    Which gradient was not finite is not told: the next step may have replaced it.

    Raises:
        DivergedError: its loss or a gradient was not finite; nothing has been updated since.
    """
    if figures.metrics:
        return
    *sums, was_left_out = figures.read()
    if was_left_out:
        raise nonfinite_error(sums[0], setup.recipe, figures.step - 1)
    figures.metrics = state.metrics = state.metrics.plus(sums, figures.is_mixed)
