"""The network as several processes train it: whole copies, columns, or a hybrid."""

from __future__ import annotations

from torch import nn

from alexnet.config.recipe import Recipe
from alexnet.models.architecture import Architecture
from alexnet.models.layers import BatchNorm
from alexnet.models.network import Network
from alexnet.parallel.batch_norm import synchronize_batch_norm
from alexnet.parallel.columns import ColumnsNetwork
from alexnet.parallel.data_parallel import meter_of, replicate
from alexnet.parallel.hybrid import HybridNetwork
from alexnet.parallel.network import ParallelNetwork
from alexnet.parallel.plan import parameters, plan_for
from alexnet.parallel.traffic import sent_bytes, traffic
from alexnet.parallel.world import ALONE, World
from alexnet.reporter import Reporter


def check_parallel(arch: Architecture, recipe: Recipe, world: World) -> None:
    """Reject a network that cannot be spread as the recipe says, before its data is read.

    Raises:
        ConfigError: the scheme does not fit the network or the number of processes.
    """
    size = world.size if world.size > 1 else recipe.distributed.devices
    if size > 1:
        plan_for(arch, recipe.distributed.parallel, size)


def build_replica(network: Network, recipe: Recipe, world: World) -> nn.Module:
    """Wrap the network for training by several processes; a single process gets it unchanged.

    Raises:
        ConfigError: the scheme does not fit the network or the number of processes.
    """
    options = recipe.distributed
    if world.size == 1:
        return network
    match options.parallel:
        case "columns":
            return ColumnsNetwork(network, world)
        case "hybrid":
            hybrid = HybridNetwork(network, world, options)
            if options.sync_batch_norm:
                for norm in hybrid.norms_of_rows():
                    synchronize_batch_norm(norm)
            return hybrid
    if options.sync_batch_norm:
        synchronize_batch_norm(network)
    return replicate(network, options)


def part_of(replica: nn.Module) -> ParallelNetwork | None:
    """The part of the network that this process trains; None where it trains all of it."""
    return replica if isinstance(replica, ParallelNetwork) else None


def num_learning(network: Network) -> int:
    """The number of tensors that are not frozen."""
    return sum(parameter.requires_grad for parameter in network.parameters())


def rows_world(recipe: Recipe, world: World) -> World:
    """The processes that share a batch's images; under "columns" each has them all."""
    return ALONE if recipe.distributed.parallel == "columns" else world


def note_parallel(arch: Architecture, recipe: Recipe, world: World, reporter: Reporter) -> None:
    """Note what each process of a model-parallel network has and sends."""
    scheme = recipe.distributed.parallel
    if world.size == 1 or scheme == "data":
        return
    plan, batch_size = plan_for(arch, scheme, world.size), recipe.batch_size
    own = parameters(plan, world.rank)
    sent = sent_bytes(traffic(plan, batch_size * recipe.optimizer.accumulate, world.rank))
    reporter.note(
        f"{scheme}: each of {world.size} processes has {own:,} of the parameters and sends "
        f"{sent:,} bytes a step in float32"
    )


def note_sent(replica: nn.Module, steps: int, reporter: Reporter) -> None:
    """Note how many bytes this process has sent in its training steps, if it is not alone."""
    meter = meter_of(replica)
    if meter and steps:
        reporter.note(
            f"the first process has sent {meter.num_bytes / 1e6:,.1f} MB in {steps:,} steps, "
            f"{meter.num_bytes / steps / 1e6:,.3f} MB a step, without flags and evaluation"
        )


def note_batch_norm(arch: Architecture, recipe: Recipe, world: World, reporter: Reporter) -> None:
    """Note that batch norm uses the statistics of each process's images, if it does."""
    has_batch_norm = any(isinstance(layer, BatchNorm) for layer in arch.layers)
    if world.size > 1 and has_batch_norm and not recipe.distributed.sync_batch_norm:
        reporter.note(
            f"batch norm uses the statistics of each process's {recipe.batch_size // world.size:,} "
            f"images, not of all {recipe.batch_size:,} (--sync-batch-norm uses those of all)"
        )
