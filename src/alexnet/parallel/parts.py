"""The part that a process has of every tensor: taken from the whole tensor, and gathered again."""

from __future__ import annotations

import torch
from torch import Tensor, distributed

from alexnet.models.architecture import LayerInfo
from alexnet.parallel.plan import Plan, PlannedLayer, part


def split_dim(plan: Plan, name: str) -> int | None:
    """The dimension along which a tensor of a network is split; None: every process has it all.

    Args:
        plan: the network and the processes.
        name: of a parameter or a batch-norm statistic, such as "fc6.weight".
    """
    kind = name.rpartition(".")[2]
    match _planned(plan, name).split:
        case "outputs" if kind != "num_batches_tracked":
            return 0
        case "inputs" | "inputs and bias" if kind == "weight":
            return 1
        case "inputs and bias":
            return 0
    return None


def _planned(plan: Plan, name: str) -> PlannedLayer:
    layer = name.partition(".")[0]
    return next(one for one in plan.layers if one.info.layer.name == layer)


def _length(info: LayerInfo, dim: int) -> int:
    """Length of a whole tensor of a layer along the dimension in which it is split."""
    return info.output[0] if dim == 0 else info.input[0]


def own_part(plan: Plan, name: str, whole: Tensor, rank: int) -> Tensor:
    """A process's part of a tensor, as a copy.

    Args:
        plan: the network and the processes.
        name: of the parameter or statistic.
        whole: as of one process: the tensor, or one of the same shape that an optimizer keeps for
            it, or a number of the optimizer, which all processes have.
        rank: of the process.
    """
    dim = split_dim(plan, name)
    if dim is None or whole.ndim <= dim:
        return whole.clone()
    own = part(whole.shape[dim], plan.processes, rank)
    return whole.narrow(dim, own.start, len(own)).clone(memory_format=_memory_format(whole))


def _memory_format(tensor: Tensor) -> torch.memory_format:
    is_last = tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_last else torch.contiguous_format


def gather_whole(plan: Plan, name: str, own: Tensor) -> Tensor:
    """The whole tensor, in every process, from the parts that `own_part` gives.

    All processes call it, for the same tensors in the same order.
    """
    dim = split_dim(plan, name)
    if dim is None or own.ndim <= dim:
        return own
    length = _length(_planned(plan, name).info, dim)
    first = own.transpose(0, dim).contiguous()
    sizes = [len(part(length, plan.processes, rank)) for rank in range(plan.processes)]
    parts = [first.new_empty((size, *first.shape[1:])) for size in sizes]
    parts[distributed.get_rank()] = first
    for source, tensor in enumerate(parts):
        distributed.broadcast(tensor, source)
    whole = torch.cat(parts).transpose(0, dim)
    return whole.contiguous(memory_format=_memory_format(own))
