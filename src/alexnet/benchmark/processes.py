"""Measure images per second and bytes per step of several processes that train together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from alexnet.benchmark.throughput import make_train_step, random_images
from alexnet.benchmark.timing import Function, Spread, seconds_per_call, spread
from alexnet.config.distributed import DistributedOptions
from alexnet.config.recipe import OptimizerOptions, Precision, Recipe
from alexnet.models.architecture import Architecture
from alexnet.models.network import create_model
from alexnet.parallel.data_parallel import meter_of
from alexnet.parallel.exchange import Meter
from alexnet.parallel.plan import plan_for
from alexnet.parallel.traffic import BF16_BYTES, FLOAT32_BYTES, sent_bytes, traffic
from alexnet.parallel.world import World, current_world
from alexnet.runtime.device import compute_dtype
from alexnet.runtime.environment import Environment, describe_environment
from alexnet.training.loss_scaling import build_loss_scaler
from alexnet.training.micro_batches import own_rows
from alexnet.training.optimizers import build_optimizer
from alexnet.training.replica import build_replica, part_of, rows_world
from alexnet.training.step import UpdateSetup, update

WARMUP_STEPS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessesThroughput:
    """The speed of several processes that train a network together."""

    arch: str
    batch_size: int
    """Images per step, of all processes together."""
    processes: int
    parallel: str
    exchange: str
    gradient_compression: str
    precision: str
    """Data type of the matrix products."""
    images_per_second: Spread
    """Images per second of all processes together."""
    step_seconds: Spread
    alone_images_per_second: Spread
    """Images per second of one process that trains its part of the batch while the others wait."""
    efficiency: float
    """Images per second of all, divided by the number of processes times that of one alone."""
    sent_bytes: int
    """Bytes that the process of rank 0 sends in a step, counted where they are sent."""
    planned_bytes: int
    """The same as computed by `alexnet summary NET --devices N`, with gradients in bf16 if they are
    compressed."""
    environment: Environment


@dataclass(frozen=True, kw_only=True)
class SharedStep:
    """A training step that all processes take together."""

    call: Function
    meter: Meter


def make_shared_step(
    arch: str | Architecture,
    batch_size: int,
    device: torch.device,
    precision: Precision,
    options: DistributedOptions,
) -> SharedStep:
    """Make a step of the paper's optimizer on random images and labels; every process calls this.

    Args:
        arch: the network's name, or its table.
        batch_size: images per step, of all processes together.
        device: the device of this process.
        precision: the precision of the matrix products.
        options: how the processes share the network and the batch.
    """
    world = current_world()
    optimizer_options = OptimizerOptions(optimizer="paper", lr=1e-3)
    recipe = Recipe(precision=precision, optimizer=optimizer_options, distributed=options)
    torch.manual_seed(0)
    network = create_model(arch, device=device)
    replica = build_replica(network, recipe, world)
    learner = part_of(replica) or network
    learner.train()
    rows = rows_world(recipe, world)
    own = len(own_rows(batch_size, recipe, rows))
    images = random_images(network.architecture, own, device)
    labels = torch.randint(network.architecture.num_classes, (batch_size,), device="cpu")
    labels = world.broadcast_object(labels).to(device)
    setup = UpdateSetup(
        network=replica,
        optimizer=build_optimizer(learner, recipe.optimizer),
        recipe=recipe,
        world=rows,
        scaler=build_loss_scaler(device, precision),
    )

    def step() -> tuple[Tensor, Tensor]:
        return update(setup, images, labels)

    return SharedStep(call=step, meter=meter_of(replica) or Meter())


def benchmark_processes(
    arch: Architecture,
    batch_size: int,
    repeats: int,
    device: torch.device,
    precision: Precision,
    options: DistributedOptions,
) -> ProcessesThroughput:
    """Measure training by all processes of the world, and by one of them alone.

    Args:
        arch: the network.
        batch_size: images per step, of all processes together.
        repeats: steps that are measured.
        device: the device of this process.
        precision: the precision of the matrix products.
        options: how the processes share the network and the batch.

    Raises:
        ConfigError: the scheme does not fit the network or the number of processes.
    """
    world = current_world()
    plan = plan_for(arch, options.parallel, world.size)
    alone = _time_alone(arch, batch_size, repeats, device, precision, world)
    step = make_shared_step(arch, batch_size, device, precision, options)
    seconds = time_steps(step.call, repeats, device, step.meter.sent.clear)
    gradient_bytes = BF16_BYTES if options.gradient_compression == "bf16" else FLOAT32_BYTES
    rates = spread([batch_size / t for t in seconds])
    return ProcessesThroughput(
        arch=arch.name,
        batch_size=batch_size,
        processes=world.size,
        parallel=options.parallel,
        exchange=options.exchange,
        gradient_compression=options.gradient_compression,
        precision=str(compute_dtype(device, precision)).removeprefix("torch."),
        images_per_second=rates,
        step_seconds=spread(seconds),
        alone_images_per_second=alone,
        efficiency=rates.median / (world.size * alone.median),
        sent_bytes=step.meter.num_bytes // repeats,
        planned_bytes=sent_bytes(traffic(plan, batch_size, world.rank, gradient_bytes)),
        environment=describe_environment(device, world.size),
    )


def time_steps(
    step: Function, repeats: int, device: torch.device, on_start: Callable[[], object]
) -> list[float]:
    """Seconds of each step after a warmup; `on_start` is called between the two."""
    for _ in range(WARMUP_STEPS):
        step()
    on_start()
    return [seconds_per_call(step, device) for _ in range(repeats)]


def _time_alone(
    arch: Architecture,
    batch_size: int,
    repeats: int,
    device: torch.device,
    precision: Precision,
    world: World,
) -> Spread:
    """Images per second of the process of rank 0 on its part of a batch, while the others wait."""
    rates = None
    if world.is_main:
        images = random_images(arch, len(range(batch_size)[world.rows(batch_size)]), device)
        step = make_train_step(create_model(arch, device=device), images, precision)
        seconds = time_steps(step, repeats, device, lambda: None)
        rates = spread([len(images) / t for t in seconds])
    found = world.broadcast_object(rates)
    assert found
    return found
