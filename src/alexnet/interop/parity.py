"""Compare the logits of two implementations of one network on random images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from alexnet.config.preprocessing import Preprocessing
from alexnet.config.serialization import FloatOrNaN
from alexnet.models.network import Network

TOLERANCE = 1e-4
"""Largest allowed difference between two logits, as a fraction of the largest logit."""
BLOCK_SIZE = 8
"""Side in pixels of the blocks of one color in a random image."""
Runner: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""From float32 images [B, C, H, W] to logits [B, num_classes]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """The difference between the logits of two implementations."""

    runtime: str
    """What computed the other side, with its version."""
    batch_sizes: tuple[int, ...]
    max_abs_difference: FloatOrNaN
    """Between two logits."""
    max_abs_logit: FloatOrNaN
    """In our network."""
    tolerance: float = TOLERANCE

    @property
    def relative_difference(self) -> float:
        """The largest difference as a fraction of the largest logit."""
        return self.max_abs_difference / max(self.max_abs_logit, 1e-12)

    @property
    def is_close(self) -> bool:
        """Whether the difference is within the tolerance; NaN is not."""
        return self.relative_difference <= self.tolerance

    def summary(self) -> str:
        """The result in words."""
        sizes = ", ".join(map(str, self.batch_sizes))
        return (
            f"largest difference from {self.runtime} {self.max_abs_difference:.2g} "
            f"on logits up to {self.max_abs_logit:.2g} (relative "
            f"{self.relative_difference:.2g}, allowed {self.tolerance:.0e}; batch sizes {sizes})"
        )


def compare(ours: Runner, theirs: Runner, runtime: str, batches: Sequence[np.ndarray]) -> Parity:
    """Run both on every batch and keep the largest difference.

    Args:
        ours: our network.
        theirs: the other implementation.
        runtime: what computes `theirs`, with its version.
        batches: float32 images [B, C, H, W] each.
    """
    differences, logits = [0.0], [0.0]
    for images in batches:
        own, other = ours(images), theirs(images)
        # np.max keeps NaN, Python's max may drop it
        differences.append(float(np.max(np.abs(own - other), initial=0.0)))
        logits.append(float(np.max(np.abs(own), initial=0.0)))
    return Parity(
        runtime=runtime,
        batch_sizes=tuple(len(images) for images in batches),
        max_abs_difference=float(np.max(differences)),
        max_abs_logit=float(np.max(logits)),
    )


def torch_runner(module: torch.nn.Module) -> Runner:
    """A torch module as a function of arrays, without gradients."""

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            logits: Tensor = module(torch.from_numpy(images))
        return logits.numpy()

    return run


def random_images(network: Network, count: int, seed: int = 0) -> np.ndarray:
    """Random images for a network's input: float32 [count, C, H, W], 0 to 255.

    Blocks of one color under fine noise: on noise alone, deep layers get nearly the same values
    for every image.
    """
    c, h, w = network.architecture.input
    random = np.random.default_rng(seed)
    coarse = random.uniform(0, 255, (count, c, -(-h // BLOCK_SIZE), -(-w // BLOCK_SIZE)))
    blocks = coarse.repeat(BLOCK_SIZE, 2).repeat(BLOCK_SIZE, 3)[:, :, :h, :w]
    noise = random.uniform(0, 255, (count, c, h, w))
    return np.asarray(0.7 * blocks + 0.3 * noise, dtype=np.float32)


def normalize_array(images: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Images of 0 to 255 minus the mean color, divided by std; a mean image is not used."""
    c = images.shape[1]
    mean = np.array(preprocessing.mean[:c], np.float32)[:, None, None]
    std = np.array(preprocessing.std[:c], np.float32)[:, None, None]
    return np.asarray((images - mean) / std, dtype=np.float32)
