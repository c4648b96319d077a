"""How fast this machine trains, infers and reads, beside what it could do at most.

What is compared takes turns, so that a busy machine slows all of it alike.
"""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass

import torch
from torch import Tensor

from alexnet.benchmark.layers import LayerTime, layer_times
from alexnet.benchmark.timing import MIN_SAMPLE_SECONDS, Spread, Work, spread, time_interleaved
from alexnet.config.recipe import OptimizerOptions, Precision, Recipe
from alexnet.inference.optimize import optimize_for_inference
from alexnet.models.architecture import Architecture
from alexnet.models.network import Network, compile_network, create_model
from alexnet.runtime.device import autocast, compute_dtype
from alexnet.runtime.environment import Environment, describe_environment
from alexnet.training.optimizers import build_optimizer
from alexnet.training.step import update

MATRIX_SIDE = {"cpu": 3072, "cuda": 8192}
"""Side of the square matrices whose product is the machine's ceiling."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Throughput:
    """A network's speed in training or inference."""

    work: str
    """train or infer."""
    arch: str
    batch: int
    precision: str
    """The type of the matrix products."""
    images_per_second: Spread
    optimized_per_second: Spread | None
    """Of the network as `Classifier.optimized()` prepares it; None for training."""
    matrix_gflops: Spread
    """Of a square matrix product of that type, which took turns with the network."""
    matmul_utilization: float
    """What the network's own products reach of it, 0 to 1."""
    peak_bytes: int
    """Largest memory of the process, or of the GPU's tensors."""
    layers: tuple[LayerTime, ...]
    environment: Environment


def matrix_product(device: torch.device, dtype: torch.dtype) -> tuple[Work, float]:
    """A square matrix product and its operations (a product and a sum are two)."""
    side = MATRIX_SIDE.get(device.type, 3072)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return lambda: a @ b, 2.0 * side**3


def training_flops(table: Architecture) -> float:
    """Operations of a training step on one picture: 3 x MAC minus the first layer's input gradient.

    Forward, by the weights and by the input, two operations a multiply-accumulate; nobody needs the
    gradient by the pictures.
    """
    macs = [row.macs for row in table.rows()]
    first = next(count for count in macs if count)
    return 2.0 * (3 * sum(macs) - first)


def make_train_step(
    network: Network, batch: int, recipe: Recipe, device: torch.device
) -> tuple[Work, Tensor]:
    """One training step on drawn images, and those images."""
    optimizer = build_optimizer(network, recipe.optimizer)
    images = drawn(network.architecture, batch, device)
    labels = torch.randint(network.architecture.num_classes, (batch,), device=device)
    network.train()
    return lambda: update(network, optimizer, images, labels, recipe), images


def drawn(table: Architecture, batch: int, device: torch.device) -> Tensor:
    """Images [batch, C, H, W] of noise, in channels-last memory."""
    images = torch.randn(batch, *table.input, device=device)
    return images.contiguous(memory_format=torch.channels_last)


def inference_work(network: Network, images: Tensor, precision: Precision) -> Work:
    """One pass without gradients."""

    @torch.inference_mode()
    def infer() -> Tensor:
        with autocast(images.device, precision):
            logits: Tensor = network(images)
        return logits

    network.eval()
    return infer


def benchmark_network(
    work: str,
    arch: str,
    batch: int,
    repeats: int,
    device: torch.device,
    precision: Precision = "auto",
    *,
    is_compiled: bool = False,
) -> Throughput:
    """Measure training (`work` "train") or inference ("infer") of an architecture.

    Raises:
        UnknownNameError: no such architecture.
    """
    network = create_model(arch, device=device)
    if is_compiled:
        compile_network(network, device)
    recipe = Recipe(precision=precision, optimizer=OptimizerOptions(optimizer="paper", lr=1e-3))
    dtype = compute_dtype(device, precision)
    product, product_flops = matrix_product(device, dtype)
    if work == "train":
        step, images = make_train_step(network, batch, recipe, device)
        flops, works = training_flops(network.architecture), {"net": step}
    else:
        images = drawn(network.architecture, batch, device)
        flops, works = _inference_works(network, images, precision)
    works["matrix"] = product
    times = time_interleaved(works, repeats, device, turn_seconds=MIN_SAMPLE_SECONDS)
    optimized = [batch / t for t in times.get("optimized", ())]
    rate = spread([batch / t for t in times["net"]])
    ceiling = spread([product_flops / t / 1e9 for t in times["matrix"]])
    return Throughput(
        work=work,
        arch=arch,
        batch=batch,
        precision=str(dtype).removeprefix("torch."),
        images_per_second=rate,
        optimized_per_second=spread(optimized) if optimized else None,
        matrix_gflops=ceiling,
        matmul_utilization=rate.median * flops / 1e9 / ceiling.median,
        peak_bytes=peak_bytes(device),
        layers=layer_times(network, images, recipe.precision, repeats, is_training=work == "train"),
        environment=describe_environment(device),
    )


def _inference_works(
    network: Network, images: Tensor, precision: Precision
) -> tuple[float, dict[str, Work]]:
    """Operations on a picture, and the network as it is and as it is prepared."""
    prepared = optimize_for_inference(network, precision)
    works = {
        "net": inference_work(network, images, precision),
        "optimized": inference_work(prepared, images, precision),
    }
    return 2.0 * sum(row.macs for row in network.architecture.rows()), works


def peak_bytes(device: torch.device) -> int:
    """Largest memory so far: of a GPU's tensors, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
