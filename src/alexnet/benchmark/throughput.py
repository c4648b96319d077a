"""How fast this machine trains, infers and reads, beside what it could do at most.

What is compared takes turns, so that a busy machine slows all of it alike.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from alexnet.config.recipe import Optimizer, Precision, Recipe
from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.inference.classifier import Classifier
from alexnet.inference.optimize import optimized_network
from alexnet.models.architecture import Architecture
from alexnet.models.network import Network, compile_network, create_model
from alexnet.runtime.device import autocast, computing_type
from alexnet.runtime.environment import Environment, describe_environment
from alexnet.training.optimizers import build_optimizer
from alexnet.training.trainer import update

Work = Callable[[], object]
TURN_SECONDS = 0.2
"""What the turn of a network lasts at least."""
MATRIX_SIDE = {"cpu": 3072, "cuda": 8192}
"""Side of the square matrices whose product is the machine's ceiling."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Repeats of one measurement."""

    median: float
    low: float
    high: float
    n: int


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
    machine_share: float
    """What the network's own products reach of it, 0 to 1."""
    peak_bytes: int
    """Largest memory of the process, or of the GPU's tensors."""
    layers: tuple[LayerTime, ...]
    environment: Environment


def spread(values: list[float]) -> Spread:
    """Median and range."""
    return Spread(
        median=statistics.median(values), low=min(values), high=max(values), n=len(values)
    )


def seconds(work: Work, device: torch.device, least: float = 0.0) -> float:
    """How long a call takes, until the device has finished: the mean of `least` seconds' calls."""
    finish(device)
    began, calls, elapsed = time.perf_counter(), 0, 0.0
    while not calls or elapsed < least:
        work()
        finish(device)
        calls, elapsed = calls + 1, time.perf_counter() - began
    return elapsed / calls


def finish(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def take_turns(
    works: dict[str, Work],
    repeats: int,
    device: torch.device,
    *,
    warm_ups: int = 2,
    turn_seconds: float = 0.0,
) -> dict[str, list[float]]:
    """Seconds of a call, one turn of each in each round, the first `warm_ups` rounds not counted.

    A turn is one call, or as many as fill `turn_seconds`: a call of milliseconds would otherwise
    begin with the caches of another.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(warm_ups + repeats):
        for name, work in works.items():
            if turn < warm_ups:
                work()
            else:
                times[name].append(seconds(work, device, turn_seconds))
    return times


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


def training_work(
    network: Network, batch: int, recipe: Recipe, device: torch.device
) -> tuple[Work, Tensor]:
    """One training step on drawn images, and those images."""
    optimizer = build_optimizer(network, recipe.optimizer)
    images = drawn(network.architecture, batch, device)
    labels = torch.randint(network.architecture.classes, (batch,), device=device)
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
    recipe = Recipe(precision=precision, optimizer=Optimizer(rule="paper", rate=1e-3))
    dtype = computing_type(device, precision)
    product, product_flops = matrix_product(device, dtype)
    if work == "train":
        step, images = training_work(network, batch, recipe, device)
        flops, works = training_flops(network.architecture), {"net": step}
    else:
        images = drawn(network.architecture, batch, device)
        flops, works = _inference_works(network, images, precision)
    works["matrix"] = product
    times = take_turns(works, repeats, device, turn_seconds=TURN_SECONDS)
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
        machine_share=rate.median * flops / 1e9 / ceiling.median,
        peak_bytes=peak_bytes(device),
        layers=layer_times(network, images, recipe.precision, repeats, is_training=work == "train"),
        environment=describe_environment(device),
    )


def _inference_works(
    network: Network, images: Tensor, precision: Precision
) -> tuple[float, dict[str, Work]]:
    """Operations on a picture, and the network as it is and as it is prepared."""
    prepared = optimized_network(network, precision)
    works = {
        "net": inference_work(network, images, precision),
        "optimized": inference_work(prepared, images, precision),
    }
    return 2.0 * sum(row.macs for row in network.architecture.rows()), works


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How often a classifier prepared for inference names the same class as in float32."""

    pictures: int
    batch: int
    """Pictures at a time."""
    agreeing: int
    """Pictures with the same likeliest class."""
    top1_agreement: float
    """Share of the pictures, 0 to 1."""
    largest_difference: float
    """Of a class's probability, 0 to 1."""


def agreement(classifier: Classifier, store: Store, rows: np.ndarray, batch: int = 1) -> Agreement:
    """Compare a classifier as `optimized()` prepares it with itself in float32.

    Args:
        classifier: a trained one; compared in float32, whatever its own precision.
        store: prepared as its preprocessing says.
        rows: pictures of the store.
        batch: pictures at a time; some processors compute a few in another way than many.

    Raises:
        DataError: no pictures.
    """
    if not len(rows):
        raise DataError("there are no pictures to compare on")
    prepared, plain = classifier.optimized(), replace(classifier, precision="float32")
    differences, agreed = [], 0
    for start in range(0, len(rows), batch):
        pixels = store.pictures(rows[start : start + batch])
        one, other = plain.probabilities(pixels), prepared.probabilities(pixels)
        agreed += int((one.argmax(1) == other.argmax(1)).sum())
        differences.append(float(np.abs(one - other).max()))
    return Agreement(
        pictures=len(rows),
        batch=batch,
        agreeing=agreed,
        top1_agreement=agreed / len(rows),
        largest_difference=max(differences),
    )


def peak_bytes(device: torch.device) -> int:
    """Largest memory so far: of a GPU's tensors, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


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
        times = take_turns(works, min(repeats, 5), x.device, warm_ups=3)
    layer.zero_grad(set_to_none=True)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return medians["forward"], medians.get("both", medians["forward"]), y.detach()
