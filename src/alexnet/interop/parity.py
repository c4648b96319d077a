"""Compare the outputs of two implementations of one model on random images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from alexnet.config.preprocessing import Preprocessing
from alexnet.config.serialization import FloatOrNaN
from alexnet.data.images.decode import decode
from alexnet.inference.classifier import Classifier
from alexnet.models.network import Network

TOLERANCE = 1e-4
"""Largest allowed difference between two logits, as a fraction of the largest logit."""
PROBABILITY_TOLERANCE = 1e-3
"""Largest allowed difference between two probabilities of a model that resizes images itself."""
BLOCK_SIZE = 8
"""Side in pixels of the blocks of one color in a random image."""
Runner: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""A function from float32 images [B, C, H, W] to logits [B, num_classes], or from one image, uint8
[H, W, 3], to probabilities [num_classes]."""
Output: TypeAlias = Literal["logits", "probabilities"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """The difference between the outputs of two implementations."""

    runtime: str
    """Name and version of the program that computed the other outputs."""
    batch_sizes: tuple[int, ...]
    max_abs_difference: FloatOrNaN
    """Largest difference between two outputs."""
    max_abs_logit: FloatOrNaN
    """Largest absolute logit of our network; 1 if the outputs are probabilities."""
    tolerance: float = TOLERANCE
    output: Output = "logits"

    @property
    def relative_difference(self) -> float:
        """The largest difference as a fraction of the largest logit, or of 1."""
        return self.max_abs_difference / max(self.max_abs_logit, 1e-12)

    @property
    def is_close(self) -> bool:
        """Whether the difference is within the tolerance; NaN is not."""
        return self.relative_difference <= self.tolerance

    def summary(self) -> str:
        """The result in words."""
        if self.output == "probabilities":
            return (
                f"largest difference of a probability from {self.runtime} "
                f"{self.max_abs_difference:.2g} (allowed {self.tolerance:.0e}; "
                f"{len(self.batch_sizes)} random images of other sizes)"
            )
        sizes = ", ".join(map(str, self.batch_sizes))
        return (
            f"largest difference from {self.runtime} {self.max_abs_difference:.2g} "
            f"on logits up to {self.max_abs_logit:.2g} (relative "
            f"{self.relative_difference:.2g}, allowed {self.tolerance:.0e}; batch sizes {sizes})"
        )


def compare(ours: Runner, theirs: Runner, runtime: str, batches: Sequence[np.ndarray]) -> Parity:
    """Run both implementations on every batch, and keep the largest difference.

    Args:
        ours: our network.
        theirs: the other implementation.
        runtime: name and version of the program that computes `theirs`.
        batches: batches of images, float32 [B, C, H, W] each.
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


def compare_probabilities(classifier: Classifier, theirs: Runner, runtime: str) -> Parity:
    """Compare a whole model's probabilities with the classifier's, on images of several sizes.

    Args:
        classifier: the classifier; it computes in float32 here, as the file does.
        theirs: a function from an image, uint8 [H, W, 3], to probabilities.
        runtime: name and version of the program that computes `theirs`.
    """
    exact, own = replace(classifier, precision="float32"), classifier.info.preprocessing

    def ours(image: np.ndarray) -> np.ndarray:
        pixels = decode(Image.fromarray(image), own.resize, own.resize_size)
        return np.asarray(exact.probabilities(pixels[None])[0])

    images = random_photos(own.resize_size)
    parity = compare(ours, theirs, runtime, images)
    return replace(
        parity,
        batch_sizes=(1,) * len(images),
        max_abs_logit=1.0,
        tolerance=PROBABILITY_TOLERANCE,
        output="probabilities",
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

    They are blocks of one color with fine noise added; for noise alone, deep layers have nearly the
    same values in every image.
    """
    c, h, w = network.architecture.input
    return _blocks((count, c, h, w), seed)


def random_photos(side: int) -> list[np.ndarray]:
    """Random images, uint8 [H, W, 3], larger and smaller than `side`, and one of width 1."""
    sizes = ((side, side), (2 * side + 3, 3 * side + 1), (side // 2 + 1, side + 5), (side, 1))
    return [
        _blocks((1, 3, h, w), seed)[0].transpose(1, 2, 0).astype(np.uint8)
        for seed, (h, w) in enumerate(sizes)
    ]


def _blocks(shape: tuple[int, int, int, int], seed: int) -> np.ndarray:
    count, c, h, w = shape
    random = np.random.default_rng(seed)
    coarse = random.uniform(0, 255, (count, c, -(-h // BLOCK_SIZE), -(-w // BLOCK_SIZE)))
    blocks = coarse.repeat(BLOCK_SIZE, 2).repeat(BLOCK_SIZE, 3)[:, :, :h, :w]
    noise = random.uniform(0, 255, (count, c, h, w))
    return np.asarray(0.7 * blocks + 0.3 * noise, dtype=np.float32)


def normalize_array(images: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Normalize images of 0 to 255 by the mean color and the std; a mean image is not used."""
    c = images.shape[1]
    mean = np.array(preprocessing.mean[:c], np.float32)[:, None, None]
    std = np.array(preprocessing.std[:c], np.float32)[:, None, None]
    return np.asarray((images - mean) / std, dtype=np.float32)
