"""Measure how long each layer of a network takes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from alexnet.benchmark.timing import Function, time_interleaved
from alexnet.config.recipe import Precision
from alexnet.models.forward import forward_layers, layers_in_one_pass
from alexnet.models.network import Network
from alexnet.runtime.device import autocast

MAX_REPEATS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerTime:
    """The time of a layer, or of several fused ones, on the input that it gets in the network."""

    name: str
    """The name of the layer; names of fused layers are joined by +."""
    output: tuple[int, ...]
    """Shape of the output, with the batch."""
    forward_seconds: float
    backward_seconds: float | None
    """Seconds of the backward pass; None for inference."""
    forward_gflops: float | None
    """Billions of floating-point operations per second (a multiplication and an addition are two);
    None for layers without weights, whose operations are not counted."""
    backward_gflops: float | None


def layer_times(
    network: Network, images: Tensor, precision: Precision, repeats: int, *, training: bool
) -> tuple[LayerTime, ...]:
    """Time every layer alone, in order, on the outputs of the layers before it.

    Args:
        network: the network, whose mode is changed.
        images: [B, C, H, W], for the first layer.
        precision: the precision of the matrix products.
        repeats: measurements of a layer, at most 5.
        training: time the backward pass, too.
    """
    network.train(training)
    x, times = images, []
    layers, infos = list(network.layer_modules().values()), network.architecture.layer_infos()
    while layers:
        needs_grad = training and x is not images
        with torch.set_grad_enabled(training):
            count = layers_in_one_pass(layers, x.detach().requires_grad_(needs_grad))
        together, parts = layers[:count], infos[:count]
        layers, infos = layers[count:], infos[count:]
        medians, y = _median_seconds(
            together, x, precision, repeats, training=training, needs_grad=needs_grad
        )
        forward = medians["forward"]
        backward = max(medians.get("both", forward) - forward, 0.0) if training else None
        gflop = 2.0 * sum(info.macs for info in parts) * len(images) / 1e9
        times.append(
            LayerTime(
                name="+".join(info.layer.name for info in parts),
                output=tuple(y.shape),
                forward_seconds=forward,
                backward_seconds=backward,
                forward_gflops=_rate(gflop, forward),
                backward_gflops=_rate(gflop * (1 + needs_grad), backward),
            )
        )
        x = y
    return tuple(times)


def _rate(gflop: float, seconds: float | None) -> float | None:
    return gflop / seconds if gflop and seconds else None


def _median_seconds(
    layers: Sequence[nn.Module],
    x: Tensor,
    precision: Precision,
    repeats: int,
    *,
    training: bool,
    needs_grad: bool,
) -> tuple[dict[str, float], Tensor]:
    """Median seconds of "forward" and, with gradients, of "both" passes; and the output."""
    x = x.detach().requires_grad_(needs_grad)

    def forward() -> Tensor:
        with autocast(x.device, precision):
            return forward_layers(layers, x)

    with torch.set_grad_enabled(training):
        y = forward()
        functions: dict[str, Function] = {"forward": forward}
        if y.requires_grad:
            grad_output = torch.randn_like(y)
            functions["both"] = lambda: _backward(forward(), grad_output, x)
        times = time_interleaved(functions, min(repeats, MAX_REPEATS), x.device, warmup_rounds=3)
    for layer in layers:
        layer.zero_grad(set_to_none=True)
    return {name: statistics.median(values) for name, values in times.items()}, y.detach()


def _backward(y: Tensor, grad_output: Tensor, x: Tensor) -> None:
    y.backward(grad_output)  # type: ignore[no-untyped-call]
    x.grad = None
