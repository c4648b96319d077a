"""A trained network with its class names and preprocessing: load it, predict images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from alexnet.checkpoints.model_file import ModelInfo, find_model_file, load_model, save_model
from alexnet.checkpoints.validation import check_tensors
from alexnet.config.recipe import Precision
from alexnet.errors import ConfigError, UsageError
from alexnet.inference.checks import check_crops, check_min_probability, check_top
from alexnet.inference.decoding import Decoded, decode_batches, readable
from alexnet.inference.inputs import ImageInput, read_inputs
from alexnet.inference.optimize import optimize_for_inference
from alexnet.inference.predictions import ClassProbability, Prediction, Predictions
from alexnet.keywords import check_keywords
from alexnet.models.network import Network, channels_last
from alexnet.parallel.device import device_of_rank
from alexnet.parallel.world import current_world
from alexnet.reporter import ProgressCallback, ignore_progress
from alexnet.runtime.device import autocast, choose_device
from alexnet.transforms.crops import center_crop, ten_crop

if TYPE_CHECKING:
    from alexnet.explain.explanation import Explanation

Crops: TypeAlias = Literal[1, 10]


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network that knows its class names and how its images are preprocessed."""

    network: Network
    info: ModelInfo
    mean_image: Tensor | None = None
    precision: Precision = "auto"

    def __repr__(self) -> str:
        arch, classes = self.info.architecture.name, f"{len(self.class_names):,} classes"
        return f"Classifier({arch!r}, {classes}, device={str(self.device)!r})"

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names, in the order of the outputs."""
        return self.info.class_names

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return next(chain(self.network.parameters(), self.network.buffers())).device

    def optimized(self, *, int8: bool = True) -> Classifier:
        """The same classifier with its network optimized for inference (`optimize_for_inference`).

        Args:
            int8: whether weights and activations may be quantized to 8 bits.
        """
        network = optimize_for_inference(self.network, self.precision, int8=int8)
        return replace(self, network=network)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a model file, which `alexnet.load` reads.

        Raises:
            UsageError: the file exists, or the network is optimized for inference.
        """
        path = Path(path)
        if path.exists():
            raise UsageError(f"{path} exists already; remove it or choose another file")
        weights = self.network.state_dict()
        try:
            check_tensors(self.info.architecture, weights)
        except ConfigError as error:
            raise UsageError(
                "an optimized classifier cannot be saved; save the one it was made of"
            ) from error
        save_model(path, weights, self.info, self.mean_image)

    @check_keywords
    def __call__(
        self,
        images: ImageInput | Iterable[ImageInput],
        top: int = 5,
        crops: Crops = 1,
        *,
        min_probability: float = 0.0,
    ) -> list[Prediction]:
        """`predict`: the `top` most probable classes of every image."""
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
        folder or pattern without images among several values; the others are predicted.

        Args:
            images: one image or many, in any of the forms of `ImageInput`; an iterator is read
                128 images ahead at most.
            top: number of classes per image; all if there are fewer.
            crops: 10 averages the center and the corners, each also flipped.
            on_progress: called with (images classified, images in all); the second number is the
                first where `images` is an iterator, whose length nobody knows.
            min_probability: a prediction whose most probable class has less is unsure, 0 to 1.

        Raises:
            UsageError: a value is no image, no folder or pattern has an image, or `top`,
                `crops` or `min_probability` cannot be used.
            DataError: the machine, and not the image, makes reading impossible.
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
        """As `predict`, 64 images at a time, while threads decode the next; for any number."""
        check_top(top)
        check_crops(crops)
        check_min_probability(min_probability)
        inputs = read_inputs(images)

        def batches() -> Iterator[Predictions]:
            done = 0
            with closing(decode_batches(inputs, self.info.preprocessing)) as decoded:
                for batch in decoded:
                    found = self._predict(batch, top, crops)
                    done += len(found)
                    on_progress(done, len(inputs) if isinstance(inputs, list) else done)
                    yield Predictions(_unsure_below(min_probability, one) for one in found)

        return batches()

    @check_keywords
    def explain(
        self,
        image: ImageInput,
        class_name: str = "",
        layer: str = "",
        methods: Sequence[str] = (),
    ) -> Explanation:
        """The input pixels on which the prediction of one image depends, as arrays.

        In a notebook the result is a figure; `alexnet.explain.sheet(explanation)` draws it
        elsewhere.

        Args:
            image: one image, in any of the forms of `ImageInput`.
            class_name: which class is explained; the most probable one unless given.
            layer: whose map Grad-CAM weights; the last convolution unless given.
            methods: some of `alexnet.explain.METHODS`; all unless given.

        Raises:
            UsageError: a word is unknown, `image` is not one image, the classifier is optimized, or
                captum (extra `explain`) is not installed.
            DataError: the image cannot be read.
            OSError: as `DataError`.
        """
        from alexnet.explain.explainer import explain_image
        from alexnet.explain.explanation import METHODS

        words = (methods,) if isinstance(methods, str) else methods or METHODS
        return explain_image(self, image, class_name=class_name, layer=layer, methods=words)

    def _predict(self, batch: Sequence[Decoded], top: int, crops: Crops) -> list[Prediction]:
        readable = {i: image.pixels for i, image in enumerate(batch) if image.pixels is not None}
        top_classes: dict[int, tuple[ClassProbability, ...]] = {}
        if readable:
            probabilities = self.probabilities(np.stack(list(readable.values())), crops)
            for i, row in zip(readable, probabilities, strict=True):
                top_classes[i] = self.top_classes(row, top)
        return [
            Prediction(image.name, top_classes.get(i, ()), image.error)
            for i, image in enumerate(batch)
        ]

    def top_classes(self, probabilities: np.ndarray, top: int) -> tuple[ClassProbability, ...]:
        """The `top` most probable classes, best first, of one image's float32 [num_classes]."""
        best = np.argsort(-probabilities, kind="stable")[:top]
        return tuple(ClassProbability(self.class_names[i], float(probabilities[i])) for i in best)

    def probabilities(self, pixels: np.ndarray, crops: Crops = 1, batch: int = 128) -> np.ndarray:
        """Class probabilities float32 [N, num_classes] of resized images uint8 [N, S, S, 3].

        They are softmax(logits / temperature), with the model's temperature. With ten crops these
        are averaged.

        Raises:
            UsageError: `crops` is neither 1 nor 10.

        Source: Paper, section 4.1.
        """
        check_crops(crops)
        return self._in_batches(pixels, batch, partial(self._batch_probabilities, crops=crops))

    def logits(self, pixels: np.ndarray, batch: int = 128) -> np.ndarray:
        """The network's outputs float32 [N, num_classes] of resized images uint8 [N, S, S, 3].

        Of the center crop, and not divided by the temperature.
        """
        return self._in_batches(pixels, batch, self._batch_logits)

    @check_keywords
    def features(
        self,
        images: ImageInput | Iterable[ImageInput],
        on_progress: ProgressCallback = ignore_progress,
    ) -> np.ndarray:
        """Activations of the last hidden layer, float32 [N, D], for any number of images.

        They are the input of the last layer with weights: 4,096 numbers of AlexNet, after the ReLU
        of fc7, for the center crop.

        Args:
            images: as for `predict`.
            on_progress: as for `predict`.

        Raises:
            UsageError: a value is no image, or no folder or pattern has an image.
            DataError: an image cannot be read.

        Source: Paper, section 6.1 and figure 4.
        """
        inputs = read_inputs(images)
        found = [self.layer_inputs(np.zeros((0, 1, 1, 3), np.uint8))]
        done = 0
        with closing(decode_batches(inputs, self.info.preprocessing)) as batches:
            for batch in batches:
                found.append(self.layer_inputs(np.stack([readable(image) for image in batch])))
                done += len(batch)
                on_progress(done, len(inputs) if isinstance(inputs, list) else done)
        return np.concatenate(found)

    def layer_inputs(self, pixels: np.ndarray, layer: str = "", batch: int = 128) -> np.ndarray:
        """The flattened inputs of a layer, float32 [N, D], of resized images uint8 [N, S, S, 3].

        Of the center crop.

        Args:
            pixels: the images.
            layer: its name; "": the last one with weights, whose input is the last hidden layer.
            batch: images computed at once.

        Raises:
            UnknownNameError: there is no such layer.
        """
        arch = self.info.architecture
        layer = layer or arch.output_layer
        compute = partial(self._batch_inputs, layer=layer)
        return self._in_batches(pixels, batch, compute, prod(arch.input_shape(layer)))

    @torch.inference_mode()
    def logits_from(self, features: np.ndarray, layer: str = "") -> np.ndarray:
        """The network's outputs float32 [N, num_classes] for what `layer_inputs` gives."""
        layer = layer or self.info.architecture.output_layer
        shape = self.info.architecture.input_shape(layer)
        inputs = torch.from_numpy(np.array(features)).to(self.device).reshape(-1, *shape)
        self.network.eval()
        with autocast(self.device, self.precision):
            logits = self.network.output_from(layer, inputs)
        return logits.float().cpu().numpy()

    def _in_batches(
        self,
        pixels: np.ndarray,
        batch: int,
        compute: Callable[[Tensor], Tensor],
        length: int | None = None,
    ) -> np.ndarray:
        """What `compute` gives for all images: float32 [N, length], or [N, num_classes]."""
        self.network.eval()
        results = [np.zeros((0, length or len(self.class_names)), np.float32)]
        for start in range(0, len(pixels), batch):
            part = torch.from_numpy(np.array(pixels[start : start + batch])).to(self.device)
            results.append(compute(part).cpu().numpy())
        return np.concatenate(results)

    @torch.inference_mode()
    def _batch_probabilities(self, pixels: Tensor, crops: Crops) -> Tensor:
        make_crops = ten_crop if crops == 10 else lambda *args: [center_crop(*args)]
        inputs = make_crops(pixels, self.info.preprocessing, self.mean_image)
        with autocast(self.device, self.precision):
            outputs = [self._softmax(self.network(crop)) for crop in inputs]
        return torch.stack(outputs).mean(0)

    def _softmax(self, logits: Tensor) -> Tensor:
        temperature = self.info.temperature
        return (logits if temperature == 1 else logits.float() / temperature).softmax(1)

    @torch.inference_mode()
    def _batch_logits(self, pixels: Tensor) -> Tensor:
        with autocast(self.device, self.precision):
            logits: Tensor = self.network(
                center_crop(pixels, self.info.preprocessing, self.mean_image)
            )
        return logits.float()

    @torch.inference_mode()
    def _batch_inputs(self, pixels: Tensor, layer: str) -> Tensor:
        crops = center_crop(pixels, self.info.preprocessing, self.mean_image)
        with autocast(self.device, self.precision):
            inputs = self.network.input_of(layer, crops)
        return inputs.flatten(1).float()


def _unsure_below(min_probability: float, prediction: Prediction) -> Prediction:
    """The prediction, unsure if its most probable class has less than this probability."""
    top = prediction.top_classes
    return replace(prediction, is_unsure=bool(top) and top[0].probability < min_probability)


def load(path: str | Path, device: str = "auto") -> Classifier:
    """A classifier from a model file, or from a run folder (its best model).

    Raises:
        ModelFileError: there is no model, or it is damaged or not one of this program.
        UsageError: there is no such device.
    """
    weights, info, mean_image = load_model(find_model_file(path))
    return build_classifier(weights, info, mean_image, device)


def build_classifier(
    weights: Mapping[str, Tensor],
    info: ModelInfo,
    mean_image: Tensor | None,
    device: str = "auto",
    *,
    copy: bool = True,
) -> Classifier:
    """A classifier with weights that fit its architecture.

    Args:
        weights: its state dict.
        info: class names, preprocessing and so on.
        mean_image: subtracted from images, if there is one.
        device: where it computes.
        copy: whether it has weights of its own, also on the CPU; otherwise the given ones may not
            change while it is used.

    Raises:
        UsageError: there is no such device.
    """
    target = device_of_rank(choose_device(device), current_world())
    with torch.device("meta"):
        network = Network(info.architecture)
    moved = {name: tensor.to(target, copy=copy) for name, tensor in weights.items()}
    network.load_state_dict(moved, assign=True)  # to_empty would import sympy, in .5 s
    network = channels_last(network)
    mean = None if mean_image is None else mean_image.to(target)
    return Classifier(network.eval(), info, mean, info.recipe.precision)
