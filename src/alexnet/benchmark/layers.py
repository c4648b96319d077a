"""How long each layer of a network takes."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from alexnet.benchmark.timing import Function, time_interleaved
from alexnet.config.recipe import Precision
from alexnet.models.network import Network
from alexnet.runtime.device import autocast

MAX_REPEATS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerTime:
    """One layer alone, on the input that it gets in the network."""

    name: str
    output: tuple[int, ...]
    """Shape with the batch."""
    forward_seconds: float
    backward_seconds: float | None
    """None for inference."""
    forward_gflops: float | None
    """Billions of floating-point operations per second (a multiplication and an addition are two);
    None for layers without weights, whose operations are not counted."""
    backward_gflops: float | None


def layer_times(
    network: Network, images: Tensor, precision: Precision, repeats: int, *, training: bool
) -> tuple[LayerTime, ...]:
    """Time every layer alone, in order, on the outputs of the layers before it.

    Args:
        network: its mode changes.
        images: [B, C, H, W], for the first layer.
        precision: of the matrix products.
        repeats: measurements of a layer, at most 5.
        training: time the backward pass, too.
    """
    network.train(training)
    x, times = images, []
    for info, layer in zip(network.architecture.layer_infos(), network.children(), strict=True):
        needs_grad = training and x is not images
        medians, y = _median_seconds(
            layer, x, precision, repeats, training=training, needs_grad=needs_grad
        )
        forward = medians["forward"]
        backward = max(medians.get("both", forward) - forward, 0.0) if training else None
        gflop = 2.0 * info.macs * len(images) / 1e9
        times.append(
            LayerTime(
                name=info.layer.name,
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
    layer: nn.Module,
    x: Tensor,
    precision: Precision,
    repeats: int,
    *,
    training: bool,
    needs_grad: bool,
) -> tuple[dict[str, float], Tensor]:
    """Median seconds of the "forward" pass, of "both" passes if there are two, and the output."""
    x = x.detach().requires_grad_(needs_grad)

    def forward() -> Tensor:
        with autocast(x.device, precision):
            y: Tensor = layer(x)
        return y

    with torch.set_grad_enabled(training):
        y = forward()
        functions: dict[str, Function] = {"forward": forward}
        if y.requires_grad:
            grad_output = torch.randn_like(y)
            functions["both"] = lambda: _backward(forward(), grad_output, x)
        times = time_interleaved(functions, min(repeats, MAX_REPEATS), x.device, warmup_rounds=3)
    layer.zero_grad(set_to_none=True)
    return {name: statistics.median(values) for name, values in times.items()}, y.detach()


def _backward(y: Tensor, grad_output: Tensor, x: Tensor) -> None:
    y.backward(grad_output)  # type: ignore[no-untyped-call]
    x.grad = None
