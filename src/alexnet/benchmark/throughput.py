"""Measure a network's images per second, and compare them with a matrix multiplication.

Everything is timed alternately, so that other load on the machine slows all of it alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from alexnet.benchmark.layers import LayerTime, layer_times
from alexnet.benchmark.memory import Memory, inference_bytes, peak_of, training_bytes
from alexnet.benchmark.timing import (
    MIN_SAMPLE_SECONDS,
    Function,
    Spread,
    spread,
    time_interleaved,
)
from alexnet.config.recipe import OptimizerOptions, Precision, Recipe
from alexnet.inference.int8 import Int8Layer
from alexnet.inference.optimize import optimize_for_inference
from alexnet.models.architecture import Architecture
from alexnet.models.network import Network, compile_network, create_model
from alexnet.models.zoo import architecture
from alexnet.runtime.device import autocast, compute_dtype
from alexnet.runtime.environment import Environment, describe_environment
from alexnet.training.step import set_up_update, update

Mode: TypeAlias = Literal["train", "infer"]
MATMUL_SIZE = {"cpu": 3072, "cuda": 8192}
"""Side of the square matrices, by device: large enough for the device's best FLOP/s."""
MEMORY_STEPS = 3
"""Training steps in which the peak is measured; from the second on, velocities exist."""
SMALL = "lenet5"
"""A small network, run first so that loading libraries does not count as the network's memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Throughput:
    """A network's speed in training or inference."""

    mode: Mode
    arch: str
    batch_size: int
    precision: str
    """Data type of the matrix products."""
    images_per_second: Spread
    optimized_images_per_second: Spread | None
    """Images per second of the network that `Classifier.optimized()` makes; None for training."""
    matmul_gflops: Spread
    """Billions of floating-point operations per second of a square matrix multiplication of that
    type, timed alternately with the network."""
    matmul_utilization: float
    """The network's own operations per second as a fraction of `matmul_gflops`."""
    memory: Memory | None
    """Memory of training, or of inference without optimization; None with `torch.compile`."""
    optimized_memory: Memory | None
    """Memory of inference with the optimized network; None for training."""
    layers: tuple[LayerTime, ...]
    environment: Environment


def benchmark_network(
    mode: Mode,
    arch: str | Architecture,
    batch_size: int,
    repeats: int,
    device: torch.device,
    precision: Precision = "auto",
    *,
    compile: bool = False,
) -> Throughput:
    """Measure training or inference of an architecture on random images.

    Args:
        mode: "train" or "infer".
        arch: the name of an architecture, or an `Architecture`.
        batch_size: images per step.
        repeats: measurements, alternating with the matrix multiplication.
        device: the device on which everything is computed.
        precision: the precision of the matrix products.
        compile: use `torch.compile`.
    """
    arch = architecture(arch)
    memory = optimized_memory = None
    if not compile:
        memory = measure_memory(mode, arch, batch_size, device, precision)
        if mode == "infer":
            optimized_memory = measure_memory(
                mode, arch, batch_size, device, precision, optimized=True
            )
    network = create_model(arch, device=device)
    if compile:
        compile_network(network, device)
    images = random_images(network.architecture, batch_size, device)
    rates, gflops = _measure(mode, network, images, repeats, precision)
    flops = (training_flops if mode == "train" else inference_flops)(network.architecture)
    return Throughput(
        mode=mode,
        arch=network.architecture.name,
        batch_size=batch_size,
        precision=str(compute_dtype(device, precision)).removeprefix("torch."),
        images_per_second=rates["network"],
        optimized_images_per_second=rates.get("optimized"),
        matmul_gflops=gflops,
        matmul_utilization=rates["network"].median * flops / 1e9 / gflops.median,
        memory=memory,
        optimized_memory=optimized_memory,
        layers=layer_times(network, images, precision, repeats, training=mode == "train"),
        environment=describe_environment(device),
    )


def measure_memory(
    mode: Mode,
    arch: Architecture,
    batch_size: int,
    device: torch.device,
    precision: Precision = "auto",
    *,
    optimized: bool = False,
) -> Memory:
    """Measure the memory of training or inference on random images.

    Args:
        mode: "train" or "infer".
        arch: the network.
        batch_size: images per step.
        device: the device on which everything is computed.
        precision: the precision of the matrix products.
        optimized: whether inference is that of the network as `optimize_for_inference` makes it.
    """
    type_bytes = compute_dtype(device, precision).itemsize

    def prepare(arch: Architecture, batch_size: int) -> Callable[[], object]:
        nonlocal type_bytes
        network = create_model(arch, device=device)
        images = random_images(arch, batch_size, device)
        if mode == "train":
            step = make_train_step(network, images, precision)
        else:
            network = optimize_for_inference(network, precision) if optimized else network
            step = make_inference_step(network, images, precision)
            if any(isinstance(layer, Int8Layer) for layer in network.modules()):
                type_bytes = 1
        return lambda: [step() for _ in range(MEMORY_STEPS)]

    prepare(architecture(SMALL), 2)()
    peak = peak_of(partial(prepare, arch, batch_size), device)
    minimum = (training_bytes if mode == "train" else inference_bytes)(arch, batch_size, type_bytes)
    return Memory(peak_bytes=peak, minimum_bytes=minimum)


def _measure(
    mode: Mode, network: Network, images: Tensor, repeats: int, precision: Precision
) -> tuple[dict[str, Spread], Spread]:
    """Images per second of the network (and its optimized form), and the matmul's GFLOP/s."""
    device = images.device
    matmul, matmul_flops = make_matmul(device, compute_dtype(device, precision))
    if mode == "train":
        functions = {"network": make_train_step(network, images, precision)}
    else:
        optimized = optimize_for_inference(network, precision)
        functions = {
            "network": make_inference_step(network, images, precision),
            "optimized": make_inference_step(optimized, images, precision),
        }
    times = time_interleaved(
        {**functions, "matmul": matmul}, repeats, device, min_seconds=MIN_SAMPLE_SECONDS
    )
    rates = {name: spread([len(images) / t for t in times[name]]) for name in functions}
    return rates, spread([matmul_flops / t / 1e9 for t in times["matmul"]])


def make_matmul(device: torch.device, dtype: torch.dtype) -> tuple[Function, float]:
    """Make a function that multiplies two square matrices; also return its number of FLOPs."""
    n = MATMUL_SIZE.get(device.type, 3072)
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    return lambda: a @ b, 2.0 * n**3


def inference_flops(arch: Architecture) -> float:
    """Floating-point operations for one image: two for each multiply-accumulate."""
    return 2.0 * sum(info.macs for info in arch.layer_infos())


def training_flops(arch: Architecture) -> float:
    """Floating-point operations of a training step for one image: 2 * (3 * MACs - first layer's).

    Forward, gradient with respect to the weights, and gradient with respect to the input, which
    the first layer does not need.
    """
    macs = [info.macs for info in arch.layer_infos()]
    first = next(count for count in macs if count)
    return 2.0 * (3 * sum(macs) - first)


def random_images(arch: Architecture, batch_size: int, device: torch.device) -> Tensor:
    """Gaussian noise [B, C, H, W] in channels-last memory."""
    images = torch.randn(batch_size, *arch.input, device=device)
    return images.contiguous(memory_format=torch.channels_last)


def make_train_step(network: Network, images: Tensor, precision: Precision) -> Function:
    """Make a training step of the paper's optimizer, with random labels."""
    recipe = Recipe(precision=precision, optimizer=OptimizerOptions(optimizer="paper", lr=1e-3))
    num_classes = network.architecture.num_classes
    labels = torch.randint(num_classes, (len(images),), device=images.device)
    setup = set_up_update(network.train(), recipe)
    return lambda: update(setup, images, labels)


def make_inference_step(network: Network, images: Tensor, precision: Precision) -> Function:
    """Make a forward pass without gradients."""

    @torch.inference_mode()
    def infer() -> Tensor:
        with autocast(images.device, precision):
            logits: Tensor = network(images)
        return logits

    network.eval()
    return infer
