"""Columns and hybrids compute what one process computes: outputs, gradients, dropout, bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.config.distributed import DistributedOptions
from alexnet.errors import ConfigError
from alexnet.models.architecture import Architecture
from alexnet.models.layers import (
    Activation,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Pool,
    ResponseNorm,
)
from alexnet.models.network import Network, channels_last
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ABLATIONS, ZOO
from alexnet.parallel.columns import ColumnsNetwork
from alexnet.parallel.hybrid import HybridNetwork
from alexnet.parallel.network import ParallelNetwork
from alexnet.parallel.parts import gather_whole
from alexnet.parallel.plan import parameters
from alexnet.parallel.traffic import sent_bytes, traffic
from alexnet.parallel.world import current_world
from support.processes import Processes

SMALL = ModelOptions(width=0.125, input_size=67)
TINY = Architecture(
    "tiny",
    "",
    (3, 9, 9),
    (
        Conv("conv1", 6, 3),
        Activation("relu1"),
        ResponseNorm("norm1"),
        Conv("conv2", 8, 3, groups=2, padding=1),
        Activation("relu2"),
        Pool("pool2"),
        Conv("conv3", 6, 3, padding=1),
        Activation("relu3"),
        Flatten("flatten"),
        Dropout("drop4"),
        FullyConnected("fc4", 7),
        Activation("relu4"),
        Dropout("drop5"),
        FullyConnected("fc5", 5),
        Activation("relu5"),
        FullyConnected("fc6", 3),
    ),
)
GROUPED = ("alexnet", "alexnet_2012", "alexnet_caffe", "caffenet", "alexnet_bn")
CONVOLUTIONS_WITHOUT_BATCH_NORM = ("alexnet", "alexnet_owt", "alexnet_table", "alexnet_2012")


def build(arch: Architecture, dtype: torch.dtype) -> Network:
    """A network with biases that matter, in training mode."""
    torch.manual_seed(1)
    network = channels_last(Network(arch)).to(dtype)
    for parameter in network.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 0.5, 0.1)
        else:
            nn.init.kaiming_normal_(parameter)
    return network.train()


def relative(a: Tensor, b: Tensor) -> float:
    """The largest difference, relative to the largest magnitude."""
    return float((a - b).detach().abs().max() / b.detach().abs().max())


def exchange_by(scheme: str) -> DistributedOptions:
    return DistributedOptions(parallel="hybrid", exchange=scheme)  # type: ignore[arg-type]


def compare(arch: Architecture, scheme: str, batch_size: int, dtype: torch.dtype) -> dict[str, Any]:
    """How far a parallel network is from the whole one in this process; all processes call it."""
    world = current_world()
    whole = build(arch, dtype)
    own = (
        ColumnsNetwork(whole, world)
        if scheme == "columns"
        else HybridNetwork(whole, world, exchange_by(scheme))
    )
    rows = slice(0, batch_size) if scheme == "columns" else world.rows(batch_size)
    images = torch.randn(batch_size, *arch.input, dtype=dtype)
    labels = torch.randint(arch.num_classes, (batch_size,))
    torch.manual_seed(2)
    logits = whole(images)
    F.cross_entropy(logits, labels).backward()
    torch.manual_seed(2)
    own_logits = own(images[rows])
    own_loss = F.cross_entropy(own_logits, labels[rows], reduction="sum") / batch_size
    own_loss.backward()
    if isinstance(own, HybridNetwork):
        own.sum_gradients()
    named = own.named_parameters()
    gradients = {name: gather_whole(own.plan, name, p.grad) for name, p in named}  # type: ignore[arg-type]
    expected = {name: p.grad for name, p in whole.named_parameters()}
    norm = nn.utils.get_total_norm(expected.values())  # type: ignore[arg-type]
    return {
        "logits": relative(own_logits, logits[rows]),
        "gradients": max(
            relative(gradients[name], g) for name, g in expected.items() if g is not None
        ),
        "norm": relative(own.gradient_norm(), norm),
        "state": all(torch.equal(own.whole_state()[n], t) for n, t in weights(whole).items()),
        "parameters": own_numbers(own) - parameters(own.plan, world.rank),
        "bytes": sum(own.meter.sent.values()) - planned_bytes(own, batch_size, dtype.itemsize),
    }


def planned_bytes(network: ParallelNetwork, batch_size: int, size: int) -> int:
    """Bytes of a step by arithmetic."""
    return sent_bytes(traffic(network.plan, batch_size, network.world.rank, size, size))


def weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach() for name, p in network.named_parameters()}


def own_numbers(network: ParallelNetwork) -> int:
    state = network.state_dict().items()
    return sum(t.numel() for name, t in state if not name.endswith("num_batches_tracked"))


def check(results: Sequence[dict[str, Any]], tolerance: float) -> None:
    for result in results:
        assert result["logits"] <= tolerance
        assert result["gradients"] <= tolerance
        assert result["norm"] <= tolerance
        assert (result["state"], result["parameters"], result["bytes"]) == (True, 0, 0)


EXACT = 1e-12
"""In float64: a wrong part, sum or mask would be far above."""


@pytest.mark.parametrize("scheme", ["columns", "turns", "all", "slices"])
def test_two_processes_compute_what_one_does(pair: Processes, scheme: str) -> None:
    check(pair.run(compare, TINY, scheme, 5, torch.float64), EXACT)


@pytest.mark.parametrize("name", [*GROUPED, "alexnet_2012_no_communication"])
def test_columns_of_every_network_with_groups(pair: Processes, name: str) -> None:
    arch = variant({**ZOO, **ABLATIONS}[name], SMALL)
    check(pair.run(compare, arch, "columns", 4, torch.float64), EXACT)


@pytest.mark.parametrize("scheme", ["all", "turns", "slices"])
@pytest.mark.parametrize("name", CONVOLUTIONS_WITHOUT_BATCH_NORM)
def test_hybrids_of_four_with_uneven_parts(four: Processes, name: str, scheme: str) -> None:
    arch = variant(ZOO[name], SMALL, num_classes=7)
    check(four.run(compare, arch, scheme, 6, torch.float64), EXACT)


@pytest.mark.parametrize("name", ["cifar_quick", "lenet5"])
def test_hybrids_with_one_or_two_fully_connected_layers(four: Processes, name: str) -> None:
    check(four.run(compare, ZOO[name], "all", 9, torch.float64), EXACT)


def test_a_reach_beyond_the_neighbor(four: Processes) -> None:
    layers = (Conv("conv1", 8, 3, groups=4), ResponseNorm("norm1", 9), Flatten("flatten"))
    arch = Architecture("own", "", (4, 8, 8), (*layers, FullyConnected("fc2", 6, bias=False)))
    check(four.run(compare, arch, "columns", 3, torch.float64), EXACT)


def build_hybrid(arch: Architecture, exchange: str) -> str:
    try:
        HybridNetwork(Network(arch), current_world(), exchange_by(exchange))
    except ConfigError as error:
        return str(error)
    return ""


def test_rounds_with_batch_norm_are_refused(pair: Processes) -> None:
    arch = variant(ZOO["alexnet_bn"], SMALL)
    for exchange in ("turns", "slices"):
        message = pair.run(build_hybrid, arch, exchange)[0]
        assert "bn6 of alexnet_bn" in message
        assert "use --exchange all" in message
    assert pair.run(build_hybrid, arch, "all") == ["", ""]
