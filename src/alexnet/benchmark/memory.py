"""The peak memory of a network in training or inference, and a lower bound for it."""

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
"""Written to clear_refs, resets the process's peak resident memory (proc(5))."""
FLOAT_BYTES = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """The memory that a network takes beyond the program itself, and the minimum for its task."""

    peak_bytes: int | None
    """Peak of the process's memory, or of the tensors on the GPU; None if it cannot be measured."""
    minimum_bytes: int
    """The lower bound: `training_bytes` or `inference_bytes`."""

    @property
    def ratio(self) -> float | None:
        """The peak as a multiple of the minimum."""
        return None if self.peak_bytes is None else self.peak_bytes / self.minimum_bytes


def peak_of(prepare: Callable[[], Callable[[], object]], device: torch.device) -> int | None:
    """Peak of the bytes in use while a function runs, minus those in use before its preparation.

    On an NVIDIA GPU the bytes of its tensors count, else the resident memory of the process, which
    only Linux tells; None elsewhere.

    Args:
        prepare: prepares the function and returns it; temporary memory of the preparation does not
            count.
        device: the device on which the function computes.
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
    """A value of /proc/self/status, in bytes."""
    lines = STATUS.read_text("utf-8").splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return 1024 * int(found[name].split()[0])


def training_bytes(arch: Architecture, batch_size: int, type_bytes: int) -> int:
    """The minimum memory of a training step with momentum, in bytes.

    Weights, gradients and velocities in float32; the images in float32; the outputs of layers with
    weights and of pooling, and the position of each maximum in a byte, which the backward pass
    needs and which only matrix products could recompute; and the gradient of the largest output.

    Args:
        arch: the network.
        batch_size: images in a step.
        type_bytes: bytes of an activation: 2 in bf16.
    """
    infos = arch.layer_infos()
    kept = [i for i in infos if isinstance(i.layer, Conv | FullyConnected | Pool | AdaptivePool)]
    activations = [prod(info.output) for info in kept]
    places = sum(prod(i.output) for i in kept if isinstance(i.layer, Pool | AdaptivePool))
    an_image = FLOAT_BYTES * prod(arch.input) + places
    an_image += type_bytes * (sum(activations) + max(activations))
    return 3 * FLOAT_BYTES * sum(info.parameters for info in infos) + batch_size * an_image


def inference_bytes(arch: Architecture, batch_size: int, type_bytes: int) -> int:
    """The minimum memory of inference in bytes: weights, images, and one layer's input and output.

    Args:
        arch: the network.
        batch_size: images at once.
        type_bytes: bytes of a weight or an activation: 2 in bf16, 1 in int8.
    """
    infos = arch.layer_infos()
    largest = max(prod(info.input) + prod(info.output) for info in infos)
    an_image = FLOAT_BYTES * prod(arch.input) + type_bytes * largest
    return type_bytes * sum(info.parameters for info in infos) + batch_size * an_image
