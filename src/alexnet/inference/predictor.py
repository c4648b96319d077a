"""The base of classifiers: read and decode images, and name the most probable classes."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from alexnet.checkpoints.model_file import ModelInfo
from alexnet.inference.checks import check_crops, check_min_probability, check_top
from alexnet.inference.decoding import Decoded, decode_batches
from alexnet.inference.inputs import ImageInput, read_inputs
from alexnet.inference.predictions import (
    MAX_SHOWN,
    AnsweringNetwork,
    ClassProbability,
    Prediction,
    Predictions,
    small_jpeg,
)
from alexnet.keywords import check_keywords
from alexnet.reporter import ProgressCallback, ignore_progress

if TYPE_CHECKING:
    from torch import Tensor

Crops: TypeAlias = Literal[1, 10]
NOT_FINITE = "the network's outputs are not finite"


class Predictor(ABC):
    """A base class that predicts images from the probabilities that a subclass computes."""

    info: ModelInfo

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names, in the order of the outputs."""
        return self.info.class_names

    @property
    def is_on_cpu(self) -> bool:
        """Whether the network computes on the CPU."""
        return True

    @abstractmethod
    def probabilities(self, pixels: np.ndarray | Tensor, crops: Crops = 1) -> np.ndarray:
        """Class probabilities float32 [N, num_classes] of resized images uint8 [N, S, S, 3]."""

    @property
    @abstractmethod
    def answering_network(self) -> AnsweringNetwork:
        """The kind of network that answers, and the type of numbers in which it computes."""

    @check_keywords
    def __call__(
        self,
        images: ImageInput | Iterable[ImageInput],
        top: int = 5,
        crops: Crops = 1,
        *,
        min_probability: float = 0.0,
    ) -> list[Prediction]:
        """Call `predict`: the `top` most probable classes of every image."""
        return self.predict(images, top, crops, min_probability=min_probability)

    @check_keywords
    def predict(
        self,
        images: ImageInput | Iterable[ImageInput],
        top: int = 5,
        crops: Crops = 1,
        on_progress: ProgressCallback = ignore_progress,
        *,
        min_probability: float = 0.0,
    ) -> Predictions:
        """The `top` most probable classes of every image, in the order of `images`.

        One image gives a list of one prediction; a folder, a pattern and a batch give one for each
        of their images. An image that cannot be read or does not exist gets an error, and so does a
        folder or pattern without images among several values, and an image whose outputs are not
        finite; the others are predicted.

        Args:
            images: one image or many, in any of the forms of `ImageInput`; an iterator is read
                128 images ahead at most.
            top: number of classes per image; all if there are fewer.
            crops: 10 averages the center and the corners, each also flipped.
            on_progress: called with (images classified, images in all); the second number equals
                the first if `images` is an iterator, whose length is unknown.
            min_probability: probability, 0 to 1, below which the most probable class is unsure.

        Raises:
            UsageError: a value is no image, no folder or pattern has an image, or `top`,
                `crops` or `min_probability` cannot be used.
            DataError: images cannot be read because of the machine, not of an image.
        """
        batches = self.predict_batches(
            images, top, crops, on_progress, min_probability=min_probability
        )
        return Predictions(chain.from_iterable(batches))

    @check_keywords
    def predict_batches(
        self,
        images: ImageInput | Iterable[ImageInput],
        top: int = 5,
        crops: Crops = 1,
        on_progress: ProgressCallback = ignore_progress,
        *,
        min_probability: float = 0.0,
    ) -> Iterator[Predictions]:
        """Yield the predictions of `predict` for 64 images at a time, for any number of images."""
        check_top(top)
        check_crops(crops)
        check_min_probability(min_probability)
        inputs, preprocessing = read_inputs(images), self.info.preprocessing

        def batches() -> Iterator[Predictions]:
            done = 0
            prefetch = not self.is_on_cpu
            with closing(decode_batches(inputs, preprocessing, prefetch=prefetch)) as decoded:
                for batch in decoded:
                    found = self._predict(batch, top, crops)
                    if "IPython" in sys.modules:
                        found = _with_thumbnails(found, batch[: max(0, MAX_SHOWN - done)])
                    done += len(found)
                    on_progress(done, len(inputs) if isinstance(inputs, Sized) else done)
                    yield Predictions(_unsure_below(min_probability, one) for one in found)

        return batches()

    def _predict(self, batch: Sequence[Decoded], top: int, crops: Crops) -> list[Prediction]:
        readable = {i: image.pixels for i, image in enumerate(batch) if image.pixels is not None}
        top_classes: dict[int, tuple[ClassProbability, ...]] = {}
        errors = {i: image.error for i, image in enumerate(batch)}
        if readable:
            probabilities = self.probabilities(np.stack(list(readable.values())), crops)
            for i, row in zip(readable, probabilities, strict=True):
                if np.isnan(row).any():
                    errors[i] = NOT_FINITE
                else:
                    top_classes[i] = self.top_classes(row, top)
        return [
            Prediction(image.name, top_classes.get(i, ()), errors[i])
            for i, image in enumerate(batch)
        ]

    def top_classes(self, probabilities: np.ndarray, top: int) -> tuple[ClassProbability, ...]:
        """The `top` most probable classes, best first, of one image's float32 [num_classes]."""
        best = np.argsort(-probabilities, kind="stable")[:top]
        return tuple(ClassProbability(self.class_names[i], float(probabilities[i])) for i in best)


def _with_thumbnails(
    predictions: Sequence[Prediction], images: Sequence[Decoded]
) -> list[Prediction]:
    """The predictions, the first len(images) of which get a thumbnail for a notebook."""
    jpegs = [b"" if image.pixels is None else small_jpeg(image.pixels) for image in images]
    pairs = zip(predictions, jpegs, strict=False)
    return [*(replace(one, thumbnail=jpeg) for one, jpeg in pairs), *predictions[len(jpegs) :]]


def class_probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(logits / temperature), averaged over crops: float32 [N, num_classes].

    An image with a logit that is not finite gets NaN. The softmax is computed in float64, so that
    equal logits give equal bits on any device.

    Args:
        logits: float32 [crops, N, num_classes].
        temperature: the model's temperature.
    """
    scaled = logits.astype(np.float64) / temperature
    with np.errstate(invalid="ignore"):  # of an image whose logits are not finite
        exponentials = np.exp(scaled - scaled.max(-1, keepdims=True))
    probabilities = exponentials / exponentials.sum(-1, keepdims=True)
    probabilities[~np.isfinite(logits).all(-1)] = np.nan  # also of -inf, which gives 0
    mean: np.ndarray = probabilities.mean(0, dtype=np.float64)
    return mean.astype(np.float32)


def _unsure_below(min_probability: float, prediction: Prediction) -> Prediction:
    """The prediction, marked as unsure if its highest probability is below `min_probability`."""
    top = prediction.top_classes
    return replace(prediction, is_unsure=bool(top) and top[0].probability < min_probability)
