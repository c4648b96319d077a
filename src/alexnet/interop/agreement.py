"""Compare a file in float16 or int8 with its model on real images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from alexnet.errors import ModelFileError
from alexnet.inference.classifier import Classifier
from alexnet.interop.parity import Runner
from alexnet.interop.real_images import RealImages
from alexnet.transforms.crops import center_crop

BATCH = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageAgreement:
    """A file's predictions compared with those of the model in float32."""

    precision: str
    """Type of numbers in which the file computes, such as "float16"."""
    images: str
    """Name of the images that were compared."""
    num_images: int
    num_same_top1: int
    """Number of images with the same most probable class."""
    max_probability_difference: float
    """Largest difference of a probability, over all images and classes."""

    @property
    def top1_agreement(self) -> float:
        """Share of the images with the same most probable class, 0 to 1."""
        return self.num_same_top1 / self.num_images

    @property
    def rank(self) -> tuple[int, float]:
        """A sort key that is higher for the better agreement."""
        return self.num_same_top1, -self.max_probability_difference

    def summary(self) -> str:
        """The result in words."""
        return (
            f"{self.precision}: the most probable class of the float32 model on "
            f"{self.num_same_top1:,} of {self.num_images:,} images "
            f"({100 * self.top1_agreement:.2f} %; {self.images}), largest difference of a "
            f"probability {self.max_probability_difference:.2g}"
        )


def measure_agreement(
    classifier: Classifier, run: Runner, images: RealImages, precision: str, *, is_whole: bool
) -> ImageAgreement:
    """Compare a file with its model on real images.

    Args:
        classifier: the model; it computes in float32 here.
        run: a function that runs the file, see `Runner`.
        images: the images, of which `compared` is used.
        precision: the type of numbers in which the file computes, in words.
        is_whole: whether the file takes images and gives probabilities.

    Raises:
        ModelFileError: the file gives values that are not finite.
    """
    exact = replace(classifier, precision="float32")
    expected = exact.probabilities(images.compared)
    if is_whole:
        found = np.stack([run(image) for image in images.compared])
    else:
        logits = [run(batch) for batch in network_inputs(classifier, images.compared)]
        divided = torch.from_numpy(np.concatenate(logits)) / classifier.info.temperature
        found = divided.softmax(1).numpy()
    if not np.isfinite(found).all():
        raise ModelFileError(f"in {precision}, the file gives values that are not finite")
    return ImageAgreement(
        precision=precision,
        images=images.name,
        num_images=len(expected),
        num_same_top1=int((found.argmax(1) == expected.argmax(1)).sum()),
        max_probability_difference=float(np.abs(found - expected).max()),
    )


def network_inputs(classifier: Classifier, pixels: np.ndarray) -> Iterator[np.ndarray]:
    """The network's inputs, float32 [B, C, H, W], of resized images uint8 [N, S, S, 3]."""
    own, mean = classifier.info.preprocessing, classifier.mean_image
    for start in range(0, len(pixels), BATCH):
        part = torch.from_numpy(np.array(pixels[start : start + BATCH]))
        yield center_crop(part, own, None if mean is None else mean.cpu()).contiguous().numpy()
