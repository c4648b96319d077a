"""Two computations of one network compared by numbers, and random pictures to compare them on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from alexnet.config.preprocessing import Preprocessing
from alexnet.models.network import Network

TOLERANCE = 1e-4
"""Largest difference that passes, as a share of the largest logit."""
Runner: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""Float32 images [B, C, H, W] to logits [B, classes]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """How far two computations are apart."""

    runtime: str
    """What computed the other side, with its version."""
    batch_sizes: tuple[int, ...]
    largest_difference: float
    """Between two logits."""
    largest_logit: float
    """By magnitude, in our network."""
    tolerance: float = TOLERANCE

    @property
    def relative_difference(self) -> float:
        """The largest difference as a share of the largest logit."""
        return self.largest_difference / max(self.largest_logit, 1e-12)

    @property
    def is_close(self) -> bool:
        """Whether it is within the tolerance; a difference that is not a number never is."""
        return self.relative_difference <= self.tolerance

    def sentence(self) -> str:
        """The result in words."""
        sizes = ", ".join(map(str, self.batch_sizes))
        return (
            f"largest difference from {self.runtime} {self.largest_difference:.2g} "
            f"on logits up to {self.largest_logit:.2g} (relative "
            f"{self.relative_difference:.2g}, allowed {self.tolerance:.0e}; batches of {sizes})"
        )


def compare(ours: Runner, theirs: Runner, runtime: str, batches: Sequence[np.ndarray]) -> Parity:
    """Run both on every batch and keep the largest difference."""
    differences, logits = [0.0], [0.0]
    for images in batches:
        own, other = ours(images), theirs(images)
        # np.max keeps a value that is not a number; Python's max may drop it
        differences.append(float(np.max(np.abs(own - other), initial=0.0)))
        logits.append(float(np.max(np.abs(own), initial=0.0)))
    return Parity(
        runtime=runtime,
        batch_sizes=tuple(len(images) for images in batches),
        largest_difference=float(np.max(differences)),
        largest_logit=float(np.max(logits)),
    )


def runner(network: torch.nn.Module) -> Runner:
    """A torch module as a function of arrays, in float32."""

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            logits: Tensor = network(torch.from_numpy(images))
        return logits.numpy()

    return run


def random_pixels(network: Network, count: int, seed: int = 0) -> np.ndarray:
    """Random pictures of the network's size: float32 [count, C, H, W], 0 to 255.

    Blocks of 8 pixels share a colour, with fine noise over it, so that deep layers see something.
    """
    c, h, w = network.architecture.input
    random = np.random.default_rng(seed)
    coarse = random.uniform(0, 255, (count, c, -(-h // 8), -(-w // 8)))
    blocks = coarse.repeat(8, 2).repeat(8, 3)[:, :, :h, :w]
    noise = random.uniform(0, 255, (count, c, h, w))
    return np.asarray(0.7 * blocks + 0.3 * noise, dtype=np.float32)


def normalised(pixels: np.ndarray, rule: Preprocessing) -> np.ndarray:
    """Pixels of 0 to 255 with the rule's mean subtracted, divided; its mean picture is not used."""
    c = pixels.shape[1]
    mean = np.array(rule.mean[:c], np.float32)[:, None, None]
    divisor = np.array(rule.std[:c], np.float32)[:, None, None]
    return np.asarray((pixels - mean) / divisor, dtype=np.float32)
