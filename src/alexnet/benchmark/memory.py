"""How much memory a network takes in training or inference, and how much it takes at least."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch

from alexnet.models.architecture import Architecture
from alexnet.models.layers import AdaptivePool, Conv, FullyConnected, Pool
from alexnet.runtime.malloc import release_freed_memory

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""What Linux takes as the order to begin the peak of resident memory anew (proc(5))."""
FLOAT_BYTES = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What a network takes beyond the program itself, and what it would take at least."""

    peak_bytes: int | None
    """Of the process, or of the GPU's tensors; None where the system does not say."""
    minimum_bytes: int
    """`training_bytes` or `inference_bytes`."""

    @property
    def ratio(self) -> float | None:
        """The peak as a multiple of the minimum."""
        return None if self.peak_bytes is None else self.peak_bytes / self.minimum_bytes


def peak_of(prepare: Callable[[], Callable[[], object]], device: torch.device) -> int | None:
    """Bytes in use at most while a function runs, beyond those before it was prepared.

    Of a GPU's tensors, else of the process; None where the system does not say (Linux does).

    Args:
        prepare: makes what the function needs and returns it; what it needs itself does not count.
        device: where the function computes.
    """
    gc.collect()
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        run = prepare()
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    try:
        release_freed_memory()
        before = _status_bytes("VmRSS")
        run = prepare()
        gc.collect()
        release_freed_memory()
        CLEAR_REFS.write_text(RESET_PEAK, encoding="ascii")
        run()
        return _status_bytes("VmHWM") - before
    except (OSError, LookupError):
        return None


def _status_bytes(name: str) -> int:
    """A value of /proc/self/status."""
    lines = STATUS.read_text("utf-8").splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return 1024 * int(found[name].split()[0])


def training_bytes(arch: Architecture, batch_size: int, type_bytes: int) -> int:
    """Bytes without which no training step with momentum can be computed.

    Weights, gradients and velocities in float32; the images in float32; the outputs of layers with
    weights and of pooling, and where each maximum was in a byte, since the backward pass needs
    them and they cannot be computed again without products; and the gradient of the largest.

    Args:
        arch: the network.
        batch_size: images in a step.
        type_bytes: of an activation: 2 in bf16.
    """
    infos = arch.layer_infos()
    kept = [i for i in infos if isinstance(i.layer, Conv | FullyConnected | Pool | AdaptivePool)]
    activations = [prod(info.output) for info in kept]
    places = sum(prod(i.output) for i in kept if isinstance(i.layer, Pool | AdaptivePool))
    an_image = FLOAT_BYTES * prod(arch.input) + places
    an_image += type_bytes * (sum(activations) + max(activations))
    return 3 * FLOAT_BYTES * sum(info.parameters for info in infos) + batch_size * an_image


def inference_bytes(arch: Architecture, batch_size: int, type_bytes: int) -> int:
    """Bytes without which no batch can be classified: weights, images, a layer's input and output.

    Args:
        arch: the network.
        batch_size: images at once.
        type_bytes: of a weight and an activation: 2 in bf16, 1 in int8.
    """
    infos = arch.layer_infos()
    largest = max(prod(info.input) + prod(info.output) for info in infos)
    an_image = FLOAT_BYTES * prod(arch.input) + type_bytes * largest
    return type_bytes * sum(info.parameters for info in infos) + batch_size * an_image
