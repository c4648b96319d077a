"""The part of a network that one process has: its layers, and the exchanges around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn
from torch.nn.utils import get_total_norm

from alexnet.models.architecture import LayerInfo
from alexnet.models.layers import Conv, FullyConnected, ResponseNorm
from alexnet.models.modules import Conv2d, Linear, build_module
from alexnet.models.network import Network
from alexnet.ops.dropout import dropout
from alexnet.ops.tracing import no_autocast
from alexnet.parallel.exchange import (
    Meter,
    Route,
    channel_route,
    channels_to_rows,
    gather,
    gather_replicated,
    row_route,
    sum_parts,
)
from alexnet.parallel.parts import gather_whole, own_part, split_dim
from alexnet.parallel.plan import Exchange, Plan, PlannedLayer, part
from alexnet.parallel.world import World

BatchNorm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d


@dataclass(frozen=True)
class BatchRows:
    """The images of a batch that each process works on."""

    batch_size: int
    """Number of images in the whole batch; dropout draws its masks for all of them."""
    of_rank: tuple[range, ...]
    """The images of every process, in the order of the ranks; one range if all have the same."""

    @property
    def sizes(self) -> list[int]:
        """The number of images of each process."""
        return list(map(len, self.of_rank))


class ParallelNetwork(Network):
    """One process's part of a network; all processes call it together.

    Layers and parameters have the names of the whole network, and the shapes of the part. Every
    process gets the same whole network and keeps its part, so the weights are those of one process.

    The parts are plain tensors, not torch's DTensor: its collectives pad uneven parts, its
    optimizers do not take lists of whole and sharded tensors, and a mask of dropout is drawn per
    shard; here masks, updates and state dicts are those of one process.

    Args:
        network: the whole one; its tensors are not kept.
        plan: how it is spread.
        world: the processes.
    """

    def __init__(self, network: Network, plan: Plan, world: World) -> None:
        nn.Module.__init__(self)
        self.architecture = network.architecture
        self.num_classes = network.num_classes  # a process may have a part of the last layer
        self.plan, self.world, self.meter = plan, world, Meter()
        self.batch: tuple[slice, int] | None = None
        """The rows of a larger batch that the next inputs are, and the size of that batch; None:
        the inputs are a whole batch."""
        self._masks: dict[str, Tensor] = {}
        with torch.device("meta"):
            for planned in plan.layers:
                self.add_module(planned.info.layer.name, _part_module(planned, plan, world))
        for name, module in network.layer_modules().items():
            if isinstance(module, Conv2d | Linear) and module.is_last:
                self.get_submodule(name).is_last = True  # type: ignore[assignment]
        for name, tensor in network.state_dict(keep_vars=True).items():
            self._set_tensor(name, tensor)
        self.train(network.training)

    def _set_tensor(self, name: str, whole: Tensor) -> None:
        """Set a tensor of a module to this process's part of the whole network's tensor."""
        module_name, _, kind = name.rpartition(".")
        own = own_part(self.plan, name, whole.detach(), self.world.rank)
        if isinstance(whole, nn.Parameter):
            own = nn.Parameter(own, requires_grad=whole.requires_grad)
        setattr(self.get_submodule(module_name), kind, own)

    def whole_state(self) -> dict[str, Tensor]:
        """The state dict of the whole network, in every process; all call it together."""
        return self.gather_state(self.state_dict())

    def gather_state(self, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The whole tensors, gathered from this process's parts; all processes must call it."""
        return {name: gather_whole(self.plan, name, tensor) for name, tensor in own.items()}

    def own_state(self, whole: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copies of this process's parts of the tensors of a whole network."""
        return {n: own_part(self.plan, n, tensor, self.world.rank) for n, tensor in whole.items()}

    def load_whole_state(self, state: Mapping[str, Tensor]) -> None:
        """Load this process's part of the whole network's state dict.

        Raises:
            RuntimeError: it belongs to another network.
        """
        self.load_state_dict(self.own_state(state))

    def norms_of_rows(self) -> list[BatchNorm]:
        """The batch norms that see the images of this process alone."""
        layers = self.plan.layers
        names = [one.info.layer.name for one in layers if one.state == "rows"]
        return batch_norms(self.get_submodule(name) for name in names)

    def shared_parameters(self) -> list[nn.Parameter]:
        """The parameters that every process has all of."""
        named = self.named_parameters()
        return [parameter for name, parameter in named if split_dim(self.plan, name) is None]

    def gradient_norm(self) -> Tensor:
        """The norm of all gradients of the whole network; all processes call it together."""
        shared = set(map(id, self.shared_parameters()))
        gradients = [(id(p) in shared, p.grad) for p in self.parameters() if p.grad is not None]
        own = _sum_of_squares([grad for is_shared, grad in gradients if not is_shared], self)
        distributed.all_reduce(own)
        return (
            own + _sum_of_squares([grad for is_shared, grad in gradients if is_shared], self)
        ).sqrt()

    def run_layers(self, planned: Iterable[PlannedLayer], x: Tensor, rows: BatchRows) -> Tensor:
        """The output of some layers, one after another, with the exchanges around them."""
        for one in planned:
            name = one.info.layer.name
            module = self.get_submodule(name)
            x = self._own_channels(self._exchange(name, one.before, x, rows), one)
            if isinstance(module, nn.Dropout):
                x = self._drop(module, one, x, rows)
            elif one.split in ("inputs", "inputs and bias"):
                x = module(x, self._route(name, one.after, rows))
            else:
                x = self._exchange(name, one.after, module(x), rows)
            if one.before and one.before.move == "neighbors":
                x = self._without_neighbors(x, one)
        return x

    def _exchange(
        self, layer: str, exchange: Exchange | None, x: Tensor, rows: BatchRows
    ) -> Tensor:
        if exchange is None:
            return x
        route = self._route(layer, exchange, rows)
        match exchange.move:
            case "gather logits":
                return gather_replicated(x, route)
            case "channels to rows":
                return channels_to_rows(x, route, row_route(layer, rows.sizes, self.meter))
        return gather(x, route)

    def _route(self, layer: str, exchange: Exchange | None, rows: BatchRows) -> Route:
        assert exchange
        if exchange.move in ("gather rows", "sum to rows"):
            return row_route(layer, rows.sizes, self.meter)
        reach = exchange.reach if exchange.move == "neighbors" else None
        return channel_route(layer, exchange.shape[0], self.plan.processes, self.meter, reach)

    def _own_channels(self, x: Tensor, planned: PlannedLayer) -> Tensor:
        """The channels that this process uses of an input that it has whole."""
        if not planned.takes_own:
            return x
        own = part(planned.info.input[0], self.plan.processes, self.world.rank)
        return x[:, own.start : own.stop]

    def _without_neighbors(self, x: Tensor, planned: PlannedLayer) -> Tensor:
        """The process's own channels, without the neighbors' that a norm needed as well."""
        assert planned.before
        own = part(planned.info.output[0], self.plan.processes, self.world.rank)
        return x.narrow(1, min(own.start, planned.before.reach[0]), len(own))

    def _drop(
        self, module: nn.Dropout, planned: PlannedLayer, x: Tensor, rows: BatchRows
    ) -> Tensor:
        """Apply dropout with this process's part of the mask that a single process would draw."""
        if not module.training:
            return x
        name, rank = planned.info.layer.name, self.world.rank
        if name not in self._masks:
            mask = _draw_mask(x, (rows.batch_size, *planned.info.output), module.p)
            if planned.state == "parts":
                own = part(mask.shape[1], self.plan.processes, rank)
                mask = mask[:, own.start : own.stop].clone()
            self._masks[name] = mask
        shown = rows.of_rank[rank : rank + 1] if planned.state == "rows" else rows.of_rank
        return x * torch.cat([self._masks[name][one.start : one.stop] for one in shown])

    def forget_masks(self) -> None:
        """Forget the dropout masks, so that the next forward pass draws new ones."""
        self._masks.clear()


def batch_norms(modules: Iterable[nn.Module]) -> list[BatchNorm]:
    """The modules that are batch norms."""
    return [one for one in modules if isinstance(one, BatchNorm)]


def norms_of_rows(network: nn.Module) -> list[BatchNorm]:
    """The batch norms of a network that see the images of this process alone."""
    if isinstance(network, ParallelNetwork):
        return network.norms_of_rows()
    return batch_norms(network.modules())


def _draw_mask(x: Tensor, shape: Sequence[int], p: float) -> Tensor:
    """The factors of dropout for a whole batch, drawn as the layer draws them."""
    ones = torch.ones(tuple(shape), dtype=x.dtype, device=x.device)
    if ones.ndim == 4:
        ones = ones.contiguous(memory_format=torch.channels_last)
    return dropout(ones, p)


def _part_module(planned: PlannedLayer, plan: Plan, world: World) -> nn.Module:
    """The module of a process's part of a layer; on a meta device, without values."""
    info = part_info(planned, plan.processes, world.rank)
    if planned.split in ("inputs", "inputs and bias"):
        assert isinstance(info.layer, FullyConnected)
        return SummedLinear(info.input[0], info.layer.features, bias=info.layer.bias)
    return build_module(info)


def part_info(planned: PlannedLayer, processes: int, rank: int) -> LayerInfo:
    """The part of a layer that a process computes, with its own inputs and outputs."""
    info, layer = planned.info, planned.info.layer
    channels, *sides = info.input
    own_inputs = (len(part(channels, processes, rank)), *sides)
    own_outputs = len(part(info.output[0], processes, rank))
    match layer:
        case ResponseNorm() if planned.state == "parts":
            return replace(info, layer=replace(layer, groups=max(1, layer.groups // processes)))
        case _ if planned.split == "none":
            return info
        case Conv():
            groups = max(1, layer.groups // processes)
            inputs = info.input if layer.groups == 1 else own_inputs
            return replace(
                info, layer=replace(layer, channels=own_outputs, groups=groups), input=inputs
            )
        case FullyConnected() if planned.split == "outputs":
            return replace(info, layer=replace(layer, features=own_outputs))
    return replace(info, input=own_inputs)


class SummedLinear(Linear):
    """A fully connected layer with a part of the inputs; its outputs are summed over processes."""

    def forward(self, x: Tensor, route: Route | None = None) -> Tensor:
        """The process's part of the outputs [N, outputs] for its inputs [N, own inputs]."""
        assert route
        if self.is_last:
            with no_autocast(x.device.type):
                partial = F.linear(x.to(self.weight.dtype), self.weight)
        else:
            partial = F.linear(x, self.weight)
        total = sum_parts(partial, route)
        return total if self.bias is None else total + self.bias.to(total.dtype)


def _sum_of_squares(gradients: list[Tensor], network: nn.Module) -> Tensor:
    if not gradients:
        return torch.zeros((), device=next(network.parameters()).device)
    return get_total_norm(gradients).square()
