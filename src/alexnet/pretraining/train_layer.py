"""One layer learning: epochs of steps on what the layers below make of the pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from alexnet.errors import TrainingError
from alexnet.pretraining.moments import squared_error
from alexnet.pretraining.rbm_layer import RbmLayer
from alexnet.pretraining.records import LayerRecord, LayerStep, PretrainReporter
from alexnet.pretraining.setup import PretrainedLayer, PretrainJob, encode_through
from alexnet.training.timer import EpochTimer


def train_layer(
    job: PretrainJob,
    index: int,
    below: Sequence[PretrainedLayer],
    record: Callable[[LayerRecord], None],
    reporter: PretrainReporter,
) -> PretrainedLayer:
    """Train one layer on top of the finished ones; `record` gets the figures of every epoch.

    Raises:
        TrainingError: an error is not finite.
    """
    layer = job.begin(index, below)
    optimizer, name = layer.optimizer(), layer.stage.name
    own_steps = job.recipe.epochs * job.batches.steps_per_epoch
    train = [encode_through(below, view) for view in job.watched(job.splits.train)]
    eval_split = [encode_through(below, view) for view in job.watched(job.splits.val)]
    for epoch in range(job.recipe.epochs):
        clock = EpochTimer()
        layer.train()
        for step, inputs in epoch_inputs(job, index, below, epoch, clock):
            cosine_lr(optimizer, layer.rate, step / own_steps)
            noise = job.generator("noise", name, step)
            error = train_step(layer, optimizer, inputs, noise, step)
            reporter.layer_step(
                LayerStep(
                    layer=name,
                    step=index * own_steps + step + 1,
                    total_steps=job.total_steps,
                    error=error,
                    images=len(inputs),
                )
            )
        record(layer_record(layer, epoch, train, eval_split, clock))
    return layer.eval()


def epoch_inputs(
    job: PretrainJob, index: int, below: Sequence[PretrainedLayer], epoch: int, clock: EpochTimer
) -> Iterator[tuple[int, Tensor]]:
    """A layer's inputs of one epoch, each with its step, which counts from 0 in every layer."""
    name, per_epoch = job.stages[index].name, job.batches.steps_per_epoch
    batches = clock.timed(job.batches.epoch(index * job.recipe.epochs + epoch))
    for step, (pixels, _) in enumerate(batches, epoch * per_epoch):
        yield step, encode_through(below, job.views(pixels, name, step))


def cosine_lr(optimizer: torch.optim.Optimizer, rate: float, done: float) -> None:
    """Let the rate fall from its full height to 0 along half a cosine; `done` is from 0 to 1."""
    for group in optimizer.param_groups:
        group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * done))


def train_step(
    layer: PretrainedLayer,
    optimizer: torch.optim.Optimizer,
    inputs: Tensor,
    generator: torch.Generator,
    step: int,
) -> float:
    """One update of a layer; gives the reconstruction error before it.

    Raises:
        TrainingError: the error is not finite; nothing has been updated.
    """
    loss, error = layer.loss(inputs, generator)
    if not (torch.isfinite(loss) and torch.isfinite(error)):
        raise _not_finite(layer, float(error), f"step {step + 1}")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(error)


def _not_finite(layer: PretrainedLayer, error: float, where: str) -> TrainingError:
    flag = "rate"
    if isinstance(layer, RbmLayer):
        flag = "gaussian-rate" if layer.rbm.is_gaussian else "binary-rate"
    return TrainingError(
        f"the reconstruction error of {layer.stage.name} is {error} at {where}; "
        f"try a lower --{flag} than {layer.rate:g}"
    )


@torch.no_grad()
def layer_record(
    layer: PretrainedLayer,
    epoch: int,
    train: Sequence[Tensor],
    eval_split: Sequence[Tensor],
    clock: EpochTimer,
) -> LayerRecord:
    """The figures of an epoch, on watched inputs.

    Raises:
        TrainingError: the error is not finite.
    """
    layer.eval()
    train_error = mean_over(train, lambda x: squared_error(*layer.reconstruct(x)))
    if not math.isfinite(train_error):
        raise _not_finite(layer, train_error, f"epoch {epoch + 1}")
    held_out_error, gap = -1.0, 0.0
    if eval_split:
        held_out_error = mean_over(eval_split, lambda x: squared_error(*layer.reconstruct(x)))
    if eval_split and isinstance(layer, RbmLayer):
        gap = mean_over(eval_split, layer.free_energy) - mean_over(train, layer.free_energy)
    return LayerRecord(
        layer=layer.stage.name,
        epoch=epoch + 1,
        train_error=train_error,
        held_out_error=held_out_error,
        activity=mean_over(train, layer.activity),
        free_energy_gap=gap,
        images_per_second=clock.images / clock.training_seconds,
        elapsed_seconds=time.perf_counter() - clock.began_at,
    )


def mean_over(inputs: Sequence[Tensor], figure: Callable[[Tensor], Tensor]) -> float:
    """The mean of a figure over batches, each weighed by its pictures."""
    pictures = sum(len(x) for x in inputs)
    return sum(len(x) * float(figure(x)) for x in inputs) / pictures
