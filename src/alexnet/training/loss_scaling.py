"""Dynamic loss scaling, without which small gradients are 0 in fp16.

fp16 has no numbers between 0 and 6e-8. So the loss is multiplied by a scale before the backward
pass, and the gradients, float32 by then, are divided by it before anything else is done with them.
The scale is as large as it can be: where a gradient exceeds 65,504, it is halved and the step is
skipped; after 2,000 steps without, it is doubled.

As with torch's `GradScaler`, a skipped step counts as a step: the learning rate follows its
schedule, batch norm's statistics have seen the images, and the weight average takes the weights in
once more. The optimizer is not called, so weights, momentum and Adam's count of steps stay.

`GradScaler` itself looks at the gradients of its own process, of which each has other ones in
columns and in a hybrid, and lets torch's fused optimizers skip, of which SGD goes on with momentum
from uninitialized memory if that was its first step (torch 2.13). Here all processes decide by the
one norm of all gradients; the scales, and the bits of the weights, are those of `GradScaler`
(`tests/training/test_loss_scaling.py`).

Source: Micikevicius et al. 2018, "Mixed Precision Training", section 3.2; torch's constants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from alexnet.config.recipe import Precision
from alexnet.reporter import Reporter
from alexnet.runtime.device import number_type

INITIAL_SCALE = 2.0**16
FACTOR = 2.0
"""Factor by which the scale grows and shrinks: a power of 2, so that scaling rounds nothing."""
GROWTH_INTERVAL = 2000
"""Number of steps without a skipped one after which the scale grows."""
MIN_SCALE = 1.0
"""A step that would be skipped at this scale ends the run, as in DeepSpeed (`min_loss_scale`)."""
MAX_SCALE = 2.0**127
"""The largest power of 2 in float32, in which the loss is scaled."""


@dataclass(kw_only=True, slots=True)
class LossScaler:
    """The scale of the loss in fp16, which adapts to the gradients; checkpoints store it."""

    scale: float = INITIAL_SCALE
    growth_steps: int = 0
    """Steps since the scale changed."""
    skipped_steps: int = 0
    """Number of skipped steps of the whole run."""

    @torch.no_grad()
    def unscale(self, network: nn.Module) -> None:
        """Divide the gradients of a network by the scale."""
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        if gradients:
            torch._foreach_mul_(gradients, 1 / self.scale)

    def end_step(self, *, is_skipped: bool) -> None:
        """Count a step, and change the scale when due."""
        self.growth_steps = 0 if is_skipped else self.growth_steps + 1
        if is_skipped:
            self.skipped_steps += 1
            self.scale /= FACTOR
        elif self.growth_steps == GROWTH_INTERVAL:
            self.growth_steps = 0
            self.scale = min(self.scale * FACTOR, MAX_SCALE)


def build_loss_scaler(device: torch.device, precision: Precision) -> LossScaler | None:
    """A scaler for training in fp16; None for the other types, which need none."""
    return LossScaler() if number_type(device, precision) == "fp16" else None


def note_skipped(scaler: LossScaler | None, steps: int, reporter: Reporter) -> None:
    """Note how many steps of a run in fp16 were skipped, if any were."""
    if scaler and scaler.skipped_steps:
        reporter.note(
            f"fp16: {scaler.skipped_steps:,} of {steps:,} steps were skipped, since a gradient was "
            f"not finite; the loss scale is now 2^{math.log2(scaler.scale):.0f}"
        )
