"""How long each layer takes."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from alexnet.benchmark.timing import Work, time_interleaved
from alexnet.config.recipe import Precision
from alexnet.models.network import Network
from alexnet.runtime.device import autocast


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerTime:
    """One layer alone, on the maps that it gets in the net."""

    name: str
    output: tuple[int, ...]
    forward_seconds: float
    backward_seconds: float
    """0 for inference."""
    forward_gflops: float
    """Products and sums of its matrix product a second, in billions; 0 for layers without one."""
    backward_gflops: float


def layer_times(
    network: Network, images: Tensor, precision: Precision, repeats: int, *, is_training: bool
) -> tuple[LayerTime, ...]:
    """Every layer alone, in order, fed with what the layers before it give."""
    network.train(is_training)
    x, times = images, []
    for row, layer in zip(network.architecture.rows(), network.children(), strict=True):
        needs_gradient = is_training and x is not images
        forward, both, y = _layer_seconds(
            layer, x, precision, repeats, is_training=is_training, needs_gradient=needs_gradient
        )
        flops = 2.0 * row.macs * len(images) / 1e9
        backward = max(both - forward, 0.0) if is_training else 0.0
        backward_flops = flops * (1 + needs_gradient)
        times.append(
            LayerTime(
                name=row.layer.name,
                output=tuple(y.shape),
                forward_seconds=forward,
                backward_seconds=backward,
                forward_gflops=flops / forward,
                backward_gflops=backward_flops / backward if backward else 0.0,
            )
        )
        x = y
    return tuple(times)


def _backward(y: Tensor, above: Tensor, x: Tensor) -> None:
    y.backward(above)  # type: ignore[no-untyped-call]
    x.grad = None


def _layer_seconds(
    layer: nn.Module,
    x: Tensor,
    precision: Precision,
    repeats: int,
    *,
    is_training: bool,
    needs_gradient: bool,
) -> tuple[float, float, Tensor]:
    """Median seconds of the forward pass and of both passes, and what the layer gives."""
    x = x.detach().requires_grad_(needs_gradient)

    def forward() -> Tensor:
        with autocast(x.device, precision):
            y: Tensor = layer(x)
        return y

    with torch.set_grad_enabled(is_training):
        y = forward()
        works: dict[str, Work] = {"forward": forward}
        if y.requires_grad:
            above = torch.randn_like(y)
            works["both"] = lambda: _backward(forward(), above, x)
        times = time_interleaved(works, min(repeats, 5), x.device, warm_ups=3)
    layer.zero_grad(set_to_none=True)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return medians["forward"], medians.get("both", medians["forward"]), y.detach()
