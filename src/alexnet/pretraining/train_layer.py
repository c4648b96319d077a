"""Trains one layer on the activations of the finished layers below it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from alexnet.errors import TrainingError
from alexnet.parallel.world import current_world
from alexnet.pretraining.batch_random import BatchRandom
from alexnet.pretraining.channel_stats import mean_squared_error
from alexnet.pretraining.rbm_layer import RbmLayer
from alexnet.pretraining.records import LayerRecord, LayerStep, PretrainReporter
from alexnet.pretraining.setup import PretrainingSetup
from alexnet.pretraining.stack import PretrainedLayer, encode_through
from alexnet.runtime.device import has_float64
from alexnet.training.timer import EpochTimer


def train_layer(
    setup: PretrainingSetup,
    below: Sequence[PretrainedLayer],
    record: Callable[[LayerRecord], None],
    reporter: PretrainReporter,
    after_step: Callable[[], None],
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
        for step, inputs, count in epoch_inputs(setup, below, epoch, timer):
            cosine_lr(optimizer, layer.lr, step / layer_steps)
            error = train_step(layer, optimizer, inputs, setup.noise(name, step, count), step)
            reporter.on_layer_step(
                LayerStep(
                    layer=name,
                    step=len(below) * layer_steps + step + 1,
                    total_steps=setup.total_steps,
                    error=error,
                    num_images=count,
                )
            )
            after_step()
        record(measure_epoch(layer, epoch, train, val, timer))
    return layer.eval()


def epoch_inputs(
    setup: PretrainingSetup, below: Sequence[PretrainedLayer], epoch: int, timer: EpochTimer
) -> Iterator[tuple[int, Tensor, int]]:
    """Iterate over the steps of an epoch, counted from 0 in every layer.

    With each, the inputs of the layer for the images that this process has of the batch, and the
    number of images of the batch.
    """
    index, per_epoch = len(below), setup.batches.steps_per_epoch
    name = setup.stages[index].name
    batches = timer.timed(setup.batches.epoch(index * setup.recipe.epochs + epoch))
    for step, (pixels, labels) in enumerate(batches, epoch * per_epoch):
        count = len(labels)
        yield step, encode_through(below, setup.augment(pixels, name, step, count)), count


def cosine_lr(optimizer: torch.optim.Optimizer, lr: float, progress: float) -> None:
    """Set the learning rate by cosine annealing from `lr` to 0; `progress` is from 0 to 1."""
    for group in optimizer.param_groups:
        group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * progress))


def train_step(
    layer: PretrainedLayer,
    optimizer: torch.optim.Optimizer,
    inputs: Tensor,
    random: BatchRandom,
    step: int,
) -> float:
    """Update a layer once; return the reconstruction error of the whole batch before the update.

    A loss is a mean over images, so that of a process counts by its share of the batch, and the
    gradients of all are added up. They are those of one convolution, few beside its work, so
    nothing is gained by exchanging them while the backward pass runs.

    Raises:
        TrainingError: the error is not finite; no weight has changed.
    """
    optimizer.zero_grad(set_to_none=True)
    loss, error = (value * random.share for value in layer.loss(inputs, random))
    loss.backward()  # type: ignore[no-untyped-call]
    loss, error = _sum_over_processes(layer, loss, error)
    if not (torch.isfinite(loss) and torch.isfinite(error)):
        raise _not_finite(layer, float(error), f"step {step + 1}")
    optimizer.step()
    return float(error)


@torch.no_grad()
def _sum_over_processes(
    layer: PretrainedLayer, loss: Tensor, error: Tensor
) -> tuple[Tensor, Tensor]:
    """Add up the gradients of the processes, and these numbers, in one exchange."""
    world = current_world()
    if world.size == 1:
        return loss, error
    gradients = [p.grad for p in layer.parameters() if p.grad is not None]
    total_loss, total_error, *totals = world.sum_over_ranks(loss, error.view(()), *gradients)
    torch._foreach_copy_(gradients, totals)
    return total_loss, total_error


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
    """The mean of a metric over the batches of all processes, each weighted by its size."""
    num_images = sum(len(x) for x in batches)
    total = sum(len(x) * float(metric(x)) for x in batches)
    device = batches[0].device if has_float64(batches[0].device) else torch.device("cpu")
    totals = torch.tensor([total, num_images], dtype=torch.float64, device=device)
    (totals,) = current_world().sum_over_ranks(totals)
    return float(totals[0] / totals[1])
