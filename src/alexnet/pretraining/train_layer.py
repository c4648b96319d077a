"""Trains one layer on the activations of the finished layers below it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from alexnet.errors import TrainingError
from alexnet.pretraining.channel_stats import mean_squared_error
from alexnet.pretraining.rbm_layer import RbmLayer
from alexnet.pretraining.records import LayerRecord, LayerStep, PretrainReporter
from alexnet.pretraining.setup import PretrainingSetup
from alexnet.pretraining.stack import PretrainedLayer, encode_through
from alexnet.training.timer import EpochTimer


def train_layer(
    setup: PretrainingSetup,
    below: Sequence[PretrainedLayer],
    record: Callable[[LayerRecord], None],
    reporter: PretrainReporter,
) -> PretrainedLayer:
    """Train the next layer on top of the finished ones; `record` receives every epoch's record.

    Raises:
        TrainingError: an error is not finite.
    """
    layer = setup.new_layer(below)
    optimizer, name = layer.build_optimizer(), layer.stage.name
    layer_steps = setup.recipe.epochs * setup.batches.steps_per_epoch
    train = [encode_through(below, x) for x in setup.probe_batches(setup.splits.train)]
    val = [encode_through(below, x) for x in setup.probe_batches(setup.splits.val)]
    for epoch in range(setup.recipe.epochs):
        timer = EpochTimer()
        layer.train()
        for step, inputs in epoch_inputs(setup, below, epoch, timer):
            cosine_lr(optimizer, layer.lr, step / layer_steps)
            error = train_step(layer, optimizer, inputs, setup.generator("noise", name, step), step)
            reporter.on_layer_step(
                LayerStep(
                    layer=name,
                    step=len(below) * layer_steps + step + 1,
                    total_steps=setup.total_steps,
                    error=error,
                    num_images=len(inputs),
                )
            )
        record(measure_epoch(layer, epoch, train, val, timer))
    return layer.eval()


def epoch_inputs(
    setup: PretrainingSetup, below: Sequence[PretrainedLayer], epoch: int, timer: EpochTimer
) -> Iterator[tuple[int, Tensor]]:
    """The steps of an epoch, counted from 0 in every layer, with the inputs of the layer."""
    index, per_epoch = len(below), setup.batches.steps_per_epoch
    name = setup.stages[index].name
    batches = timer.timed(setup.batches.epoch(index * setup.recipe.epochs + epoch))
    for step, (pixels, _) in enumerate(batches, epoch * per_epoch):
        yield step, encode_through(below, setup.augment(pixels, name, step))


def cosine_lr(optimizer: torch.optim.Optimizer, lr: float, progress: float) -> None:
    """Cosine annealing from `lr` to 0; `progress` is from 0 to 1."""
    for group in optimizer.param_groups:
        group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * progress))


def train_step(
    layer: PretrainedLayer,
    optimizer: torch.optim.Optimizer,
    inputs: Tensor,
    generator: torch.Generator,
    step: int,
) -> float:
    """One update of a layer; returns the reconstruction error before it.

    Raises:
        TrainingError: the error is not finite; the layer is unchanged.
    """
    loss, error = layer.loss(inputs, generator)
    if not (torch.isfinite(loss) and torch.isfinite(error)):
        raise _not_finite(layer, float(error), f"step {step + 1}")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(error)


def _not_finite(layer: PretrainedLayer, error: float, where: str) -> TrainingError:
    flag = "lr"
    if isinstance(layer, RbmLayer):
        flag = "gaussian-lr" if layer.rbm.is_gaussian else "binary-lr"
    return TrainingError(
        f"the reconstruction error of {layer.stage.name} is {error} at {where}; "
        f"try a lower --{flag} than {layer.lr:g}"
    )


@torch.no_grad()
def measure_epoch(
    layer: PretrainedLayer,
    epoch: int,
    train: Sequence[Tensor],
    val: Sequence[Tensor],
    timer: EpochTimer,
) -> LayerRecord:
    """The record of an epoch, measured on the inputs of the probe images.

    Args:
        layer: set to evaluation mode.
        epoch: counted from 0.
        train: batches of the layer's inputs for training images.
        val: the same for validation images, or empty.
        timer: started at the beginning of the epoch.

    Raises:
        TrainingError: the training error is not finite.
    """
    layer.eval()
    train_error = mean_over_batches(train, lambda x: mean_squared_error(*layer.reconstruct(x)))
    if not math.isfinite(train_error):
        raise _not_finite(layer, train_error, f"epoch {epoch + 1}")
    val_error, energies = None, [0.0, 0.0]
    if val:
        val_error = mean_over_batches(val, lambda x: mean_squared_error(*layer.reconstruct(x)))
    if val and isinstance(layer, RbmLayer):
        energies = [mean_over_batches(x, layer.free_energy) for x in (train, val)]
    activation_rate = mean_over_batches(train, layer.activation_rate)
    times = timer.times(epoch + 1)
    return LayerRecord(
        layer=layer.stage.name,
        epoch=times.epoch,
        train_error=train_error,
        val_error=val_error,
        activation_rate=activation_rate,
        free_energy_gap=energies[1] - energies[0],
        images_per_second=times.images_per_second,
        elapsed_seconds=times.elapsed_seconds,
    )


def mean_over_batches(batches: Sequence[Tensor], metric: Callable[[Tensor], Tensor]) -> float:
    """The mean of a metric, each batch weighted by its size."""
    num_images = sum(len(x) for x in batches)
    return sum(len(x) * float(metric(x)) for x in batches) / num_images
