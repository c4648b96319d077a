"""Data parallel training: every process has the whole network and some rows of each batch."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from alexnet.config.distributed import DistributedOptions
from alexnet.models.network import Network
from alexnet.parallel.batch_norm import SyncBatchNorm
from alexnet.parallel.exchange import Meter
from alexnet.parallel.network import norms_of_rows
from alexnet.parallel.world import World

if TYPE_CHECKING:
    from torch._C._distributed_c10d import GradBucket


class Replica(DistributedDataParallel):
    """A copy of the network in one process; its gradients are summed over all processes."""

    def __init__(self, network: Network) -> None:
        """Wrap this process's copy; its weights become those of rank 0."""
        device = next(network.parameters()).device
        super().__init__(network, [device] if device.type == "cuda" else None)
        self.broadcast_buffers = False  # see `average_running_statistics`
        self.meter = Meter()


def replicate(network: Network, options: DistributedOptions) -> Replica:
    """Wrap this process's copy of a network so that gradients are summed over processes.

    The weights become those of rank 0. Gradients are exchanged in parts while the backward pass
    runs. They are sums, not means: the loss of a process is its rows' part of the batch's loss.
    To be made anew when parameters are frozen.
    """
    replica = Replica(network)
    exchange = _add_compressed if options.gradient_compression == "bf16" else _add
    meter = replica.meter
    replica.register_comm_hook(None, lambda state, bucket: exchange(meter, bucket))
    _settle_buckets(replica, network)
    meter.sent.clear()
    return replica


def _add(meter: Meter, bucket: GradBucket) -> torch.futures.Future[Tensor]:
    def take(done: torch.futures.Future[list[Tensor]]) -> Tensor:
        return done.value()[0]

    return _all_reduce(meter, bucket.buffer()).then(take)


def _add_compressed(meter: Meter, bucket: GradBucket) -> torch.futures.Future[Tensor]:
    gradients = bucket.buffer()

    def expand(done: torch.futures.Future[list[Tensor]]) -> Tensor:
        return gradients.copy_(done.value()[0])

    return _all_reduce(meter, gradients.to(torch.bfloat16)).then(expand)


def _all_reduce(meter: Meter, tensor: Tensor) -> torch.futures.Future[list[Tensor]]:
    meter.count_sum(tensor)
    work = distributed.all_reduce(tensor, async_op=True)
    assert work is not None
    future: torch.futures.Future[list[Tensor]] = work.get_future()
    return future


def _settle_buckets(replica: DistributedDataParallel, network: Network) -> None:
    """Run one backward pass, after which torch has put the gradients into their final buckets.

    The order decides in which order three and more processes add them up, and so the last bits. A
    run that is resumed would otherwise add up those of its first step differently.
    """
    was_training = network.training
    weight = next(network.parameters())
    network.eval()  # no dropout is drawn, and no statistics change
    images = weight.new_zeros((1, *network.architecture.input))
    replica(images.contiguous(memory_format=torch.channels_last)).sum().backward()
    network.zero_grad(set_to_none=True)
    network.train(was_training)


def exchanging(network: nn.Module, *, is_last: bool) -> AbstractContextManager[None]:
    """A context for the forward pass of a part of a batch; only the last part exchanges gradients.

    Gradients of a replica are exchanged in the backward pass of the last part, those of all parts
    together. Of any other network nothing is exchanged.
    """
    if isinstance(network, DistributedDataParallel) and not is_last:
        context: AbstractContextManager[None] = network.no_sync()
        return context
    return nullcontext()


def meter_of(network: nn.Module) -> Meter | None:
    """The meter of the bytes that a network sends in training; None if this process is alone."""
    meter = getattr(network, "meter", None)
    return meter if isinstance(meter, Meter) else None


@torch.no_grad()
def average_running_statistics(network: nn.Module, world: World) -> None:
    """Replace batch norm's running statistics, which differ between processes, by their mean."""
    if world.size == 1:
        return
    norms = norms_of_rows(network)
    own = [m for m in norms if m.training and not isinstance(m, SyncBatchNorm)]
    statistics = [s for m in own for s in (m.running_mean, m.running_var) if s is not None]
    if not statistics:
        return
    flat = torch.cat(statistics)
    distributed.all_reduce(flat)
    means = torch.split(flat / world.size, [len(s) for s in statistics])
    torch._foreach_copy_(statistics, list(means))
